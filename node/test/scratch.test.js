'use strict';

// InboundTcpSocket and HTTPServer, and the examples that go with them.

const test = require('node:test');
const assert = require('node:assert');
const childProcess = require('node:child_process');
const net = require('node:net');
const path = require('node:path');
const { once } = require('node:events');
const daemon = require('./support/daemon');
const { InboundTcpSocket, HTTPServer } = require('..');
const { talk, request } = require('./support/client');

const timeout = 20000;
let child;
test.before(async () => { child = await daemon.start(); });
test.after(() => child.removeAllListeners('exit') && child.kill());

async function tcp(t, handler) {
  const server = await new InboundTcpSocket('127.0.0.1', 0).listen(handler).ready;
  t.after(() => server.close());
  return server;
}

test('bytes in, bytes out', { timeout }, async (t) => {
  const seen = [];
  let over;
  const done = new Promise((resolve) => { over = resolve; });
  const { port, url } = await tcp(t, (bytes, response, error) => {
    if (bytes === null) {
      seen.push(`end ${error}`);
      over();
      return;
    }
    response.state = (response.state || '') + bytes;
    seen.push(response.state);
    response.write(`${bytes}`.toUpperCase());
    assert.deepStrictEqual([response.remoteAddress, typeof response.remotePort, response.localPort, response.closed], ['127.0.0.1', 'number', port, false]);
  });
  assert.strictEqual(url, `tcp://127.0.0.1:${port}/`);
  const socket = net.connect({ port, host: '127.0.0.1' }).setEncoding('latin1');
  socket.write('one');
  assert.strictEqual((await once(socket, 'data'))[0], 'ONE');
  socket.write('two');
  assert.strictEqual((await once(socket, 'data'))[0], 'TWO');
  socket.end();
  await once(socket, 'close');
  await done;
  assert.deepStrictEqual(seen, ['one', 'onetwo', 'end null']);
});

test('an echo of megabytes holds the client back', { timeout }, async (t) => {
  const { port } = await tcp(t, (bytes, response) => { if (bytes !== null) response.write(bytes); });
  const all = Buffer.alloc(4 << 20, 'abcdefghijk');
  const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  socket.end(all);
  const got = [];
  for await (const d of socket) got.push(d);
  assert.ok(Buffer.concat(got).equals(all));
});

test('end, destroy, and a client that is lost', { timeout }, async (t) => {
  let lost;
  const gone = new Promise((resolve) => { lost = resolve; });
  const { port } = await tcp(t, (bytes, response, error) => {
    if (error) lost(error);
    if (String(bytes) === 'end') {
      response.end('bye');
      assert.strictEqual(response.write('late'), false);
    }
    if (String(bytes) === 'destroy') response.destroy();
    if (String(bytes) === 'stay') response.write('here');
    if (bytes !== null) assert.throws(() => response.write(1), TypeError);
  });
  assert.strictEqual(await talk(port, 'end'), 'bye');
  assert.match(await talk(port, 'destroy'), /^$|ECONNRESET/);
  const socket = net.connect(port, '127.0.0.1');
  socket.write('stay');
  await once(socket, 'data');
  socket.resetAndDestroy ? socket.resetAndDestroy() : socket.destroy();
  assert.strictEqual((await gone).code, 'ECONNRESET');
});

test('wrong arguments, and a port that is taken', { timeout }, async (t) => {
  assert.throws(() => new InboundTcpSocket('a', 65536), { code: 'ERR_SOCKET_BAD_PORT' });
  assert.throws(() => new InboundTcpSocket('a', 1).listen(), { code: 'ERR_INVALID_ARG_TYPE' });
  const { port } = await tcp(t, () => {});
  await assert.rejects(new InboundTcpSocket('127.0.0.1', port).listen(() => {}).ready, { code: 'EADDRINUSE' });
  await assert.rejects(new HTTPServer('127.0.0.1', port).listen(() => {}).ready, { code: 'EADDRINUSE' });
});

test('HTTPServer', { timeout }, async (t) => {
  const server = new HTTPServer('127.0.0.1', 0).listen(async (req, response, error) => {
    assert.strictEqual(error, null);
    const { pathname } = new URL(req.url);
    if (pathname === '/throw') throw new Error('thrown');
    if (pathname === '/response') return response.respondWith(new Response('mine', { status: 201 }));
    response.status = 202;
    response.headers.set('x-a', '1');
    if (pathname === '/big') {
      for (let i = 0; i < 64; i++) if (!response.write(Buffer.alloc(65536, 'x'))) await response.drained();
    } else {
      response.write(`${req.method} `);
    }
    return response.end(await req.text());
  });
  await server.ready;
  t.after(() => server.close(true));
  t.mock.method(console, 'error', () => {});
  const r = await request(server.port, { method: 'POST', path: '/x' }, 'body');
  assert.deepStrictEqual([r.status, r.headers['x-a'], r.body], [202, '1', 'POST body']);
  assert.strictEqual((await request(server.port, { path: '/throw' })).status, 500);
  assert.deepStrictEqual((await request(server.port, { path: '/response' })).body, 'mine');
  assert.strictEqual((await request(server.port, { path: '/big' })).body.length, 64 * 65536);
});

test('HTTPServer: a client that leaves costs nobody anything', { timeout }, async (t) => {
  const said = [];
  t.mock.method(console, 'error', (err) => said.push(err.message));
  let begun;
  let stopped;
  const server = new HTTPServer('127.0.0.1', 0).listen((req, response, error) => {
    if (req.url.endsWith('/alive')) return response.end('yes');
    if (error !== null) { // a program that does not look at it would do this
      response.write('again');
      return response.end('and again');
    }
    const timer = setInterval(async () => {
      if (!response.write(Buffer.alloc(100000))) await response.drained();
      begun();
      if (!response.closed) return;
      clearInterval(timer);
      stopped();
    }, 1);
  });
  await server.ready;
  t.after(() => server.close(true));
  for (const writes of [1, 3]) {
    const socket = net.connect(server.port, '127.0.0.1');
    const stop = new Promise((resolve) => { stopped = resolve; });
    for (let i = 0; i < writes; i++) {
      const one = new Promise((resolve) => { begun = resolve; });
      if (i === 0) socket.write('GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n');
      await one;
      socket.read();
    }
    socket.resetAndDestroy();
    await stop;
  }
  assert.strictEqual((await request(server.port, { path: '/alive' })).body, 'yes');
  assert.deepStrictEqual(said, []);
});

test('HTTPServer: mistakes of the handler', { timeout }, async (t) => {
  const said = [];
  t.mock.method(console, 'error', (err) => said.push(err.message));
  const server = new HTTPServer('127.0.0.1', 0).listen(async (req, response) => {
    switch (new URL(req.url).pathname) {
      case '/number': response.write(5); break;
      case '/twice':
        response.write('a');
        response.end('b');
        response.end('c');
        assert.strictEqual(response.write('d'), false);
        await response.drained();
        break;
      case '/late':
        response.end('x');
        throw new Error('behind the end');
      case '/middle':
        response.write('x'.repeat(100000));
        await response.drained();
        throw new Error('in the middle');
      default: return new Response('returned');
    }
    return undefined;
  });
  await server.ready;
  t.after(() => server.close(true));
  const ask = (path) => request(server.port, { path }).then((r) => `${r.status} ${r.body}`, (err) => err.code);
  assert.strictEqual(await ask('/number'), '500 Internal Server Error\n');
  assert.strictEqual(await ask('/twice'), '200 ab');
  assert.strictEqual(await ask('/late'), '200 x');
  assert.strictEqual(await ask('/middle'), 'ECONNRESET');
  assert.strictEqual(await ask('/'), '200 returned');
  assert.deepStrictEqual(said, ['write() takes a string or a Uint8Array', 'behind the end', 'in the middle']);
});

test('listen and close out of order', { timeout }, async () => {
  for (const Class of [InboundTcpSocket, HTTPServer]) {
    const server = new Class('127.0.0.1', 0);
    await assert.rejects(server.close(), { code: 'ERR_SERVER_NOT_RUNNING' });
    assert.deepStrictEqual([server.url, server.port, server.ready], [undefined, undefined, null]);
    await server.listen(() => {}).ready;
    assert.throws(() => server.listen(() => {}), { code: 'ERR_SERVER_ALREADY_LISTEN' });
    await server.close();
    await server.close();
    await server.listen(() => {}).ready;
    await server.close();
  }
});

// example starts one and gives its port.
async function example(t, name) {
  const file = path.join(__dirname, '..', '..', 'examples', 'node', 'from-scratch', name);
  const app = childProcess.spawn(process.execPath, [file, '0'], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => app.kill());
  const [line] = await once(app.stdout, 'data');
  return Number(/:(\d+)\//.exec(String(line))[1]);
}

test('the example with bytes', { timeout }, async (t) => {
  const port = await example(t, 'server.js');
  assert.strictEqual((await request(port, { path: '/hello' })).body, 'GET /hello from 127.0.0.1\n');
  const two = await talk(port, 'GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.0\r\n\r\n');
  assert.match(two, /GET \/1 from[^]*HTTP\/1\.1 200 OK[^]*GET \/2 from/);
  assert.match(await talk(port, 'hello\r\n\r\n'), /^HTTP\/1\.1 400 /);
  assert.match(await talk(port, 'x'.repeat(70000)), /^HTTP\/1\.1 431 /);
  assert.match(await talk(port, 'POST / HTTP/1.1\r\nContent-Length: 1\r\n\r\nx'), /^HTTP\/1\.1 501 /);
});

test('the example with requests', { timeout }, async (t) => {
  const port = await example(t, 'parsed.js');
  assert.strictEqual((await request(port, { path: '/hello' })).body, 'GET /hello\n');
  assert.strictEqual((await request(port, { method: 'POST', path: '/hello' }, 'x')).body, 'POST /hello with x\n');
});
