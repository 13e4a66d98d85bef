'use strict';

// Connections that wait for their clients' next requests: without a socket where
// nobody would notice, and with the one they had where somebody would.

const test = require('node:test');
const assert = require('node:assert');
const { once } = require('node:events');
const net = require('node:net');
const daemon = require('./support/daemon');
const http = require('..').http();
const { listening } = require('./support/client');

const MANY = 200;

let child;
test.before(async () => { child = await daemon.start(); });
test.after(() => child.removeAllListeners('exit') && child.kill());

// ask makes one request and gives the body of the answer, which has a length.
function ask(socket, path = '/') {
  socket.write(`GET ${path} HTTP/1.1\r\nHost: h\r\n\r\n`);
  return new Promise((resolve, reject) => {
    let got = '';
    const data = (d) => {
      got += d;
      const end = got.indexOf('\r\n\r\n');
      const length = /content-length: (\d+)/i.exec(got);
      if (end < 0 || got.length < end + 4 + Number(length[1])) return;
      socket.removeListener('data', data);
      socket.removeListener('close', closed);
      resolve(got.slice(end + 4));
    };
    const closed = () => reject(new Error('the connection has ended'));
    socket.on('data', data);
    socket.on('close', closed);
  });
}

async function connections(t, port, n) {
  const all = [];
  t.after(() => { for (const s of all) s.destroy(); });
  for (let i = 0; i < n; i++) {
    const s = net.connect(port, '127.0.0.1');
    s.setEncoding('latin1');
    s.on('error', () => {});
    all.push(s);
    await ask(s);
  }
  return all;
}

// listenerOf is what holds the sockets of a server.
function listenerOf(server) {
  return server[Object.getOwnPropertySymbols(server).find((s) => s.description === 'httpsys listener')];
}

// until waits for what comes in its own time.
async function until(condition) {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 20));
}

// bare is a server that nobody watches: listening() looks at its connections.
async function bare(t, handler) {
  const server = http.createServer(handler);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => { server.close(); server.closeAllConnections(); });
  return [server, server.address().port];
}

const count = (server) => new Promise((resolve) => server.getConnections((err, n) => resolve(n)));

test('many that wait have no sockets, and are served as if they had', { timeout: 60000 }, async (t) => {
  const [server, port] = await bare(t, (req, res) => res.end(`${req.socket.remotePort} ${req.socket.server === server}`));
  server.keepAliveTimeout = 60000;
  const all = await connections(t, port, MANY);
  const { sockets, idle } = listenerOf(server);
  await until(() => sockets.size <= 64);
  assert.strictEqual(sockets.size + idle.until.size, MANY);
  assert.strictEqual(await count(server), MANY);
  for (const s of all) assert.strictEqual(await ask(s), `${s.localPort} true`);
  assert.strictEqual(await count(server), MANY);
  assert.strictEqual(sockets.size + idle.until.size, MANY);
  // Half of them leave.
  for (const s of all.splice(0, MANY / 2)) s.destroy();
  await until(() => sockets.size + idle.until.size === MANY / 2);
  assert.strictEqual(await count(server), MANY / 2);
  // The server closes: it ends those that wait.
  const ended = all.map((s) => once(s, 'end'));
  server.close();
  await Promise.all([once(server, 'close'), ...ended]);
});

test('they are closed when their time is over', { timeout: 60000 }, async (t) => {
  const [server, port] = await bare(t, (req, res) => res.end('x'));
  server.keepAliveTimeout = 1500; // Node adds one second
  const all = await connections(t, port, MANY);
  const { sockets, idle } = listenerOf(server);
  const ended = Promise.all(all.map((s) => once(s, 'end')));
  await until(() => idle.until.size > 0);
  await ended;
  await until(() => sockets.size + idle.until.size === 0);
  assert.strictEqual(await count(server), 0);
});

test('closeAllConnections ends them', { timeout: 60000 }, async (t) => {
  const [server, port] = await bare(t, (req, res) => res.end('x'));
  server.keepAliveTimeout = 60000;
  const all = await connections(t, port, MANY);
  await until(() => listenerOf(server).idle.until.size > 0);
  const ended = Promise.all(all.map((s) => once(s, 'end')));
  server.closeAllConnections();
  await ended;
});

test('who watches connections keeps their sockets', { timeout: 60000 }, async (t) => {
  const seen = new Set();
  let again = 0;
  const server = http.createServer((req, res) => {
    if (req.url === '/again' && seen.has(req.socket)) again++;
    res.end('x');
  });
  server.keepAliveTimeout = 60000;
  server.on('connection', (socket) => seen.add(socket));
  const port = await listening(t, server);
  const all = await connections(t, port, MANY);
  for (const s of all) await ask(s, '/again');
  assert.strictEqual(seen.size, MANY);
  assert.strictEqual(again, MANY);
});

test('a socket with a property or a listener of the program stays', { timeout: 60000 }, async (t) => {
  let n = 0;
  let closed = 0;
  const [server, port] = await bare(t, (req, res) => {
    const { socket } = req;
    if (req.url === '/') {
      n++;
      if (n % 4 === 0) socket.mark = n;
      if (n % 4 === 1) socket.on('close', () => closed++);
    }
    res.end(String(socket.mark));
  });
  server.keepAliveTimeout = 60000;
  const all = await connections(t, port, MANY);
  const { sockets, idle } = listenerOf(server);
  await until(() => sockets.size <= 64 + MANY / 2 && idle.until.size > 0);
  for (let i = 3; i < MANY; i += 4) assert.strictEqual(await ask(all[i], '/again'), String(i + 1));
  for (const s of all) s.destroy();
  await until(() => closed === MANY / 4);
});
