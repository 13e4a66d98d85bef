'use strict';

// ws, socket.io over both transports, http-proxy.

const assert = require('node:assert');
const { once } = require('node:events');
const { io } = require('socket.io-client');
const { WebSocket } = require('ws');
const { ca } = require('./support/program');
const { withDaemon, same } = require('./support/same');

withDaemon();

const secure = (c) => (c.tls ? { ca: ca() } : {});

// Messages that come while nobody waits are kept.
function open(c, path, protocols, options) {
  const ws = new WebSocket(`${c.ws}${path}`, protocols, { ...secure(c), ...options });
  const queue = [];
  const waiting = [];
  ws.on('message', (data, binary) => {
    const m = binary ? data : String(data);
    if (waiting.length > 0) waiting.shift()(m);
    else queue.push(m);
  });
  ws.next = () => (queue.length > 0 ? Promise.resolve(queue.shift()) : new Promise((resolve) => { waiting.push(resolve); }));
  return ws;
}

same('ws', 'ws.js', async (c) => {
  const seen = {};
  const ws = open(c, '/chat', ['first', 'second']);
  const upgraded = once(ws, 'upgrade');
  await once(ws, 'open');
  seen.head = c.plain((await upgraded)[0].headers);
  delete seen.head['sec-websocket-accept'];
  seen.greeting = await ws.next();
  assert.strictEqual(seen.greeting, '["/chat","websocket","1.1","first"]');
  ws.send('text');
  seen.echo = await ws.next();
  for (const size of [0, 1, 125, 126, 65535, 65536, 3e6]) {
    const sent = Buffer.alloc(size, 'ws');
    ws.send(sent);
    assert.ok((await ws.next()).equals(sent), `${size} bytes`);
  }
  for (let i = 0; i < 100; i++) ws.send(`m${i}`);
  seen.order = [];
  for (let i = 0; i < 100; i++) seen.order.push(await ws.next());
  ws.ping('p');
  seen.pong = String((await once(ws, 'pong'))[0]);
  ws.send('ping');
  seen.answered = await ws.next();
  assert.strictEqual(seen.answered, 'pong are you there');
  ws.send('close');
  const [code, reason] = await once(ws, 'close');
  seen.close = [code, String(reason)];
  assert.deepStrictEqual(seen.close, [4001, 'as asked']);

  const cut = open(c, '/');
  await once(cut, 'open');
  cut.send('terminate');
  seen.terminated = (await once(cut, 'close'))[0];
  assert.strictEqual(seen.terminated, 1006);
  const client = open(c, '/');
  await once(client, 'open');
  client.close(1000, 'bye');
  seen.closed = (await once(client, 'close'))[0];
  const refused = open(c, '/no');
  const [, res] = await once(refused, 'unexpected-response');
  res.setEncoding('utf8');
  seen.refused = [res.statusCode, (await once(res, 'data'))[0]];
  assert.deepStrictEqual(seen.refused, [401, 'who?']);
  refused.on('error', () => {});
  refused.terminate();
  seen.ordinary = await c.get('/');
  return seen;
});

for (const transports of [['polling'], ['websocket'], ['polling', 'websocket']]) {
  same(`socket.io by ${transports.join(' and then ')}`, 'socketio.js', async (c, program) => {
    const seen = {};
    const socket = io(c.url, { transports, query: { name: 'Jo' }, forceNew: true, reconnection: false, ...secure(c) });
    seen.hello = await new Promise((resolve, reject) => { socket.on('hello', (...all) => resolve(all)); socket.on('connect_error', reject); });
    assert.deepStrictEqual(seen.hello, ['Jo', c.tls]);
    if (transports.length > 1) {
      if (socket.io.engine.transport.name === 'polling') await new Promise((resolve) => { socket.io.engine.once('upgrade', resolve); });
      seen.transport = socket.io.engine.transport.name;
      assert.strictEqual(seen.transport, 'websocket');
    }
    seen.upper = await socket.emitWithAck('upper', 'loud');
    const bytes = await socket.emitWithAck('bytes', Buffer.alloc(500000, 'ab'));
    seen.bytes = [bytes.length, String(bytes.subarray(0, 4))];
    const told = new Promise((resolve) => { socket.on('told', resolve); });
    socket.emit('tell', 'everybody');
    seen.told = await told;
    for (let i = 0; i < 50; i++) assert.strictEqual(await socket.emitWithAck('upper', `x${i}`), `X${i}`);
    const admin = io(`${c.url}/admin`, { transports, forceNew: true, reconnection: false, ...secure(c) });
    seen.admin = await new Promise((resolve) => { admin.on('admin', resolve); });
    admin.disconnect();
    await program.until(/disconnected|listening/);
    const refused = io(c.url, { transports, auth: { token: 'no' }, forceNew: true, reconnection: false, ...secure(c) });
    seen.refused = await new Promise((resolve) => { refused.on('connect_error', (err) => resolve(err.message)); });
    assert.strictEqual(seen.refused, 'not you');
    refused.close();
    seen.beside = (await c.get('/')).body;
    const gone = new Promise((resolve) => { socket.on('disconnect', resolve); });
    socket.emit('bye');
    seen.gone = await gone;
    await program.until(/disconnected: server namespace disconnect/);
    return seen;
  });
}

same('http-proxy', 'http-proxy.js', async (c) => {
  const seen = {};
  seen.echo = await c.post('/', Buffer.alloc(2e6, 'proxy'), 'application/octet-stream');
  assert.deepStrictEqual([seen.echo.body.length, seen.echo.headers['x-behind'], seen.echo.headers['set-cookie']],
    [2e6, c.tls ? 'https' : 'http', ['a=1', 'b=2']]);
  seen.slow = await c.get('/slow');
  assert.strictEqual(seen.slow.body, 'begun done');
  seen.nowhere = await c.get('/nowhere');
  assert.strictEqual(seen.nowhere.status, 502);
  const ws = open(c, '/');
  await once(ws, 'open');
  ws.send('through');
  seen.ws = await ws.next();
  assert.strictEqual(seen.ws, 'behind through');
  ws.close();
  seen.closed = (await once(ws, 'close'))[0];
  return seen;
});
