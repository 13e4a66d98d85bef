'use strict';

// How the programs listen: as any program does. PORT and the files of a
// certificate come from the environment.

const fs = require('fs');
const http = require('http');
const https = require('https');

const tls = process.env.TLS_KEY && { key: fs.readFileSync(process.env.TLS_KEY), cert: fs.readFileSync(process.env.TLS_CERT) };

// createServer makes the server that the environment asks for.
function createServer(handler) {
  return tls ? https.createServer(tls, handler) : http.createServer(handler);
}

// ready says where a server listens.
function ready(server) {
  console.log(`listening on ${server.address().port}`);
}

// serve listens with a request handler.
function serve(handler) {
  const server = createServer(handler);
  server.listen(Number(process.env.PORT || 0), () => ready(server));
  return server;
}

module.exports = { tls, createServer, ready, serve };
