'use strict';

// A program that knows nothing of httpsys. Started with
// `node --require httpsys/register`, it is behind the daemon.

const http = require('http');

http.createServer((req, res) => {
  res.end(typeof http.httpsys_version === 'string' ? `behind httpsys ${http.httpsys_version}\n` : 'on its own\n');
}).listen(process.argv[2] || 8080, function listening() {
  console.log(`http://localhost:${this.address().port}/`);
});
