'use strict';

// Fastify, Koa, hapi, Nest and Hono.

const assert = require('node:assert');
const { once } = require('node:events');
const { WebSocket } = require('ws');
const { ca } = require('./support/program');
const { withDaemon, same } = require('./support/same');

withDaemon();

same('fastify', 'fastify.js', async (c) => {
  const seen = {};
  seen.hello = await c.get('/');
  assert.strictEqual(seen.hello.body, '{"hello":"world"}');
  seen.facts = await c.get('/facts');
  seen.checked = await c.post('/checked', { n: 21 });
  assert.strictEqual(seen.checked.body, '{"twice":42}');
  seen.wrong = await c.post('/checked', { n: 'x' });
  assert.strictEqual(seen.wrong.status, 400);
  seen.stream = await c.get('/stream');
  seen.throws = await c.get('/throws');
  seen.hijacked = await c.get('/hijacked');
  seen.missing = await c.get('/missing');
  seen.media = await c.post('/checked', 'x', 'text/csv');
  const ws = new WebSocket(`${c.ws}/ws`, c.tls ? { ca: ca() } : {});
  await once(ws, 'open');
  ws.send('there');
  seen.ws = String((await once(ws, 'message'))[0]);
  assert.strictEqual(seen.ws, 'ws there');
  ws.close();
  await once(ws, 'close');
  seen.seen = await c.get('/seen');
  return seen;
});

same('koa', 'koa.js', async (c) => {
  const seen = {};
  for (const path of ['/', '/json', '/file', '/cookie', '/throws', '/fails', '/empty', '/message', '/raw', '/nothing', '/log']) {
    seen[path] = await c.get(path);
  }
  assert.deepStrictEqual([seen['/'].body, seen['/'].headers['x-took'], seen['/message'].message], ['koa', 'true', 'Just Fine']);
  seen.echo = await c.post('/echo', Buffer.alloc(1e6, 'echo'), 'application/octet-stream');
  assert.strictEqual(seen.echo.body.length, 1e6);
  seen.head = await c.request('HEAD', '/');
  return seen;
});

same('hapi', 'hapi.js', async (c) => {
  const seen = {};
  for (const path of ['/', '/facts', '/stream', '/throws', '/missing', '/etag']) seen[path] = await c.get(path);
  assert.strictEqual(seen['/'].body, 'hapi');
  seen.fresh = await c.get('/etag', { 'If-None-Match': '"abc"' });
  assert.strictEqual(seen.fresh.status, 304);
  seen.cookie = await c.get('/cookie', { Cookie: 'n=5' });
  seen.echo = await c.post('/echo', { a: [1, 2] });
  seen.large = await c.post('/echo', Buffer.from(JSON.stringify({ a: 'x'.repeat(2e6) })));
  seen.small = await c.post('/small', { a: 'x'.repeat(200) });
  assert.strictEqual(seen.small.status, 413);
  seen.bad = await c.post('/echo', Buffer.from('{'));
  return seen;
});

same('nest', 'nest.js', async (c) => {
  const seen = {};
  seen.empty = await c.get('/cats?limit=3');
  seen.add = await c.post('/cats', { name: 'Tom' });
  assert.deepStrictEqual([seen.add.status, seen.add.body], [202, '1']);
  seen.all = await c.get('/cats');
  assert.strictEqual(seen.all.body, '{"cats":[{"name":"Tom"}]}');
  seen.one = await c.get('/cats/7');
  seen.forbidden = await c.get('/cats/forbidden');
  assert.strictEqual(seen.forbidden.status, 403);
  seen.events = await c.get('/cats/events');
  assert.match(seen.events.body, /data: \{"n":3\}/);
  seen.missing = await c.get('/dogs');
  seen.cors = await c.request('OPTIONS', '/cats', { headers: { Origin: 'http://x', 'Access-Control-Request-Method': 'POST' } });
  assert.strictEqual(seen.cors.status, 204);
  delete seen.cors.headers['content-length']; // of 204: RFC 9110 8.6 forbids it, and the daemon leaves it out
  return seen;
});

same('hono', 'hono.js', async (c) => {
  const seen = {};
  for (const path of ['/', '/api/json?q=a%20b', '/stream', '/sse', '/cookies', '/fails', '/missing']) seen[path] = await c.get(path);
  assert.deepStrictEqual([seen['/'].body, seen['/stream'].body, seen['/cookies'].headers['set-cookie']], ['hono', 'abc', ['a=1', 'b=2']]);
  seen.echo = await c.post('/api/echo', { deep: [1, { a: 2 }] });
  seen.bytes = await c.post('/bytes', Buffer.alloc(700000, 'z'), 'application/octet-stream');
  assert.strictEqual(seen.bytes.body.length, 700000);
  const part = (head, data) => `--XX\r\nContent-Disposition: form-data; ${head}\r\n\r\n${data}\r\n`;
  seen.form = await c.post('/form', `${part('name="a"', '1')}${part('name="file"; filename="f"', 'content')}--XX--\r\n`, 'multipart/form-data; boundary=XX');
  assert.strictEqual(seen.form.body, '1 content');
  seen.cors = await c.request('OPTIONS', '/api/json', { headers: { Origin: 'http://x', 'Access-Control-Request-Method': 'GET' } });
  seen.head = await c.request('HEAD', '/');
  return seen;
});
