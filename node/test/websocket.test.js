'use strict';

// WebSockets of serve(): frames on both sides of every rule of RFC 6455, and a
// client of somebody else.

const test = require('node:test');
const assert = require('node:assert');
const { once } = require('node:events');
const net = require('node:net');
const daemon = require('./support/daemon');
const httpsys = require('..');
const { Receiver, encode, encodeClose } = require('../lib/websocket/frame');
const { talk, request } = require('./support/client');
const { WebSocket } = require('./deps/node_modules/ws');

const timeout = 20000;
let child;
test.before(async () => { child = await daemon.start(); });
test.after(() => child.removeAllListeners('exit') && child.kill());

// masked is a frame of a client.
function masked(first, payload, length = undefined) {
  const p = Buffer.from(payload);
  const key = Buffer.from([1, 2, 3, 4]);
  const n = length === undefined ? p.length : length;
  const head = n < 126 ? [first, 0x80 | n] : n < 65536 ? [first, 0xfe, n >> 8, n & 255]
    : [first, 0xff, 0, 0, 0, 0, n >>> 24, n >>> 16 & 255, n >>> 8 & 255, n & 255];
  return Buffer.concat([Buffer.from(head), key, p.map((b, i) => b ^ key[i & 3])]);
}

function receive(bytes, { cut = 0, maxPayload = 1000 } = {}) {
  const got = [];
  const receiver = new Receiver({
    message: (b, text) => got.push(`${text ? 'text' : 'binary'} ${b.length > 20 ? b.length : b}`),
    pinged: (b) => got.push(`ping ${b}`),
    ponged: (b) => got.push(`pong ${b}`),
    closed: (code, reason) => got.push(`close ${code} ${reason}`),
  }, maxPayload);
  try {
    if (cut < 0) for (const b of bytes) receiver.push(Buffer.from([b]));
    else for (const part of [bytes.subarray(0, cut), bytes.subarray(cut)]) if (part.length > 0) receiver.push(Buffer.from(part));
  } catch (err) {
    got.push(err.status);
  }
  return got;
}

const good = [
  ['text', [masked(0x81, 'hello')], ['text hello']],
  ['binary', [masked(0x82, 'hello')], ['binary hello']],
  ['empty', [masked(0x81, '')], ['text ']],
  ['126 bytes', [masked(0x82, Buffer.alloc(126))], ['binary 126']],
  ['fragments', [masked(0x01, 'a'), masked(0x00, 'b'), masked(0x80, 'c')], ['text abc']],
  ['a ping between fragments', [masked(0x01, 'a'), masked(0x89, 'p'), masked(0x80, 'c')], ['ping p', 'text ac']],
  ['an empty last fragment', [masked(0x01, 'a'), masked(0x80, '')], ['text a']],
  ['a character across fragments', [masked(0x01, [0xc3]), masked(0x80, [0xa9])], ['text é']],
  ['pong', [masked(0x8a, 'x')], ['pong x']],
  ['close', [masked(0x88, [3, 232, 0x62])], ['close 1000 b']],
  ['close without a code', [masked(0x88, '')], ['close 1005 ']],
  ['nothing after close', [masked(0x88, ''), masked(0x81, 'x')], ['close 1005 ']],
  ['the longest message', [masked(0x82, Buffer.alloc(1000))], ['binary 1000']],
];
const bad = [
  ['not masked', [Buffer.from([0x81, 1, 0x61])], 1002],
  ['a reserved bit', [masked(0xc1, 'x')], 1002],
  ['an unknown opcode', [masked(0x83, 'x')], 1002],
  ['an unknown control opcode', [masked(0x8b, 'x')], 1002],
  ['a fragmented ping', [masked(0x09, 'x')], 1002],
  ['a ping of 126 bytes', [masked(0x89, Buffer.alloc(126))], 1002],
  ['a continuation of nothing', [masked(0x80, 'x')], 1002],
  ['a message inside a message', [masked(0x01, 'x'), masked(0x81, 'y')], 1002],
  ['half a close code', [masked(0x88, [3])], 1002],
  ['close 1005', [masked(0x88, [3, 237])], 1002],
  ['close 999', [masked(0x88, [3, 231])], 1002],
  ['close with bad UTF-8', [masked(0x88, [3, 232, 0xff])], 1007],
  ['text with bad UTF-8', [masked(0x81, [0xff])], 1007],
  ['a message that is too long', [masked(0x82, Buffer.alloc(1001))], 1009],
  ['fragments that are too long', [masked(0x02, Buffer.alloc(999)), masked(0x80, 'xx')], 1009],
  ['a length that nobody sends', [masked(0x82, '', 0xffffffff)], 1009],
];

test('frames', async (t) => {
  for (const [name, frames, want] of good) {
    await t.test(name, () => {
      const all = Buffer.concat(frames);
      for (let cut = -1; cut <= all.length; cut++) assert.deepStrictEqual(receive(all, { cut }), want, `cut at ${cut}`);
    });
  }
  for (const [name, frames, status] of bad) {
    await t.test(name, () => {
      const all = Buffer.concat(frames);
      for (let cut = -1; cut <= all.length; cut++) assert.strictEqual(receive(all, { cut }).at(-1), status, `cut at ${cut}`);
    });
  }
});

test('a million fragments of one byte cost the memory of one message', () => {
  const one = masked(0x00, 'x');
  const receiver = new Receiver({ message(b) { this.n = b.length; } }, 1 << 20);
  receiver.push(masked(0x01, 'x'));
  for (let i = 0; i < 1e6; i++) receiver.push(Buffer.from(one));
  assert.strictEqual(receiver.fragments.length, 1e6 + 1);
  assert.ok(receiver.fragments.b.length <= 4e6);
});

// A pseudo-random stream of bytes is refused or read, never more.
test('noise', () => {
  let seed = 1;
  const next = () => (seed = (seed * 1103515245 + 12345) & 0x7fffffff) >>> 16 & 255;
  for (let i = 0; i < 2000; i++) receive(Buffer.from(Array.from({ length: 30 }, next)), { cut: next() % 30 });
});

async function serving(t, fetch) {
  const server = await httpsys.serve({ url: 'http://127.0.0.1:0/', fetch }).ready;
  t.after(() => server.close(true));
  return server;
}

test('a conversation with ws', { timeout }, async (t) => {
  const log = [];
  const { port } = await serving(t, (req, info) => {
    const { socket, response } = info.upgradeWebSocket({ protocol: 'chat' });
    assert.throws(() => socket.send('too early'), { name: 'InvalidStateError' });
    socket.binaryType = 'arraybuffer';
    socket.onopen = () => log.push(`open ${socket.url.replace(/\d+/, 'PORT').slice(-2)} ${socket.readyState}`);
    socket.onmessage = ({ data }) => socket.send(typeof data === 'string' ? data.toUpperCase() : data);
    socket.onclose = ({ code, reason, wasClean }) => log.push(`close ${code} ${reason} ${wasClean}`);
    return response;
  });
  const ws = new WebSocket(`ws://127.0.0.1:${port}/a`, 'chat');
  await once(ws, 'open');
  assert.strictEqual(ws.protocol, 'chat');
  for (const size of [1, 125, 126, 65535, 65536, 3e6]) {
    const data = Buffer.alloc(size, 'x');
    ws.send(data);
    assert.ok((await once(ws, 'message'))[0].equals(data), `${size} bytes`);
  }
  ws.send('hello');
  assert.strictEqual(String((await once(ws, 'message'))[0]), 'HELLO');
  ws.ping('p');
  assert.strictEqual(String((await once(ws, 'pong'))[0]), 'p');
  ws.close(3001, 'enough');
  const [code] = await once(ws, 'close');
  assert.strictEqual(code, 3001);
  assert.deepStrictEqual(log, ['open /a 1', 'close 3001 enough true']);
});

test('the server closes, and a client that vanishes', { timeout }, async (t) => {
  let closed;
  const events = [];
  const { port } = await serving(t, (req, info) => {
    const { socket, response } = info.upgradeWebSocket();
    socket.onclose = ({ code, wasClean }) => { events.push([code, wasClean]); closed(); };
    socket.onopen = () => req.url.endsWith('/close') && socket.close(1000, 'bye');
    return response;
  });
  let over = new Promise((resolve) => { closed = resolve; });
  const ws = new WebSocket(`ws://127.0.0.1:${port}/close`);
  const [code, reason] = await once(ws, 'close');
  assert.deepStrictEqual([code, String(reason)], [1000, 'bye']);
  await over;
  over = new Promise((resolve) => { closed = resolve; });
  const gone = new WebSocket(`ws://127.0.0.1:${port}/`);
  await once(gone, 'open');
  gone.terminate();
  await over;
  assert.deepStrictEqual(events, [[1000, true], [1006, false]]);
});

test('a client that breaks the rules is told, and closed', { timeout }, async (t) => {
  const errors = [];
  const { port } = await serving(t, (req, info) => {
    const { socket, response } = info.upgradeWebSocket({ maxPayload: 100 });
    socket.onerror = ({ error }) => errors.push(error.status);
    return response;
  });
  const hello = 'GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n';
  for (const [frame, status] of [[masked(0x83, ''), 1002], [masked(0x82, Buffer.alloc(101)), 1009], [masked(0x81, [0xff]), 1007]]) {
    const socket = net.connect(port, '127.0.0.1');
    socket.write(hello);
    const [head] = await once(socket, 'data');
    assert.match(String(head), /^HTTP\/1\.1 101 [^]*Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=\r\n/);
    socket.write(frame);
    let rest = Buffer.alloc(0);
    for await (const d of socket) rest = Buffer.concat([rest, d]);
    assert.deepStrictEqual([rest[0], rest.readUInt16BE(2)], [0x88, status]);
  }
  assert.deepStrictEqual(errors, [1002, 1009, 1007]);
});

test('requests that ask for no WebSocket', { timeout }, async (t) => {
  const { port } = await serving(t, (req, info) => {
    assert.throws(() => info.upgradeWebSocket(), TypeError);
    return new Response('no');
  });
  assert.strictEqual((await request(port)).body, 'no');
  for (const lines of ['Sec-WebSocket-Version: 12\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==', 'Sec-WebSocket-Version: 13', 'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: short']) {
    const got = await talk(port, `GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\n${lines}\r\n\r\n`);
    assert.match(got, /^HTTP\/1\.1 200 [^]*no$/);
  }
});

test('Blobs keep their place, also before a close', { timeout }, async (t) => {
  const { port } = await serving(t, (req, info) => {
    const { socket, response } = info.upgradeWebSocket();
    socket.onopen = () => {
      socket.send(new Blob(['one']));
      socket.send('two');
      socket.send(new Blob(['three', 'four']));
      assert.strictEqual(socket.bufferedAmount, 3 + 2 + 3 + 9);
      socket.close(3000, 'end');
    };
    return response;
  });
  const client = new WebSocket(`ws://127.0.0.1:${port}/`);
  const got = [];
  client.on('message', (m) => got.push(String(m)));
  const [code, reason] = await once(client, 'close');
  assert.deepStrictEqual([...got, code, String(reason)], ['one', 'two', 'threefour', 3000, 'end']);
});

test('a Blob that cannot be read ends it', { timeout }, async (t) => {
  let failed;
  const broken = new Promise((resolve) => { failed = resolve; });
  const { port } = await serving(t, (req, info) => {
    const { socket, response } = info.upgradeWebSocket();
    socket.onerror = failed;
    socket.onopen = () => {
      const blob = new Blob(['x']);
      blob.arrayBuffer = () => Promise.reject(new Error('the file has changed'));
      socket.send(blob);
      socket.send('behind');
    };
    return response;
  });
  const client = new WebSocket(`ws://127.0.0.1:${port}/`);
  assert.strictEqual((await once(client, 'close'))[0], 1011);
  assert.match((await broken).error.message, /the file has changed/);
});

test('fields of the response go with it, and another response is a mistake', { timeout }, async (t) => {
  const said = [];
  t.mock.method(console, 'error', (err) => said.push(err.message));
  const { port } = await serving(t, (req, info) => {
    const { response } = info.upgradeWebSocket();
    response.headers.append('Set-Cookie', 'a=1');
    response.headers.append('Set-Cookie', 'b=2');
    response.headers.set('Upgrade', 'x');
    if (req.url.endsWith('/other')) return new Response(response.body, response);
    if (req.url.endsWith('/no')) return new Response('no', { status: 403 });
    return response;
  });
  const client = new WebSocket(`ws://127.0.0.1:${port}/`);
  const [{ headers }] = await once(client, 'upgrade');
  assert.deepStrictEqual([headers['set-cookie'], headers.upgrade], [['a=1', 'b=2'], 'websocket']);
  client.terminate();
  for (const [path, status] of [['other', 500], ['no', 403]]) {
    const refused = new WebSocket(`ws://127.0.0.1:${port}/${path}`);
    const [, res] = await once(refused, 'unexpected-response');
    assert.strictEqual(res.statusCode, status);
    refused.on('error', () => {});
    refused.terminate();
  }
  assert.deepStrictEqual(said, ['the handler accepted a WebSocket: it must return the response of upgradeWebSocket() itself']);
});

test('what the server writes', () => {
  assert.deepStrictEqual(encode(1, Buffer.from('hi')), Buffer.from([0x81, 2, 0x68, 0x69]));
  assert.deepStrictEqual(encode(2, Buffer.alloc(126)).subarray(0, 4), Buffer.from([0x82, 126, 0, 126]));
  assert.deepStrictEqual(encode(2, Buffer.alloc(65536)).subarray(0, 10), Buffer.from([0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]));
  assert.deepStrictEqual(encodeClose(1000, 'x'), Buffer.from([0x88, 3, 3, 232, 0x78]));
});
