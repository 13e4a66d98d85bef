'use strict';

// Output caching: the daemon answers, and the program is not asked.

const test = require('node:test');
const assert = require('node:assert');
const daemon = require('./support/daemon');

process.env.HTTPSYS_CACHE_DURATION = '0';
const httpsys = require('..');
const { listening, request } = require('./support/client');

const timeout = 20000;
let child;
test.before(async () => { child = await daemon.start(); });
test.after(() => child.removeAllListeners('exit') && child.kill());

test('res.cacheDuration, and the same on the socket', { timeout }, async (t) => {
  let asked = 0;
  const port = await listening(t, httpsys.http().createServer((req, res) => {
    asked++;
    if (req.url === '/cached') res.cacheDuration = 60;
    if (req.url === '/socket') req.socket.cacheDuration = 60;
    if (req.url === '/pieces') {
      res.cacheDuration = 60;
      res.write('a');
    }
    res.end(`${asked}`);
  }));
  for (const [path, times] of [['/not', 3], ['/cached', 1], ['/socket', 1], ['/pieces', 1]]) {
    const before = asked;
    const got = [];
    for (let i = 0; i < 3; i++) got.push(await request(port, { path }));
    assert.strictEqual(asked - before, times, path);
    assert.strictEqual(new Set(got.map((r) => r.body)).size, times, path);
    assert.ok(got.every((r) => r.status === 200 && r.headers['httpsys-cache-control'] === undefined), path);
  }
});

test('serve({ cacheDuration })', { timeout }, async (t) => {
  let asked = 0;
  const server = await httpsys.serve({ url: 'http://127.0.0.1:0/', cacheDuration: 60 }, (req) => {
    asked++;
    return new Response('x', req.url.endsWith('/no') ? { headers: { 'Httpsys-Cache-Control': 'no-store' } } : {});
  }).ready;
  t.after(() => server.close(true));
  for (let i = 0; i < 3; i++) await request(server.port);
  assert.strictEqual(asked, 1);
  for (let i = 0; i < 3; i++) await request(server.port, { path: '/no' });
  assert.strictEqual(asked, 4);
});
