'use strict';

// A proxy and what is behind it, in one program.

const http = require('http');
const httpProxy = require('http-proxy');
const { WebSocketServer } = require('ws');
const { createServer, ready } = require('./support');

const behind = http.createServer((req, res) => {
  if (req.url === '/slow') { res.write('begun '); setTimeout(() => res.end('done'), 20); return; }
  res.setHeader('X-Behind', req.headers['x-forwarded-proto'] || 'none');
  res.setHeader('Set-Cookie', ['a=1', 'b=2']);
  req.pipe(res);
});
new WebSocketServer({ server: behind }).on('connection', (ws) => ws.on('message', (m) => ws.send(`behind ${m}`)));
behind.listen(0, '127.0.0.1', () => {
  const proxy = httpProxy.createProxyServer({ target: { host: '127.0.0.1', port: behind.address().port }, xfwd: true });
  proxy.on('error', (err, req, res) => { if (res.writeHead && !res.headersSent) { res.writeHead(502); res.end(`proxy: ${err.code}`); } });
  const server = createServer((req, res) => {
    if (req.url === '/nowhere') proxy.web(req, res, { target: 'http://127.0.0.1:1' });
    else proxy.web(req, res);
  });
  server.on('upgrade', (req, socket, head) => proxy.ws(req, socket, head));
  server.listen(Number(process.env.PORT || 0), () => ready(server));
});
