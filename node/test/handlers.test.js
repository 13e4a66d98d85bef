'use strict';

// Frameworks of the web-standard kind run on serve() in one line.

const test = require('node:test');
const assert = require('node:assert');
const daemon = require('./support/daemon');
const httpsys = require('..');
const { request } = require('./support/client');

const timeout = 20000;
let child;
test.before(async () => { child = await daemon.start(); });
test.after(() => child.removeAllListeners('exit') && child.kill());

test('Hono', { timeout }, async (t) => {
  const { Hono } = require('./deps/node_modules/hono');
  const app = new Hono();
  let waited = 0;
  app.use('*', async (c, next) => { await next(); c.header('x-after', 'yes'); });
  app.get('/hello/:name', (c) => c.text(`hello ${c.req.param('name')}`));
  app.post('/json', async (c) => c.json({ got: await c.req.json(), from: c.env.remoteAddr.hostname }, 201));
  app.get('/wait', (c) => { c.executionCtx.waitUntil(Promise.resolve().then(() => { waited++; })); return c.body(null, 204); });
  app.get('/boom', () => { throw new Error('boom'); });
  app.onError((err, c) => c.text(err.message, 500));

  const server = await httpsys.serve({ url: 'http://127.0.0.1:0/', fetch: app.fetch }).ready; // the one line
  t.after(() => server.close(true));
  const get = async (path, options, body) => {
    const r = await request(server.port, { path, ...options }, body);
    return [r.status, r.body, r.headers['x-after']];
  };
  assert.deepStrictEqual(await get('/hello/you'), [200, 'hello you', 'yes']);
  assert.deepStrictEqual(await get('/json', { method: 'POST' }, '[1]'), [201, '{"got":[1],"from":"127.0.0.1"}', 'yes']);
  assert.deepStrictEqual(await get('/none'), [404, '404 Not Found', 'yes']);
  assert.strictEqual((await get('/boom'))[1], 'boom');
  await get('/wait');
  assert.strictEqual(waited, 1);
});

test('h3', { timeout }, async (t) => {
  const { createApp, createRouter, eventHandler, readBody, toWebHandler, setHeader } = require('./deps/node_modules/h3');
  const app = createApp();
  app.use(createRouter()
    .get('/hello', eventHandler((event) => { setHeader(event, 'x-h3', '1'); return 'hello'; }))
    .post('/json', eventHandler(async (event) => ({ got: await readBody(event) }))));

  const server = await httpsys.serve({ url: 'http://127.0.0.1:0/', fetch: toWebHandler(app) }).ready; // the one line
  t.after(() => server.close(true));
  const r = await request(server.port, { path: '/hello' });
  assert.deepStrictEqual([r.status, r.body, r.headers['x-h3']], [200, 'hello', '1']);
  const posted = await request(server.port, { path: '/json', method: 'POST', headers: { 'content-type': 'application/json' } }, '{"a":1}');
  assert.deepStrictEqual(JSON.parse(posted.body), { got: { a: 1 } });
});

test('with the global classes replaced', { timeout }, async (t) => {
  const before = [globalThis.Request, globalThis.Response];
  t.after(() => { [globalThis.Request, globalThis.Response] = before; });
  const server = await httpsys.serve({
    url: 'http://127.0.0.1:0/',
    overrideGlobalObjects: true,
    async fetch(req) {
      const again = new Request(req, { headers: { a: 'b' } });
      return Response.json([again instanceof Request, req instanceof Request, again.method, again.headers.get('a'), await again.text()]);
    },
  }).ready;
  t.after(() => server.close(true));
  assert.strictEqual(Response, httpsys.Response);
  assert.ok((await fetch(`http://127.0.0.1:${server.port}/`)) instanceof Response);
  const r = await request(server.port, { method: 'POST' }, 'hello');
  assert.strictEqual(r.body, '[true,true,"POST","b","hello"]');
});
