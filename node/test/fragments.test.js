'use strict';

// Fragments: stored at the daemon once, written into many responses; and compression by the daemon.

const test = require('node:test');
const assert = require('node:assert');
const daemon = require('./support/daemon');
const httpsys = require('..');
const { listening, request } = require('./support/client');

const timeout = 30000;
let child;
test.before(async () => { child = await daemon.start(); });
test.after(() => child.removeAllListeners('exit') && child.kill());

const large = Buffer.alloc(3_000_000, '0123456789');

test('res.writeFragment puts stored bytes into a response', { timeout }, async (t) => {
  const handlers = {
    '/page': (res) => { res.write('<html>'); res.writeFragment('/menu'); res.end('</html>'); },
    '/first': (res) => { res.writeFragment('/menu'); res.end(); },
    '/range': (res) => { res.writeFragment('/menu', { offset: 1, length: 4 }); res.end(); },
    '/length': (res) => { res.setHeader('Content-Length', large.length + 1); res.writeFragment('/large'); res.end('!'); },
    '/corked': (res) => { res.cork(); res.write('a'); res.writeFragment('/menu'); res.write('b'); res.uncork(); res.end('c'); },
    '/many': (res) => { for (let i = 0; i < 1000; i++) { res.writeFragment('/menu'); res.write(','); } res.end(); },
    '/big': (res) => { res.write(large); res.writeFragment('/large'); res.write(large); res.end(); },
    '/none': (res) => { res.writeHead(204); res.writeFragment('/menu'); res.end(); },
    '/trailers': (res) => { res.setHeader('Trailer', 'X'); res.writeFragment('/menu'); res.addTrailers({ X: 'y' }); res.end(); },
  };
  const server = httpsys.http().createServer((req, res) => handlers[req.url](res));
  const port = await listening(t, server);
  const name = await server.addFragment('/menu', '<menu>', { ttl: 3600, tags: ['a', 'b'] });
  assert.match(name, /^http:\/\/.*:\d+\/menu$/);
  assert.strictEqual(await server.addFragment(name, Buffer.from('<menu>')), name);
  await server.addFragment('/large', large);
  assert.deepStrictEqual(await server.readFragment('/large'), large);
  const all = large.toString();
  const want = {
    '/page': '<html><menu></html>', '/first': '<menu>', '/range': 'menu', '/length': `${all}!`, '/corked': 'a<menu>bc',
    '/many': '<menu>,'.repeat(1000), '/big': all + all + all, '/none': '', '/trailers': '<menu>',
  };
  for (const [path, body] of Object.entries(want)) {
    const got = await request(port, { path });
    assert.strictEqual(got.status, path === '/none' ? 204 : 200, path);
    assert.ok(got.body === body, `${path}: ${got.body.length} bytes`);
    if (path === '/trailers') continue; // Node refuses them for HEAD
    const head = await request(port, { path, method: 'HEAD' });
    assert.strictEqual(head.body, '', path);
  }
});

test('what is not there fails the response, and what is wrong is said', { timeout }, async (t) => {
  let warning;
  const warned = new Promise((resolve) => { process.on('warning', function listen(w) { if (w.code === 'HTTPSYS_BAD_RESPONSE') { warning = w; process.off('warning', listen); resolve(); } }); });
  const server = httpsys.http().createServer((req, res) => {
    res.write('before');
    assert.throws(() => res.writeFragment(''), { code: 'ERR_OUT_OF_RANGE' });
    assert.throws(() => res.writeFragment(7), { code: 'ERR_INVALID_ARG_TYPE' });
    assert.throws(() => res.writeFragment('/x', { offset: -1 }), { code: 'ERR_OUT_OF_RANGE' });
    res.writeFragment('/gone');
    res.end();
    assert.throws(() => res.writeFragment('/x'), { code: 'ERR_STREAM_WRITE_AFTER_END' });
  });
  await assert.rejects(server.addFragment('/x', 'x'), { code: 'ERR_SERVER_NOT_RUNNING' });
  const port = await listening(t, server);
  assert.strictEqual((await request(port)).status, 500);
  await warned;
  assert.match(warning.message, /gone" is not stored/);
  assert.strictEqual(await server.readFragment('/gone'), undefined);
  assert.strictEqual(await server.deleteFragment('/gone'), false);
  await assert.rejects(server.addFragment('http://*:1/', 'x'), { daemonCode: 'access_denied' });
  await assert.rejects(server.addFragment('/x', 'x', { ttl: 0.5 }), { code: 'ERR_OUT_OF_RANGE' });
  await assert.rejects(server.addFragment('/x', 7), { code: 'ERR_INVALID_ARG_TYPE' });
  await server.addFragment('/gone', 'here', { tags: 'red' });
  assert.strictEqual((await request(port)).body, 'beforehere');
  assert.strictEqual(await server.flush({ tag: 'red' }), 1);
  await server.addFragment('/gone', 'here');
  assert.strictEqual(await server.flush({ url: '/', recursive: true }), 1);
  await server.addFragment('/gone', 'here');
  assert.strictEqual(await server.deleteFragment('/gone'), true);
  // Other servers have no such responses.
  const plain = require('node:http').createServer((req, res) => {
    assert.throws(() => res.writeFragment('/x'), { code: 'ERR_FEATURE_UNAVAILABLE_ON_PLATFORM' });
    res.end('plain');
  });
  await new Promise((resolve) => { plain.listen(0, resolve); });
  t.after(() => plain.close());
  assert.strictEqual((await request(plain.address().port)).body, 'plain');
});

test('compress: the daemon compresses for who takes it', { timeout }, async (t) => {
  const text = 'some text that repeats itself. '.repeat(200);
  const server = httpsys.http().createServer((req, res) => {
    res.setHeader('Content-Type', 'text/plain');
    if (req.url === '/off') res.setHeader('Httpsys-Compress', 'off');
    res.end(text);
  });
  await new Promise((resolve) => { server.listen({ url: 'http://127.0.0.1:0/', compress: true }, resolve); });
  t.after(() => server.close());
  const fetched = await httpsys.serve({ url: 'http://127.0.0.1:0/', compress: true }, () => new Response(text)).ready;
  t.after(() => fetched.close(true));
  for (const port of [server.address().port, fetched.port]) {
    const packed = await request(port, { headers: { 'Accept-Encoding': 'gzip' }, encoding: 'latin1' });
    assert.strictEqual(packed.headers['content-encoding'], 'gzip');
    assert.strictEqual(packed.headers.vary, 'Accept-Encoding');
    assert.strictEqual((await request(port)).body, text);
  }
  const off = await request(server.address().port, { path: '/off', headers: { 'Accept-Encoding': 'gzip' } });
  assert.strictEqual(off.headers['content-encoding'], undefined);
  assert.strictEqual(off.body, text);
});
