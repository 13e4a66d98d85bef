'use strict';

// Servers in JavaScript that answer GET /hello with 13 bytes: `node app.js KIND
// PORT`. With HTTPSYS_SOCKET they listen at the daemon; nothing else changes.

const [,, kind, port] = process.argv;
if (process.env.HTTPSYS_SOCKET) require('../../../node').slipstream();

const TEXT = 'Hello, world\n';
const HOST = '127.0.0.1';

const kinds = {
  http() {
    const length = String(TEXT.length);
    require('http').createServer((req, res) => {
      res.writeHead(200, { 'Content-Type': 'text/plain', 'Content-Length': length });
      res.end(TEXT);
    }).listen(port, HOST);
  },
  fastify() {
    const app = require('fastify')();
    app.get('/hello', (req, reply) => { reply.type('text/plain').send(TEXT); });
    app.listen({ port: Number(port), host: HOST });
  },
  express() {
    const app = require('express')();
    app.get('/hello', (req, res) => { res.type('text/plain').send(TEXT); });
    app.listen(Number(port), HOST);
  },
  serve() {
    const { serve, Response } = require('../../../node');
    serve({ port, hostname: HOST, fetch: () => new Response(TEXT, { headers: { 'Content-Type': 'text/plain' } }) });
  },
};
kinds[kind]();
