'use strict';

// serve(): handlers from Request to Response.

const test = require('node:test');
const assert = require('node:assert');
const { once } = require('node:events');
const http = require('node:http');
const net = require('node:net');
const { brotliCompressSync, gzipSync } = require('node:zlib');
const { AsyncLocalStorage } = require('node:async_hooks');
const daemon = require('./support/daemon');
const httpsys = require('..');
const { talk, request } = require('./support/client');

let child;
test.before(async () => { child = await daemon.start(); });
test.after(() => child.removeAllListeners('exit') && child.kill());

// serving starts a handler on a free port.
async function serving(t, fetch, options = {}) {
  const server = await httpsys.serve({ url: 'http://127.0.0.1:0/', fetch, ...options }).ready;
  t.after(() => server.close(true));
  return server;
}

const timeout = 20000;

test('a Request in, a Response out', { timeout }, async (t) => {
  let seen;
  const { port, url } = await serving(t, (req, info) => {
    seen = { req, info };
    return new Response('hello', { status: 201, headers: [['X-A', '1'], ['Set-Cookie', 'a=1'], ['Set-Cookie', 'b=2']] });
  });
  assert.strictEqual(url, `http://127.0.0.1:${port}/`);
  const r = await request(port, { path: '/a?b=c', headers: { 'X-Q': 'q' } });
  assert.deepStrictEqual([r.status, r.body, r.headers['x-a'], r.headers['set-cookie'], r.headers['content-length'], r.headers['content-type']],
    [201, 'hello', '1', ['a=1', 'b=2'], '5', 'text/plain;charset=UTF-8']);
  const { req, info } = seen;
  assert.ok(req instanceof Request);
  assert.deepStrictEqual([req.method, req.url, req.headers.get('x-q'), req.headers.get('host'), String(req)],
    ['GET', `http://127.0.0.1:${port}/a?b=c`, 'q', `127.0.0.1:${port}`, '[object Request]']);
  assert.deepStrictEqual([info.remoteAddr.hostname, typeof info.remoteAddr.port, info.localAddr.port, info.protocol, info.secure],
    ['127.0.0.1', 'number', port, '1.1', false]);
  assert.deepStrictEqual([req.redirect, req.credentials, req.signal.aborted, req.bodyUsed], ['follow', 'same-origin', false, false]);
});

test('the URL is what the URL class writes', { timeout }, async (t) => {
  const { port } = await serving(t, (req) => new Response(req.url));
  for (const [target, want] of [
    ['/a/../b', '/b'], ['/a/./b', '/a/b'], ['/a%2ex', '/a%2ex'], ["/?q='", '/?q=%27'], ['//x/y', '//x/y'], ['/.a', '/.a'],
    ['/\u00e9', '/%C3%A9'], ['/a?b=/../c', '/a?b=/../c'],
  ]) {
    const got = await talk(port, Buffer.from(`GET ${target} HTTP/1.1\r\nHost: Example.COM:80\r\nConnection: close\r\n\r\n`, 'latin1'));
    const body = got.split('\r\n\r\n')[1];
    if (!got.startsWith('HTTP/1.1 400')) assert.strictEqual(new URL(body).href, body, target); // as URL writes it
    if (!/[^\x20-\x7e]/.test(target)) assert.strictEqual(body, `http://example.com${want}`, target);
  }
});

test('hosts that are none get 400', { timeout }, async (t) => {
  const { port } = await serving(t, () => new Response('x'));
  const got = await talk(port, 'GET / HTTP/1.1\r\nHost: a:99999\r\nConnection: close\r\n\r\n');
  assert.match(got, /^HTTP\/1\.1 400/);
});

test('methods that a Request cannot have', { timeout }, async (t) => {
  const { port } = await serving(t, () => new Response('x'));
  assert.match(await talk(port, 'TRACE / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'), /^HTTP\/1\.1 405/);
  assert.match(await talk(port, 'CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\nConnection: close\r\n\r\n'), /^HTTP\/1\.1 501/);
});

for (const way of ['light', 'native', 'stream', 'clone']) {
  test(`bodies of all sizes, both ways: ${way}`, { timeout }, async (t) => {
    const { port } = await serving(t, async (req) => {
      switch (way) {
        case 'light': return new httpsys.Response(Buffer.from(await req.arrayBuffer()));
        case 'native': return new Response(await req.text());
        case 'clone': return new Response(await req.clone().arrayBuffer());
        default: return new Response(req.body);
      }
    });
    for (const size of [0, 1, 100, 4096, 4097, 65535, 65536, 65537, 1 << 20, 3e6]) {
      const body = Buffer.alloc(size, 'abcdefg');
      for (const headers of [{}, { 'Transfer-Encoding': 'chunked' }]) {
        const r = await request(port, { method: 'POST', headers }, body);
        assert.strictEqual(r.status, 200);
        assert.strictEqual(r.body.length, size);
        assert.ok(r.body === body.toString('latin1'), `${size} bytes`);
      }
    }
  });
}

test('light responses', { timeout }, async (t) => {
  const { Response: Light } = httpsys;
  const answers = {
    '/': () => new Light('héllo'),
    '/json': () => Light.json({ a: 1 }, { status: 202 }),
    '/empty': () => new Light(null, { status: 204 }),
    '/headers': () => {
      const r = new Light('x', { headers: { A: ' 1 ' } });
      r.headers.append('Set-Cookie', 'a');
      r.headers.append('Set-Cookie', 'b');
      return r;
    },
    '/redirect': () => Light.redirect('http://a/b'),
    '/clone': () => new Light('x', { headers: { A: '1' } }).clone(),
    '/form': () => new Light(new URLSearchParams({ a: '1' })),
    '/reason': () => new Light('x', { status: 299, statusText: 'Quite Good' }),
  };
  const { port } = await serving(t, (req) => answers[new URL(req.url).pathname]());
  const got = {};
  for (const path of Object.keys(answers)) {
    const r = await request(port, { path });
    got[path] = [r.status, r.message, Buffer.from(r.body, 'latin1').toString(), r.headers['content-type'], r.headers.a, r.headers['set-cookie'], r.headers.location];
  }
  assert.deepStrictEqual(got, {
    '/': [200, 'OK', 'héllo', 'text/plain;charset=UTF-8', undefined, undefined, undefined],
    '/json': [202, 'Accepted', '{"a":1}', 'application/json', undefined, undefined, undefined],
    '/empty': [204, 'No Content', '', undefined, undefined, undefined, undefined],
    '/headers': [200, 'OK', 'x', 'text/plain;charset=UTF-8', '1', ['a', 'b'], undefined],
    '/redirect': [302, 'Found', '', undefined, undefined, undefined, 'http://a/b'],
    '/clone': [200, 'OK', 'x', got['/clone'][3], '1', undefined, undefined],
    '/form': [200, 'OK', 'a=1', 'application/x-www-form-urlencoded;charset=UTF-8', undefined, undefined, undefined],
    '/reason': [299, 'Quite Good', 'x', 'text/plain;charset=UTF-8', undefined, undefined, undefined],
  });
  const one = new Light('x');
  assert.ok(one instanceof Response && one instanceof Light && new Response() instanceof Light);
  assert.deepStrictEqual([one.ok, one.status, one.bodyUsed, await one.text(), one.bodyUsed], [true, 200, false, 'x', true]);
  for (const bad of [
    () => new Light('x', { status: 99 }), () => new Light('x', { status: 204 }), () => new Light('x', { headers: { 'a b': 'c' } }),
    () => new Light('x', { headers: { a: 'b\r\nc: d' } }), () => new Light('x', { statusText: 'a\nb' }), () => new Light('x', { headers: [['a']] }),
    () => Light.json(undefined),
  ]) assert.throws(bad);
});

test('HEAD runs the handler and drops the body', { timeout }, async (t) => {
  let cancelled = 0;
  const { port } = await serving(t, (req) => (new URL(req.url).pathname === '/' ? new httpsys.Response('hello')
    : new Response(new ReadableStream({ pull(c) { c.enqueue(new Uint8Array(10)); }, cancel() { cancelled++; } }))));
  const r = await request(port, { method: 'HEAD' });
  assert.deepStrictEqual([r.status, r.headers['content-length'], r.body], [200, '5', '']);
  assert.strictEqual((await request(port, { method: 'HEAD', path: '/s' })).body, '');
  assert.strictEqual(cancelled, 1);
});

test('a stream goes out as it comes', { timeout }, async (t) => {
  let controller;
  const { port } = await serving(t, () => new Response(new ReadableStream({ start(c) { controller = c; } })));
  const socket = net.connect(port, '127.0.0.1').setEncoding('latin1');
  let got = '';
  const until = async (text) => { while (!got.includes(text)) got += (await once(socket, 'data'))[0]; };
  socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  await until('\r\n\r\n'); // the head does not wait for the body
  controller.enqueue(Buffer.from('one'));
  await until('one');
  controller.enqueue(Buffer.from('two'));
  await until('two');
  controller.close();
  await until('0\r\n\r\n');
  socket.destroy();
});

test('a slow reader stops the stream, and a client that leaves cancels it', { timeout }, async (t) => {
  let given = 0;
  let reason;
  let quiet;
  const cancelled = new Promise((resolve) => { reason = resolve; });
  const stopped = new Promise((resolve) => { quiet = resolve; });
  let timer;
  const { port } = await serving(t, () => new Response(new ReadableStream({
    pull(c) {
      given += 65536;
      clearTimeout(timer);
      timer = setTimeout(quiet, 300); // no more is asked for
      c.enqueue(new Uint8Array(65536));
    },
    cancel(err) { reason(err); },
  })));
  const socket = net.connect(port, '127.0.0.1');
  socket.pause();
  socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  await stopped;
  assert.ok(given < 32 << 20, `${given} bytes for a client that does not read`);
  socket.destroy();
  assert.strictEqual((await cancelled).name, 'AbortError');
});

test('a client that leaves aborts the signal and the body', { timeout }, async (t) => {
  const seen = [];
  let both;
  const done = new Promise((resolve) => { both = resolve; });
  let begun;
  const began = new Promise((resolve) => { begun = resolve; });
  const { port } = await serving(t, async (req) => {
    req.signal.addEventListener('abort', () => { if (seen.push(`signal ${req.signal.reason.name}`) === 2) both(); });
    begun();
    await req.text().catch((err) => { if (seen.push(`body ${err.name}`) === 2) both(); });
    return new Response('nobody reads this');
  });
  const socket = net.connect(port, '127.0.0.1');
  socket.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc');
  await began;
  socket.destroy();
  await done;
  assert.deepStrictEqual(seen.sort(), ['body TypeError', 'signal AbortError']);
});

test('a client that leaves after its request aborts the signal', { timeout }, async (t) => {
  let begun;
  const began = new Promise((resolve) => { begun = resolve; });
  let aborted;
  const abort = new Promise((resolve) => { aborted = resolve; });
  const { port } = await serving(t, async (req) => {
    req.signal.addEventListener('abort', aborted);
    begun();
    await abort;
    return new Response('nobody reads this');
  });
  const socket = net.connect(port, '127.0.0.1');
  socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  await began;
  socket.destroy();
  await abort;
});

test('a stream that is made for nobody is cancelled', { timeout }, async (t) => {
  for (const Response of [globalThis.Response, httpsys.Response]) {
    let begun;
    const began = new Promise((resolve) => { begun = resolve; });
    let cancelled;
    const cancel = new Promise((resolve) => { cancelled = resolve; });
    const server = await serving(t, async (req) => {
      const left = once(req.signal, 'abort');
      begun();
      await left;
      return new Response(new ReadableStream({ cancel: cancelled }));
    });
    const lost = request(server.port).catch(() => {});
    await began;
    server.close(true);
    await lost;
    assert.strictEqual((await cancel).name, 'AbortError');
  }
});

test('a client that says no more gets its answer', { timeout }, async (t) => {
  const { port } = await serving(t, async () => {
    await new Promise(setImmediate);
    return new Response(new ReadableStream({ async pull(c) { await new Promise(setImmediate); c.enqueue(Buffer.from('late')); c.close(); } }));
  });
  const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true }).setEncoding('latin1');
  socket.end('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  let got = '';
  for await (const d of socket) got += d;
  assert.match(got, /^HTTP\/1\.1 200 [^]*late/);
});

test('a client that says no more gets what a stream still has to say', { timeout }, async (t) => {
  let cancelled;
  const cancel = new Promise((resolve) => { cancelled = resolve; });
  const { port } = await serving(t, (req) => {
    let n = 0;
    return new Response(new ReadableStream({
      pull(c) {
        return new Promise((resolve) => {
          const next = () => { c.enqueue(Buffer.from(`${n++},`)); resolve(); };
          // As long as something comes now and then it goes on, for longer than one silence may be.
          if (n < 15) setTimeout(next, req.url.endsWith('/late') ? 50 : 1);
        });
      },
      cancel(err) { cancelled(err); },
    }));
  });
  for (const path of ['/', '/late']) {
    const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true }).setEncoding('latin1');
    socket.on('error', (err) => assert.strictEqual(err.code, 'ECONNRESET'));
    socket.end(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`);
    let got = '';
    socket.on('data', (d) => { got += d; });
    await new Promise((resolve) => { socket.on('close', resolve); });
    assert.strictEqual(got.match(/\d+,/g).join(''), '0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,', path);
    assert.doesNotMatch(got, /\r\n0\r\n\r\n$/); // and nobody takes it for all
    assert.strictEqual((await cancel).name, 'AbortError');
  }
});

test('errors of the handler', { timeout }, async (t) => {
  const errors = [];
  t.mock.method(console, 'error', (err) => errors.push(err.message));
  const broken = new ReadableStream({ start(c) { c.enqueue(Buffer.from('part')); }, pull(c) { c.error(new Error('broken stream')); } }, { highWaterMark: 0 });
  const used = new Response('x');
  await used.text();
  const answers = {
    '/throw': () => { throw new Error('thrown'); },
    '/reject': async () => { throw new Error('rejected'); },
    '/nothing': () => undefined,
    '/error': () => Response.error(),
    '/used': () => used,
    '/stream': () => new Response(broken),
    '/text': () => new Response(new ReadableStream({ start(c) { c.enqueue('text'); } })),
  };
  const handler = (req) => answers[new URL(req.url).pathname]();
  const { port } = await serving(t, handler);
  for (const path of ['/throw', '/reject', '/nothing', '/error', '/used']) {
    assert.strictEqual((await request(port, { path })).status, 500, path);
  }
  for (const path of ['/stream', '/text']) await assert.rejects(request(port, { path }), path);
  assert.deepStrictEqual(errors.slice(0, 2), ['thrown', 'rejected']);
  assert.strictEqual(errors.length, 7);

  const own = await serving(t, handler, {
    error: (err, req) => (err.message === 'thrown' ? new Response(`${err.message} at ${new URL(req.url).pathname}`, { status: 418 }) : Promise.reject(new Error('again'))),
  });
  const r = await request(own.port, { path: '/throw' });
  assert.deepStrictEqual([r.status, r.body], [418, 'thrown at /throw']);
  assert.strictEqual((await request(own.port, { path: '/reject' })).status, 500);
});

test('one handler that throws does not disturb the others of its batch', { timeout }, async (t) => {
  t.mock.method(console, 'error', () => {});
  const { port } = await serving(t, (req) => {
    if (req.url.endsWith('/13')) throw new Error('unlucky');
    return new httpsys.Response(req.url.slice(-4));
  });
  const all = await Promise.all(Array.from({ length: 64 }, (_, i) => request(port, { path: `/${i}` })));
  assert.deepStrictEqual(all.map((r) => r.status), all.map((_, i) => (i === 13 ? 500 : 200)));
});

test('the body after the answer, and a body that nobody reads', { timeout }, async (t) => {
  let late;
  const text = new Promise((resolve) => { late = resolve; });
  const { port } = await serving(t, (req, info) => {
    if (req.url.endsWith('/late')) info.waitUntil(req.text().then(late));
    return new Response('early');
  });
  const body = Buffer.alloc(1 << 20, 'x');
  assert.strictEqual((await request(port, { method: 'POST', path: '/late' }, body)).body, 'early');
  assert.strictEqual((await text).length, body.length);
  assert.strictEqual((await request(port, { method: 'POST' }, body)).body, 'early');
  assert.strictEqual((await request(port)).body, 'early');
});

test('a body that the handler began to read and left does not keep the answer', { timeout }, async (t) => {
  let reader;
  const { port } = await serving(t, async (req) => {
    reader = req.body.getReader();
    const { value } = await reader.read();
    return new Response(new Blob([`${value.length > 0}`]).stream());
  });
  const r = await request(port, { method: 'POST' }, Buffer.alloc(300000));
  assert.deepStrictEqual([r.status, r.body], [200, 'true']);
  await assert.rejects(async () => { while (!(await reader.read()).done); }, /left unread/);
  assert.strictEqual((await request(port, { method: 'POST' }, 'again')).body, 'true');
});

test('a body is read once', { timeout }, async (t) => {
  const { port } = await serving(t, async (req) => {
    await req.text();
    return Response.json([req.bodyUsed, await req.text().catch((err) => err.name), await req.json().catch((err) => err.name)]);
  });
  assert.strictEqual((await request(port, { method: 'POST' }, 'x')).body, '[true,"TypeError","TypeError"]');
});

test('a body in JSON, and one that is not', { timeout }, async (t) => {
  const { port } = await serving(t, async (req) => Response.json(await req.json().catch((err) => err.name)));
  assert.strictEqual((await request(port, { method: 'POST' }, '\ufeff{"a":[1]}')).body, '{"a":[1]}');
  assert.strictEqual((await request(port, { method: 'POST' }, '{"a":')).body, '"SyntaxError"');
});

test('a form', { timeout }, async (t) => {
  const { port } = await serving(t, async (req) => new Response((await req.formData()).get('a')));
  const headers = { 'Content-Type': 'application/x-www-form-urlencoded' };
  assert.strictEqual((await request(port, { method: 'POST', headers }, 'a=b%20c')).body, 'b c');
});

test('100-continue goes out when the body is read', { timeout }, async (t) => {
  const { port } = await serving(t, async (req) => new Response(req.url.endsWith('/no') ? 'no' : await req.text()));
  const head = (path) => `POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n`;
  assert.match(await talk(port, head('/no'), /no$/), /^HTTP\/1\.1 200/);
  const socket = net.connect(port, '127.0.0.1').setEncoding('latin1');
  socket.write(head('/'));
  let got = (await once(socket, 'data'))[0];
  assert.match(got, /^HTTP\/1\.1 100 Continue\r\n\r\n$/);
  socket.write('hello');
  for await (const d of socket) got += d;
  assert.match(got, /hello$/);
});

test('early hints', { timeout }, async (t) => {
  const { port } = await serving(t, (req, info) => {
    info.respondInformation(103, { Link: ['</a>; rel=preload', '</b>; rel=preload'] });
    assert.throws(() => info.respondInformation(200), RangeError);
    assert.throws(() => info.respondInformation(103, { a: 'b\r\nc: d' }), TypeError);
    return new Response('x');
  });
  const got = await talk(port, 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
  assert.match(got, /^HTTP\/1\.1 103 [^\r]*\r\nLink: <\/a>; rel=preload\r\nLink: <\/b>; rel=preload\r\n\r\nHTTP\/1\.1 200/);
});

test('each request has a context of its own', { timeout }, async (t) => {
  const storage = new AsyncLocalStorage();
  const { port } = await serving(t, async (req) => {
    const before = storage.getStore();
    storage.enterWith(req.url);
    await new Promise(setImmediate);
    return Response.json([before === undefined, storage.getStore() === req.url]);
  });
  const all = await Promise.all(Array.from({ length: 20 }, (_, i) => request(port, { path: `/${i}` })));
  assert.ok(all.every((r) => r.body === '[true,true]'), all.map((r) => r.body).join());
});

test('close waits for what was begun and for waitUntil; with force it does not', { timeout }, async (t) => {
  const order = [];
  let go;
  const gate = new Promise((resolve) => { go = resolve; });
  let begun;
  const began = new Promise((resolve) => { begun = resolve; });
  const server = await serving(t, async (req, info) => {
    info.waitUntil(gate.then(() => new Promise(setImmediate)).then(() => order.push('waited')));
    begun();
    await gate;
    return new Response('done');
  });
  const answer = request(server.port);
  await began;
  const closed = server.close().then(() => order.push('closed'));
  go();
  await closed;
  assert.deepStrictEqual([order, (await answer).body], [['waited', 'closed'], 'done']);

  let second;
  const again = new Promise((resolve) => { second = resolve; });
  const cut = await serving(t, () => { second(); return new Promise(() => {}); });
  const lost = request(cut.port);
  await again;
  await cut.close(true);
  assert.strictEqual((await lost.catch(() => ({ status: 502 }))).status, 502);
});

test('signal closes, and port, hostname and several urls name prefixes', { timeout }, async (t) => {
  const stop = new AbortController();
  const names = [];
  const server = httpsys.serve({ urls: ['http://127.0.0.1:0/a/', 'http://127.0.0.1:0/b/'], signal: stop.signal, onListen: (s) => names.push(...s.urls) },
    (req) => new Response(new URL(req.url).pathname));
  await server.ready;
  assert.strictEqual(names.length, 2);
  for (const url of server.urls) {
    const { port, pathname } = new URL(url);
    assert.strictEqual((await request(port, { path: pathname })).body, pathname);
  }
  stop.abort();
  await server.finished;
  await serving(t, () => new Response('x'), { url: undefined, port: 0, hostname: '127.0.0.1' });
});

test('what is wrong with the options, and a prefix that is taken', { timeout }, async (t) => {
  assert.throws(() => httpsys.serve({ url: 'http://*:1/' }), { code: 'ERR_INVALID_ARG_TYPE' });
  assert.throws(() => httpsys.serve({ fetch() {} }), { code: 'ERR_INVALID_ARG_VALUE' });
  assert.throws(() => httpsys.serve({ port: 65536, fetch() {} }), { code: 'ERR_SOCKET_BAD_PORT' });
  const { port } = await serving(t, () => new Response('x'));
  await assert.rejects(httpsys.serve({ url: `http://127.0.0.1:${port}/`, fetch() {} }).ready, { code: 'EADDRINUSE', syscall: 'listen' });
  await assert.rejects(httpsys.serve({ url: 'http://nonsense', fetch() {} }).finished, { code: 'EINVAL' });
  for (const wrong of [{ signal: 5 }, { error: 'x' }, { onListen: {} }, { queue: 5 }, { affinity: 'cookie' }]) {
    assert.throws(() => httpsys.serve({ port: 0, fetch() {}, ...wrong }), { code: 'ERR_INVALID_ARG_TYPE', message: new RegExp(Object.keys(wrong)[0]) });
  }
});

test('a URL object is a prefix, also where it leaves out the port', { timeout }, async () => {
  const server = httpsys.serve({ url: new URL('http://localhost:80/no/such'), fetch() {} });
  await assert.rejects(server.ready, /"http:\/\/localhost:80\/no\/such" does not end in a slash/);
});

test('what fetch() has got goes on as it is', { timeout }, async (t) => {
  const bodies = {
    '/plain': (res) => res.setHeader('Content-Length', 5).end('hello'),
    '/gzip': (res, body = gzipSync('hello'.repeat(100))) => res.setHeader('Content-Encoding', 'gzip').setHeader('Content-Length', body.length).end(body),
    '/br': (res, body = brotliCompressSync('hello')) => res.setHeader('Content-Encoding', 'BR').end(body),
    '/other': (res) => res.setHeader('Content-Encoding', 'own').setHeader('Content-Length', 5).end('hello'),
    '/chunks': (res) => { res.write('hel'); setImmediate(() => res.end('lo')); },
  };
  const origin = http.createServer((req, res) => bodies[req.url](res)).listen(0);
  await once(origin, 'listening');
  t.after(() => { origin.close(); origin.closeAllConnections(); });
  const { port } = await serving(t, (req) => fetch(`http://127.0.0.1:${origin.address().port}${new URL(req.url).pathname}`));
  for (const [path, body, coding, length] of [
    ['/plain', 'hello', undefined, '5'], ['/gzip', 'hello'.repeat(100), undefined], ['/br', 'hello', undefined],
    ['/other', 'hello', 'own', '5'], ['/chunks', 'hello', undefined],
  ]) {
    const r = await request(port, { path });
    assert.deepStrictEqual([r.status, r.body, r.headers['content-encoding']], [200, body, coding], path);
    if (length !== undefined) assert.strictEqual(r.headers['content-length'], length, path);
  }
});

test('a Content-Length that the body has not is told', { timeout }, async (t) => {
  const errors = [];
  t.mock.method(console, 'error', (err) => errors.push(err.message));
  const { port } = await serving(t, (req) => {
    const [, kind, said] = new URL(req.url).pathname.split('/');
    const body = kind === 'stream' ? new ReadableStream({ start(c) { c.enqueue(Buffer.from('hel')); c.enqueue(Buffer.from('lo')); c.close(); } }) : 'hello';
    return new (kind === 'light' ? httpsys.Response : Response)(body, { headers: { 'Content-Length': said } });
  });
  for (const kind of ['light', 'native', 'stream']) {
    assert.strictEqual((await request(port, { path: `/${kind}/5` })).body, 'hello');
    assert.strictEqual((await request(port, { path: `/${kind}/7`, method: 'HEAD' })).headers['content-length'], '7');
    for (const said of [4, 7]) {
      const got = await request(port, { path: `/${kind}/${said}` }).then((r) => r.status, (err) => err.code);
      assert.ok(got === 500 || got === 'ECONNRESET', `${kind} ${said}: ${got}`);
      assert.match(errors.pop(), new RegExp(`Content-Length: ${said}, and its body has .* bytes$`));
    }
  }
  assert.deepStrictEqual(errors, []);
});
