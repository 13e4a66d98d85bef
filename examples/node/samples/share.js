'use strict';

// Several processes share a port: `node share.js foo 8080` has /foo/ there, `node
// share.js bar 8080` has /bar/.

const http = require('../../../node').http();

const [,, name = 'foo', port = '8080'] = process.argv;

http.createServer((req, res) => {
  res.end(`${name} of process ${process.pid}\n`);
}).listen(`http://*:${port}/${name}/`, function listening() {
  console.log(this.urls[0]);
});
