'use strict';

// The daemon answers for ten seconds in the place of this program, if
// HTTPSYS_CACHE_DURATION turns output caching on.

const http = require('../../../node').http();

http.createServer((req, res) => {
  console.log(`asked for ${req.url}`);
  res.cacheDuration = 10;
  res.end(`made at ${new Date().toISOString()}\n`);
}).listen(process.argv[2] || 'http://*:8080/cache/', function listening() {
  console.log(this.urls[0]);
});
