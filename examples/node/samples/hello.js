'use strict';

// An HTTP server on a URL prefix.

const http = require('../../../node').http();

http.createServer((req, res) => {
  res.writeHead(200, { 'Content-Type': 'text/plain' });
  res.end('Hello, world!\n');
}).listen(process.argv[2] || 'http://*:8080/hello/', function listening() {
  console.log(this.urls[0]);
});
