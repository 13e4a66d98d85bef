'use strict';

// WebSockets of Node programs and the ends of things: the program is killed, or the
// daemon ends. Plain, over TLS, and over HTTP/2.

const test = require('node:test');
const assert = require('node:assert');
const childProcess = require('node:child_process');
const path = require('node:path');
const { once } = require('node:events');
const daemon = require('./support/daemon');
const pki = require('./support/pki');
const httpsys = require('..');
const { listening } = require('./support/client');
const { openHTTP2 } = require('./support/websocket');
const { WebSocket, WebSocketServer } = require('./deps/node_modules/ws');

const ca = pki.authority('root');
const pair = pki.issue(ca, 'localhost');
const timeout = 60000;

// clients opens n WebSockets, each of which has got an echo.
async function clients(n, open) {
  const all = [];
  for (let i = 0; i < n; i += 50) {
    all.push(...await Promise.all(Array.from({ length: Math.min(50, n - i) }, async () => {
      const ws = await open();
      ws.closed = new Promise((resolve) => { ws.on('close', (code) => resolve(code)); });
      ws.on('error', () => {});
      ws.send('hello');
      assert.strictEqual(String((await once(ws, 'message'))[0]), 'hello');
      return ws;
    })));
  }
  return all;
}

const plain = (port) => async () => {
  const ws = new WebSocket(`ws://127.0.0.1:${port}/`);
  await once(ws, 'open');
  return ws;
};
const secure = (port) => async () => {
  const ws = new WebSocket(`wss://127.0.0.1:${port}/`, { ca: ca.cert, servername: 'localhost' });
  await once(ws, 'open');
  return ws;
};

// program starts one that echoes, and gives its process and port.
async function program(t, code) {
  const child = childProcess.spawn(process.execPath, ['-e', code], { cwd: __dirname, stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => child.kill('SIGKILL'));
  for await (const text of child.stdout) {
    const m = /port (\d+)/.exec(text);
    if (m) return { child, port: Number(m[1]) };
  }
  throw new Error('the program has ended');
}

const echo = (module, options) => `
  const { WebSocketServer } = require('./deps/node_modules/ws');
  const server = require('..').${module}().createServer(${JSON.stringify(options)});
  new WebSocketServer({ server }).on('connection', (ws) => ws.on('message', (data, binary) => ws.send(data, { binary })));
  server.listen(0, () => console.log('port', server.address().port));
`;

test('a killed program: its clients see the end at once, those of another one nothing', { timeout }, async (t) => {
  const child = await daemon.start();
  child.removeAllListeners('exit');
  t.after(() => daemon.stop(child));
  for (const [name, module, options, open] of [
    ['HTTP/1.1', 'http', {}, plain],
    ['TLS', 'https', pair, secure],
    ['h2c', 'http', {}, (port) => openHTTP2(t, `http://localhost:${port}`)],
    ['HTTP/2', 'https', pair, (port) => openHTTP2(t, `https://localhost:${port}`, { ca: ca.cert })],
  ]) {
    await t.test(name, async (st) => {
      const doomed = await program(st, echo(module, options));
      const other = await program(st, echo(module, options));
      const lost = await clients(250, open(doomed.port));
      const kept = await clients(10, open(other.port));
      doomed.child.kill('SIGKILL');
      for (const code of await Promise.all(lost.map((ws) => ws.closed))) assert.strictEqual(code, 1006);
      for (const ws of kept) {
        ws.send('still here');
        assert.strictEqual(String((await once(ws, 'message'))[0]), 'still here');
        ws.terminate();
      }
    });
  }
});

test('the daemon ends: programs are told, and have time for Close frames', { timeout }, async (t) => {
  const child = await daemon.start();
  child.removeAllListeners('exit');
  t.after(() => child.kill('SIGKILL'));
  t.mock.method(process, 'emitWarning', () => {}); // that the daemon is lost
  const told = [];
  const servers = [];
  for (const [name, module, options] of [['http', httpsys.http(), {}], ['https', httpsys.https(), pair]]) {
    const server = module.createServer(options);
    const wss = new WebSocketServer({ server });
    wss.on('connection', (ws) => ws.on('message', (data, binary) => ws.send(data, { binary })));
    server.on('daemonStop', () => {
      told.push(name);
      for (const ws of wss.clients) ws.close(4000, 'see you');
    });
    servers.push([name, await listening(t, server)]);
  }
  const onDaemonStop = (server) => told.push(`serve ${server.url.slice(0, 5)}`);
  const fetch = (req, info) => {
    const { socket, response } = info.upgradeWebSocket();
    socket.onmessage = ({ data }) => socket.send(data);
    return response;
  };
  for (const options of [{ url: 'http://*:0/' }, { url: 'https://*:0/', ...pair }]) {
    const server = await httpsys.serve({ ...options, fetch, onDaemonStop }).ready;
    t.after(() => server.close(true));
    servers.push([`serve ${server.url.slice(0, 5)}`, server.port]);
  }
  const all = [];
  for (const [name, port] of servers) {
    const over = /https/.test(name) ? secure(port) : plain(port);
    const http2 = openHTTP2(t, `${/https/.test(name) ? 'https' : 'http'}://localhost:${port}`, { ca: ca.cert });
    for (const open of [over, http2]) all.push([name, (await clients(1, open))[0]]);
  }
  const stopped = once(child, 'exit');
  child.kill('SIGTERM');
  for (const [name, ws] of all) assert.strictEqual(await ws.closed, /^serve/.test(name) ? 1001 : 4000, name);
  await stopped;
  assert.deepStrictEqual(told.sort(), ['http', 'https', 'serve http:', 'serve https']);
});
