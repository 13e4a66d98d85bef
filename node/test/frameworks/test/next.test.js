'use strict';

// A built Next program: pages, API routes, streaming and images; with a server of
// its own, and by the command that Next has for it.

const test = require('node:test');
const assert = require('node:assert');
const crypto = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');
const { withDaemon, same, both } = require('./support/same');
const { run, start } = require('./support/program');
const { Client } = require('./support/client');

process.env.NEXT_TELEMETRY_DISABLED = '1';
const NEXT = 'node_modules/next/dist/bin/next';
const IMAGES = path.join(__dirname, '../programs/next-app/.next/cache/images');

withDaemon();
test.before(() => run([NEXT, 'build', 'programs/next-app'], { ours: false, tls: false, env: { NODE_ENV: 'production' } }), { timeout: 240000 });

async function talk(c) {
  const seen = {};
  // Next answers before it has stored a picture: a program that was killed leaves half of it.
  fs.rmSync(IMAGES, { recursive: true, force: true });
  seen.page = await c.get('/?q=1');
  assert.match(seen.page.body, /Next on (<!-- -->)?localhost/);
  seen.static = await c.get('/static');
  assert.match(seen.static.body, /at build/);
  assert.strictEqual(seen.static.headers['x-middleware'], 'ran');
  seen.fresh = await c.get('/static', { 'If-None-Match': seen.static.headers.etag });
  assert.strictEqual(seen.fresh.status, 304);
  seen.old = await c.get('/old');
  assert.strictEqual(seen.old.status, 307);
  seen.missing = await c.get('/missing');
  assert.strictEqual(seen.missing.status, 404);
  const script = /\/_next\/static\/chunks\/main-[^"]+\.js/.exec(seen.static.body)[0];
  seen.script = await c.get(script, { 'Accept-Encoding': 'gzip' });
  assert.strictEqual(seen.script.headers['content-encoding'], 'gzip');
  seen.data = await c.get('/_next/data/httpsys/index.json?q=2');
  seen.head = await c.request('HEAD', '/static');

  seen.echo = await c.post('/api/echo?a=1', { b: 2 });
  assert.deepStrictEqual([seen.echo.status, seen.echo.body], [201, '{"body":{"b":2},"query":{"a":"1"}}']);
  seen.cookies = await c.get('/api/echo?cookie=1');
  assert.deepStrictEqual(seen.cookies.headers['set-cookie'], ['a=1', 'b=2']);
  const bytes = Buffer.alloc(2e6, 'next');
  seen.raw = await c.post('/api/raw', bytes, 'application/octet-stream');
  assert.strictEqual(seen.raw.body, crypto.createHash('sha256').update(bytes).digest('hex'));
  seen.malformed = await c.post('/api/echo', '{', 'application/json; charset=utf-8');
  assert.strictEqual(seen.malformed.status, 400);
  seen.events = await c.get('/api/events');
  assert.strictEqual(seen.events.body, 'data: 0\n\ndata: 1\n\ndata: 2\n\n');
  seen.route = await c.get('/blog/first', { 'X-Agent': 'me' });
  assert.strictEqual(seen.route.body, '{"slug":"first","agent":"me"}');
  seen.streamed = await c.post('/blog/first', Buffer.alloc(100000, 's'), 'text/plain');
  assert.strictEqual(seen.streamed.body.length, 100000);

  const streaming = await c.get('/streaming');
  assert.match(streaming.body, /at once[^]*waiting[^]*came later/);
  seen.streaming = [streaming.status, streaming.headers];

  seen.picture = await c.get('/picture.png');
  const image = await c.get('/_next/image?url=%2Fpicture.png&w=64&q=75', { Accept: 'image/webp' });
  assert.deepStrictEqual([image.status, image.headers['content-type'], image.body.slice(8, 12)], [200, 'image/webp', 'WEBP']);
  seen.image = image;
  seen.wrong = await c.get('/_next/image?url=%2Fpicture.png&w=65&q=75');
  assert.strictEqual(seen.wrong.status, 400);
  return seen;
}

same('next with a server of its own', 'next.js', talk);

both('next start', async (t, how) => {
  const program = await start(t, [NEXT, 'start', 'programs/next-app', '-p', '0'], { ...how, ready: /http:\/\/localhost:(\d+)[^]*Ready/ });
  const client = new Client(program.port, false);
  try {
    return await talk(client);
  } finally {
    client.close();
    program.child.kill('SIGKILL');
  }
}, [false]);
