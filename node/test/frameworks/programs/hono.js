'use strict';

const https = require('https');
const { serve } = require('@hono/node-server');
const { Hono } = require('hono');
const { cors } = require('hono/cors');
const { stream, streamSSE } = require('hono/streaming');
const { tls } = require('./support');

const app = new Hono();
app.use('/api/*', cors());
app.get('/', (c) => c.text('hono'));
app.get('/api/json', (c) => c.json({ q: c.req.query('q'), ua: c.req.header('user-agent') ?? null, url: c.req.url.replace(/:\d+/, '') }));
app.post('/api/echo', async (c) => c.json(await c.req.json()));
app.post('/bytes', async (c) => c.body(await c.req.arrayBuffer()));
app.post('/form', async (c) => { const f = await c.req.parseBody(); return c.text(`${f.a} ${await f.file.text()}`); });
app.get('/stream', (c) => stream(c, async (s) => { for (const x of ['a', 'b', 'c']) { await s.write(x); await s.sleep(3); } }));
app.get('/sse', (c) => streamSSE(c, async (s) => { for (let i = 0; i < 3; i++) await s.writeSSE({ data: String(i), event: 'n', id: String(i) }); }));
app.get('/cookies', (c) => { c.header('Set-Cookie', 'a=1', { append: true }); c.header('Set-Cookie', 'b=2', { append: true }); return c.text('set'); });
app.get('/fails', () => { throw new Error('fails'); });
app.onError((err, c) => c.text(`handled ${err.message}`, 500));
serve({
  fetch: app.fetch,
  port: Number(process.env.PORT || 0),
  ...(tls ? { createServer: https.createServer, serverOptions: tls } : {}),
}, (info) => console.log(`listening on ${info.port}`));
