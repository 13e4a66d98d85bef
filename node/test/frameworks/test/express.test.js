'use strict';

const assert = require('node:assert');
const { withDaemon, same } = require('./support/same');

withDaemon();

for (const version of [4, 5]) {
  same(`express ${version}`, `express${version}.js`, async (c) => {
    const seen = {};
    seen.hello = await c.get('/');
    assert.strictEqual(seen.hello.body, 'hello');
    seen.fresh = await c.get('/', { 'If-None-Match': seen.hello.headers.etag });
    assert.strictEqual(seen.fresh.status, 304);
    seen.head = await c.request('HEAD', '/');
    seen.options = await c.request('OPTIONS', '/json');
    seen.json = await c.get('/json?a=1&b=2&b=3');
    seen.long = await c.get('/long', { 'Accept-Encoding': 'gzip' });
    assert.strictEqual(seen.long.headers['content-encoding'], 'gzip');
    seen.plain = await c.get('/long');
    assert.strictEqual(seen.plain.body.length, 12000);
    seen.facts = await c.get('/facts');
    assert.strictEqual(JSON.parse(seen.facts.body)[1], c.tls ? 'https' : 'http');
    seen.moved = await c.get('/moved');
    seen.status = await c.get('/status');
    assert.deepStrictEqual([seen.status.status, seen.status.headers['x-a']], [418, '1, 2']);
    seen.throws = await c.get('/throws');
    assert.strictEqual(seen.throws.body, '{"error":"thrown"}');
    seen.rejects = await c.get('/rejects');
    seen.missing = await c.get('/missing');
    assert.strictEqual(seen.missing.status, 404);
    const cookie = (await c.get('/visits')).headers['set-cookie'][0].split(';')[0];
    seen.visits = await c.get('/visits', { Cookie: cookie });
    assert.strictEqual(seen.visits.body, 'visit 2');
    seen.file = await c.get('/file');
    seen.range = await c.get('/file', { Range: 'bytes=5-9' });
    assert.deepStrictEqual([seen.range.status, seen.range.body], [206, 'a lea']);
    seen.ranges = await c.get('/file', { Range: 'bytes=999-' });
    seen.static = await c.get('/static/poem.txt');
    seen.escape = await c.get('/static/..%2fexpress4.js');
    seen.download = await c.get('/download');
    seen.stream = await c.get('/stream');
    assert.strictEqual(seen.stream.body, 'line 0\nline 1\nline 2\nline 3\nline 4\nend\n');
    seen.form = await c.post('/form', 'a=1&b=%C3%A9', 'application/x-www-form-urlencoded');
    seen.posted = await c.post('/json', { deep: { list: [1, 2, 3] } });
    seen.malformed = await c.post('/json', '{"a":', 'application/json; charset=utf-8');
    assert.strictEqual(seen.malformed.status, 400);
    seen.tooLarge = await c.post('/json', { a: 'x'.repeat(60000) });
    assert.strictEqual(seen.tooLarge.status, 413);
    seen.raw = await c.post('/raw', Buffer.alloc(3e6, 'raw'), 'application/octet-stream');
    seen.ignored = await c.post('/ignored', Buffer.alloc(20000), 'application/octet-stream');
    const part = (head, data) => `--XX\r\nContent-Disposition: form-data; ${head}\r\n\r\n${data}\r\n`;
    seen.upload = await c.post('/upload', `${part('name="note"', 'mine')}${part('name="file"; filename="f.bin"', 'y'.repeat(200000))}--XX--\r\n`,
      'multipart/form-data; boundary=XX');
    assert.strictEqual(JSON.parse(seen.upload.body)[1], 200000);
    seen.mounted = await c.get('/items/42?x');
    seen.inner = await c.get('/inner/x');
    seen.log = await c.get('/log');
    return seen;
  });
}
