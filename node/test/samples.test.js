'use strict';

// The samples, and what the tests of the old module asked for that is not asked for
// elsewhere: hello again after a close, and ws on http and https.

const test = require('node:test');
const assert = require('node:assert');
const childProcess = require('node:child_process');
const https = require('node:https');
const path = require('node:path');
const { once } = require('node:events');
const daemon = require('./support/daemon');
const pki = require('./support/pki');
const httpsys = require('..');
const { listening, request } = require('./support/client');
const { WebSocket, WebSocketServer } = require('./deps/node_modules/ws');

const timeout = 30000;
let child;
test.before(async () => { child = await daemon.start(); });
test.after(() => child.removeAllListeners('exit') && child.kill());

const ca = pki.authority('root');
const pair = pki.issue(ca, 'localhost');

// sample starts one, and gives a function for its next line.
function sample(t, args, options = {}) {
  const [name, ...rest] = args;
  const file = path.join(__dirname, '..', '..', 'examples', 'node', 'samples', name);
  const app = childProcess.spawn(process.execPath, [...(options.node || []), file, ...rest], {
    stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, ...options.env },
  });
  t.after(() => app.kill());
  const lines = require('node:readline').createInterface({ input: app.stdout })[Symbol.asyncIterator]();
  return async () => (await lines.next()).value;
}

const portOf = (url) => Number(/:(\d+)\//.exec(url)[1]);

test('hello', { timeout }, async (t) => {
  const line = sample(t, ['hello.js', 'http://*:0/hello/']);
  const r = await request(portOf(await line()), { path: '/hello/' });
  assert.deepStrictEqual([r.status, r.headers['content-type'], r.body], [200, 'text/plain', 'Hello, world!\n']);
});

test('slipstream', { timeout }, async (t) => {
  for (const [node, want] of [[[], /^on its own/], [['--require', path.join(__dirname, '..', 'register.js')], /^behind httpsys 0\./]]) {
    const line = sample(t, ['slipstream.js', '0'], { node });
    assert.match((await request(portOf(await line()))).body, want);
  }
});

test('two processes on one port', { timeout }, async (t) => {
  const port = portOf(await sample(t, ['share.js', 'foo', '0'])());
  await sample(t, ['share.js', 'bar', String(port)])();
  const foo = (await request(port, { path: '/foo/' })).body;
  const bar = (await request(port, { path: '/bar/x' })).body;
  assert.match(foo, /^foo of process \d+/);
  assert.match(bar, /^bar of process \d+/);
  assert.notStrictEqual(foo.slice(3), bar.slice(3));
  assert.strictEqual((await request(port, { path: '/' })).status, 404);
});

test('https with the certificate of the administrator, and those of clients', { timeout }, async (t) => {
  const fs = require('node:fs');
  const write = (name, text) => { fs.writeFileSync(path.join(daemon.dir, name), text, { mode: 0o600 }); return path.join(daemon.dir, name); };
  const line = sample(t, ['https.js', 'https://*:0/']);
  const port = portOf(await line());
  daemon.admin('add', 'sslcert', `ipport=0.0.0.0:${port}`, `cert=${write('pair.pem', pair.cert)}`, `key=${write('pair.key', pair.key)}`, 'clientcertnegotiation=enable');
  const get = (options) => new Promise((resolve, reject) => {
    https.get({ port, host: '127.0.0.1', servername: 'localhost', ca: ca.cert, agent: false, ...options }, async (res) => {
      let body = '';
      for await (const d of res) body += d;
      resolve(body);
    }).on('error', reject);
  });
  assert.strictEqual(await get({}), 'Hello, stranger!\n');
  // Nobody has said that the tests' authority is to be trusted.
  assert.match(await get(pki.issue(ca, 'client', { usage: 'clientAuth' })), /^C=DE, O=httpsys, CN=client, your certificate is not in order: CERT_E_/);
});

test('caching', { timeout }, async (t) => {
  const line = sample(t, ['cache.js', 'http://*:0/cache/'], { env: { HTTPSYS_CACHE_DURATION: '0' } });
  const port = portOf(await line());
  const first = (await request(port, { path: '/cache/a' })).body;
  assert.strictEqual(await line(), 'asked for /cache/a');
  assert.strictEqual((await request(port, { path: '/cache/a' })).body, first);
  await request(port, { path: '/cache/b' });
  assert.strictEqual(await line(), 'asked for /cache/b', 'and nothing before');
});

test('cluster', { timeout }, async (t) => {
  const probe = require('node:net').createServer().listen(0);
  const { port } = probe.address();
  await new Promise((resolve) => probe.close(resolve));
  const line = sample(t, ['cluster.js', `http://*:${port}/cluster/`]);
  for (let i = 0; i < 4; i++) assert.match(await line(), new RegExp(`^process \\d+ listens on port ${port}$`));
  const pids = new Set();
  for (const r of await Promise.all(Array.from({ length: 40 }, (_, i) => request(port, { path: `/cluster/${i}` })))) pids.add(r.body);
  assert.strictEqual(pids.size, 4);
  assert.strictEqual((await request(port, { path: '/cluster/die' })).status, 502);
  assert.match(await line(), /listens/, 'another one comes');
});

test('websocket', { timeout }, async (t) => {
  const port = portOf(await sample(t, ['websocket.js', 'http://*:0/echo/'])());
  assert.strictEqual((await request(port, { path: '/echo/' })).status, 426);
  const ws = new WebSocket(`ws://127.0.0.1:${port}/echo/`);
  await once(ws, 'open');
  ws.send('hello');
  assert.strictEqual(String((await once(ws, 'message'))[0]), 'hello');
  ws.close();
  await once(ws, 'close');
});

for (const secure of [false, true]) {
  test(`hello, close, and hello again on the same port${secure ? ' over TLS' : ''}`, { timeout }, async () => {
    const make = () => (secure ? httpsys.https().createServer(pair, hello) : httpsys.http().createServer(hello));
    const hello = (req, res) => { res.writeHead(200, { 'Content-Type': 'text/plain' }); res.end('hello'); };
    let url = `http${secure ? 's' : ''}://*:0/`;
    for (let i = 0; i < 2; i++) {
      const server = make().listen(url);
      await once(server, 'listening');
      [url] = server.urls;
      const res = await new Promise((resolve, reject) => {
        (secure ? https : require('node:http')).get({ port: portOf(url), host: '127.0.0.1', servername: 'localhost', ca: ca.cert, agent: false }, resolve).on('error', reject);
      });
      let body = '';
      for await (const d of res) body += d;
      assert.deepStrictEqual([res.statusCode, res.headers['content-type'], body], [200, 'text/plain', 'hello']);
      await new Promise((resolve) => server.close(resolve));
    }
  });

  test(`a conversation with ws on both sides${secure ? ' over TLS' : ''}`, { timeout }, async (t) => {
    const server = secure ? httpsys.https().createServer(pair) : httpsys.http().createServer();
    server.on('request', () => assert.fail('an upgrade is no request'));
    const there = [];
    const here = [];
    const sockets = new WebSocketServer({ server });
    const over = new Promise((resolve) => {
      sockets.on('connection', (socket) => {
        there.push('connection');
        socket.on('message', (data) => { there.push(String(data)); socket.send(String(data).toUpperCase()); });
        socket.on('close', () => { there.push('close'); resolve(); });
      });
    });
    const port = await listening(t, server);
    const ws = new WebSocket(`ws${secure ? 's' : ''}://127.0.0.1:${port}/`, { ca: ca.cert, servername: 'localhost' });
    await once(ws, 'open');
    here.push('open');
    for (const word of ['one', 'two', 'three', 'four']) {
      ws.send(word);
      here.push(String((await once(ws, 'message'))[0]));
    }
    ws.close();
    await once(ws, 'close');
    here.push('close');
    await over;
    assert.deepStrictEqual(there, ['connection', 'one', 'two', 'three', 'four', 'close']);
    assert.deepStrictEqual(here, ['open', 'ONE', 'TWO', 'THREE', 'FOUR', 'close']);
  });
}
