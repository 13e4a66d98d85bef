'use strict';

// Verbs for tests: servers that listen on a free port, clients that speak bytes.

const fs = require('fs');
const net = require('net');
const http = require('http');
const { once } = require('events');

// listening starts a server on a free port and closes it with the test.
async function listening(t, server) {
  server.listen(0);
  const { port } = server.address(); // valid at once, as everywhere in Node
  await once(server, 'listening');
  const sockets = new Set(); // upgraded ones are no business of closeAllConnections
  server.on('connection', (socket) => sockets.add(socket));
  t.after(() => new Promise((resolve) => {
    server.close(resolve);
    server.closeAllConnections();
    for (const socket of sockets) socket.destroy();
  }));
  return port;
}

// talk sends bytes and gives what comes until the server closes, or until the
// text matches.
function talk(port, text, until) {
  return new Promise((resolve, reject) => {
    const socket = net.connect(port, '127.0.0.1');
    let got = '';
    socket.setEncoding('latin1');
    socket.on('data', (d) => {
      got += d;
      if (until !== undefined && until.test(got)) {
        resolve(got);
        socket.destroy();
      }
    });
    socket.on('end', () => { resolve(got); socket.destroy(); });
    socket.on('error', (err) => (got === '' ? resolve(err.code) : reject(err)));
    socket.write(text);
  });
}

// request asks and reads the whole answer.
function request(port, options = {}, body = undefined) {
  return new Promise((resolve, reject) => {
    const req = http.request({ port, host: '127.0.0.1', agent: false, ...options }, (res) => {
      const chunks = [];
      res.on('data', (d) => chunks.push(d));
      res.on('error', reject);
      res.on('end', () => resolve({
        status: res.statusCode, message: res.statusMessage, headers: res.headers, raw: res.rawHeaders,
        body: Buffer.concat(chunks).toString('latin1'), trailers: res.trailers,
      }));
    });
    req.on('error', reject);
    if (typeof body === 'function') body(req);
    else req.end(body);
  });
}

// freePort is a port for a program that has to be told one. It is none of those that
// the system gives to whoever asks for any: no server of another test gets it meanwhile.
async function freePort() {
  const [first] = fs.readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8').split(/\s+/).map(Number);
  for (;;) {
    const server = net.createServer().listen(1024 + Math.floor(Math.random() * (first - 1024)));
    const free = await once(server, 'listening').then(() => true, () => false);
    if (!free) continue;
    const { port } = server.address();
    await new Promise((resolve) => { server.close(resolve); });
    return port;
  }
}

module.exports = { listening, talk, request, freePort };
