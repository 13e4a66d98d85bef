'use strict';

// Servers in JavaScript that answer GET /hello with 13 bytes: `node app.js KIND
// PORT`. With HTTPSYS_SOCKET they listen at the daemon; nothing else changes. Those of
// node:http and node:https answer GET /big with 1 MiB, and POST /upload with the number of
// bytes that came.

const fs = require('fs');

const [,, kind, port] = process.argv;
if (process.env.HTTPSYS_SOCKET) require('../../../node').slipstream();

const TEXT = 'Hello, world\n';
const HOST = '127.0.0.1';

const LENGTH = String(TEXT.length);
const BIG = Buffer.alloc(1 << 20, 'x');

function answer(req, res) {
  if (req.url === '/hello') {
    res.writeHead(200, { 'Content-Type': 'text/plain', 'Content-Length': LENGTH });
    res.end(TEXT);
  } else if (req.url === '/big') {
    res.writeHead(200, { 'Content-Length': BIG.length });
    res.end(BIG);
  } else {
    let n = 0;
    req.on('data', (chunk) => { n += chunk.length; });
    req.on('end', () => {
      const text = `${n}\n`;
      res.writeHead(200, { 'Content-Length': text.length });
      res.end(text);
    });
  }
}

function listen(server) {
  server.keepAliveTimeout = 60000; // connections that wait are measured, too
  server.listen(port, HOST);
}

const kinds = {
  http() {
    listen(require('http').createServer(answer));
  },
  https() {
    listen(require('https').createServer({ cert: fs.readFileSync(process.env.BENCH_CERT), key: fs.readFileSync(process.env.BENCH_KEY) }, answer));
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
