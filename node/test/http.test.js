'use strict';

// One table of behaviour, run over node:http and over httpsys: a program must not
// notice the difference.

const test = require('node:test');
const assert = require('node:assert');
const { once } = require('node:events');
const net = require('node:net');
const nodeHttp = require('node:http');
const { AsyncLocalStorage } = require('node:async_hooks');
const diagnostics = require('node:diagnostics_channel');
const daemon = require('./support/daemon');
const httpsysHttp = require('..').http();
const { listening, talk, request } = require('./support/client');

let child;
test.before(async () => { child = await daemon.start(); });
test.after(() => child.removeAllListeners('exit') && child.kill());

function both(name, run) {
  for (const [label, http] of [['node:http', nodeHttp], ['httpsys', httpsysHttp]]) {
    test(`${label}: ${name}`, { timeout: 20000 }, (t) => run(t, http, label === 'httpsys'));
  }
}

both('a request and its answer', async (t, http) => {
  const port = await listening(t, http.createServer((req, res) => {
    res.setHeader('X-Seen', [req.method, req.url, req.httpVersion, req.headers.host.split(':')[0]].join(' '));
    res.statusCode = 201;
    res.statusMessage = 'Made';
    res.end('hello');
  }));
  const r = await request(port, { path: '/a?b=c' });
  assert.deepStrictEqual([r.status, r.message, r.headers['x-seen'], r.headers['content-length'], r.body],
    [201, 'Made', 'GET /a?b=c 1.1 127.0.0.1', '5', 'hello']);
  assert.ok(r.headers.date);
});

both('genuine classes, and the members that programs touch', async (t, http) => {
  const server = http.createServer((req, res) => {
    const s = req.socket;
    res.end(JSON.stringify([
      req instanceof nodeHttp.IncomingMessage, res instanceof nodeHttp.ServerResponse, server instanceof nodeHttp.Server,
      server instanceof http.Server, s instanceof net.Socket, s === res.socket, s === req.connection, s === req.client, s.server === server,
      s.readable, s.writable, s.destroyed, s.pending, s.connecting, s.readyState, s.remoteAddress.replace('::ffff:', ''), s.remoteFamily.slice(0, 3),
      typeof s.remotePort, s.localPort === server.address().port, s.address().port === s.localPort, s.encrypted, s._httpMessage === res,
      s.setNoDelay() === s, s.setKeepAlive() === s, s.ref() === s, s.bytesRead >= 0, s.bytesWritten,
    ]));
  });
  const port = await listening(t, server);
  const r = await request(port);
  assert.deepStrictEqual(JSON.parse(r.body), [true, true, true, true, true, true, true, true, true, true, true, false, false, false, 'open',
    '127.0.0.1', 'IPv', 'number', true, true, null, true, true, true, true, true, 0]);
});

both('rawHeaders keep spelling, order and duplicates', async (t, http) => {
  const port = await listening(t, http.createServer((req, res) => {
    res.end(JSON.stringify([req.rawHeaders, req.headers['x-a'], req.headers.cookie, req.headersDistinct['x-a']]));
  }));
  const got = await talk(port, 'GET / HTTP/1.1\r\nhOST: x\r\nX-a: 1\r\nCookie: a\r\nx-A: 2\r\ncookie: b\r\nConnection: close\r\n\r\n');
  assert.deepStrictEqual(JSON.parse(got.split('\r\n\r\n')[1]), [
    ['hOST', 'x', 'X-a', '1', 'Cookie', 'a', 'x-A', '2', 'cookie', 'b', 'Connection', 'close'], '1, 2', 'a; b', ['1', '2']]);
});

both('bodies of all sizes, both ways', async (t, http) => {
  const port = await listening(t, http.createServer((req, res) => {
    const chunks = [];
    req.on('data', (d) => chunks.push(d));
    req.on('end', () => {
      assert.strictEqual(req.complete, true);
      const all = Buffer.concat(chunks);
      res.writeHead(200, req.url === '/length' ? { 'Content-Length': all.length } : {});
      res.end(all);
    });
  }));
  for (const size of [0, 1, 100, 8191, 8192, 8193, 65535, 65536, 65537, 1 << 20, 3e6]) {
    const body = Buffer.alloc(size, 'abcdefg');
    for (const path of ['/', '/length']) {
      const r = await request(port, { method: 'POST', path }, body);
      assert.ok(Buffer.from(r.body, 'latin1').equals(body), `${size} bytes`);
    }
  }
});

// Answers of many sizes around what a frame, a window and a write hold, in one piece and in
// several, some of which their clients leave.
both('long answers at the same time are whole', async (t, http) => {
  const bytes = Buffer.alloc(3e6, 'abcdefghijk');
  const port = await listening(t, http.createServer((req, res) => {
    const [, size, way] = req.url.split('/');
    const body = bytes.subarray(0, Number(size));
    if (way === 'length') res.setHeader('Content-Length', size);
    if (way === 'text') { res.end(body.toString('latin1')); return; }
    if (way === 'parts') {
      for (let at = 0; at < body.length; at += 30011) res.write(body.subarray(at, at + 30011));
      res.end();
      return;
    }
    res.end(body);
  }));
  const all = [];
  for (const size of [8192, 8193, 65535, 65536, 65537, 131072, 262143, 262144, 262145, 327680, 1 << 20, 3e6]) {
    for (const way of ['length', 'none', 'text', 'parts']) {
      const path = `/${size}/${way}`;
      all.push(request(port, { path }).then((r) => {
        assert.ok(Buffer.from(r.body, 'latin1').equals(bytes.subarray(0, size)), path);
      }));
      all.push(request(port, { path, method: 'HEAD' }).then((r) => assert.strictEqual(r.body, '', path)));
    }
    all.push(new Promise((resolve) => {
      const req = nodeHttp.get({ port, host: '127.0.0.1', path: `/${size}/length`, agent: false }, (res) => {
        res.once('data', () => req.destroy());
        res.on('error', () => {}).on('close', resolve);
      });
      req.on('error', () => {});
    }));
  }
  await Promise.all(all);
});

both('strings in every encoding', async (t, http) => {
  const port = await listening(t, http.createServer((req, res) => {
    res.setHeader('X-Latin', 'B\u00f6rn');
    res.write('\u00e9', 'latin1');
    res.write('\u20ac');
    res.write('4142', 'hex');
    res.write('QUI=', 'base64');
    res.write('x', 'utf16le');
    res.end('\u00fc', 'binary');
  }));
  const r = await request(port);
  assert.strictEqual(r.body, '\u00e9\u00e2\u0082\u00acABABx\0\u00fc');
  assert.strictEqual(r.headers['x-latin'], 'B\u00f6rn');
});

both('chunked pieces, and trailers both ways', async (t, http) => {
  const port = await listening(t, http.createServer((req, res) => {
    req.resume().on('end', () => {
      res.setHeader('Trailer', 'X-Sum');
      res.write('one ');
      setImmediate(() => {
        res.cork();
        res.write('two ');
        res.write(Buffer.from('three'));
        res.uncork();
        res.addTrailers({ 'X-Sum': req.trailers['x-in'] });
        res.end();
      });
    });
  }));
  const r = await request(port, { method: 'POST', headers: { Trailer: 'X-In', 'Transfer-Encoding': 'chunked' } }, (req) => {
    req.write('a');
    req.addTrailers({ 'X-In': '42' });
    req.end();
  });
  assert.deepStrictEqual([r.body, r.trailers], ['one two three', { 'x-sum': '42' }]);
});

both('HEAD, 204 and 304 have no body', async (t, http) => {
  const port = await listening(t, http.createServer((req, res) => {
    if (req.method === 'HEAD') res.writeHead(200, { 'Content-Length': 1000 });
    else res.statusCode = Number(req.url.slice(1));
    res.end(req.method === 'HEAD' ? 'ignored' : undefined);
  }));
  const head = await request(port, { method: 'HEAD' });
  assert.deepStrictEqual([head.status, head.headers['content-length'], head.body], [200, '1000', '']);
  for (const status of [204, 304]) {
    const r = await request(port, { path: `/${status}` });
    assert.deepStrictEqual([r.status, r.body, r.headers['transfer-encoding']], [status, '', undefined]);
  }
});

both('informational responses', async (t, http) => {
  const port = await listening(t, http.createServer((req, res) => {
    res.writeProcessing();
    res.writeEarlyHints({ link: '</a.css>; rel=preload' });
    res.end('done');
  }));
  const seen = [];
  const r = await request(port, {}, (req) => {
    req.on('information', (i) => seen.push([i.statusCode, i.headers.link]));
    req.end();
  });
  assert.deepStrictEqual([seen, r.body], [[[102, undefined], [103, '</a.css>; rel=preload']], 'done']);
});

const EXPECT = 'POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n';

both('100-continue: sent by the server, or decided by the program', async (t, http) => {
  const server = http.createServer((req, res) => req.pipe(res));
  const port = await listening(t, server);
  const ask = () => new Promise((resolve) => {
    const s = net.connect(port, '127.0.0.1');
    let got = '';
    s.setEncoding('latin1');
    s.on('data', (d) => {
      got += d;
      if (/^HTTP\/1.1 100/.test(got) && !s.sent) { s.sent = true; s.write('hi'); }
    });
    s.on('end', () => { s.destroy(); resolve(got); });
    s.write(EXPECT);
  });
  assert.match(await ask(), /^HTTP\/1.1 100 Continue\r\n\r\nHTTP\/1.1 200 OK\r\n[^]*hi/);
  server.once('checkContinue', (req, res) => {
    assert.strictEqual(req.headers.expect, '100-continue');
    res.writeContinue();
    req.pipe(res);
  });
  assert.match(await ask(), /^HTTP\/1.1 100 Continue\r\n\r\nHTTP\/1.1 200 OK\r\n[^]*hi/);
  server.once('checkContinue', (req, res) => { res.writeHead(413, { Connection: 'close' }); res.end(); });
  assert.match(await talk(port, EXPECT), /^HTTP\/1.1 413 /);
});

both('other expectations', async (t, http, ours) => {
  const server = http.createServer((req, res) => res.end());
  const port = await listening(t, server);
  const text = 'GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nExpect: tea\r\n\r\n';
  assert.match(await talk(port, text), /^HTTP\/1.1 417 /);
  if (ours) return; // the daemon refuses them itself
  server.on('checkExpectation', (req, res) => { res.statusCode = 200; res.end(); });
  assert.match(await talk(port, text), /^HTTP\/1.1 200 /);
});

both('requests of one connection share a socket, and requests in a pipeline are answered in order', async (t, http) => {
  const sockets = new Set();
  let connections = 0;
  const server = http.createServer((req, res) => {
    sockets.add(req.socket);
    setTimeout(() => res.end(req.url), req.url === '/1' ? 20 : 0);
  });
  server.on('connection', () => connections++);
  const port = await listening(t, server);
  const one = (n, more = '') => `GET /${n} HTTP/1.1\r\nHost: x\r\n${more}\r\n`;
  const got = await talk(port, one(1) + one(2) + one(3, 'Connection: close\r\n'));
  assert.match(got, /\/1HTTP[^]*\/2HTTP[^]*\/3$/);
  assert.deepStrictEqual([sockets.size, connections], [1, 1]);
});

both('HTTP/1.0', async (t, http) => {
  const port = await listening(t, http.createServer((req, res) => { res.write(req.httpVersion); res.end(` ${req.headers.host}`); }));
  const got = await talk(port, 'GET / HTTP/1.0\r\n\r\n');
  assert.match(got, /^HTTP\/1.1 200 OK\r\n[^]*\r\n\r\n1.0 undefined$/);
  assert.doesNotMatch(got, /chunked/i);
});

both('a slow reader stops the writer, and drain goes on', async (t, http) => {
  const total = 20e6;
  let most = 0;
  const port = await listening(t, http.createServer((req, res) => {
    let left = total;
    const chunk = Buffer.alloc(50000, 'x');
    (function more() {
      while (left > 0) {
        left -= chunk.length;
        const ok = res.write(chunk);
        most = Math.max(most, res.writableLength);
        if (!ok) { res.once('drain', more); return; }
      }
      res.end();
    })();
  }));
  const req = nodeHttp.get({ port, host: '127.0.0.1', agent: false });
  const [res] = await once(req, 'response');
  res.pause();
  await new Promise((resolve) => setTimeout(resolve, 100));
  let n = 0;
  res.on('data', (d) => { n += d.length; }).resume();
  await once(res, 'end');
  assert.strictEqual(n, total);
  assert.ok(most < 2e6, `${most} bytes waited in the process`);
});

both('a program that does not read stops the client', async (t, http) => {
  let go;
  const port = await listening(t, http.createServer((req, res) => {
    go = () => { let n = 0; req.on('data', (d) => { n += d.length; }).on('end', () => res.end(String(n))); };
  }));
  const s = net.connect(port, '127.0.0.1');
  s.write('POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 50000000\r\n\r\n');
  const chunk = Buffer.alloc(1e6);
  let sent = 0;
  while (sent < 50 && s.write(chunk)) sent++;
  await new Promise((resolve) => setTimeout(resolve, 200));
  assert.ok(s.writableLength > 0 || sent < 50, 'the client has to wait');
  go();
  for (sent++; sent < 50; sent++) if (!s.write(chunk)) await once(s, 'drain');
  let got = '';
  for await (const d of s) got += d;
  assert.match(got, /50000000$/);
});

both('a client that leaves', async (t, http) => {
  const events = [];
  let done;
  const finished = new Promise((resolve) => { done = resolve; });
  const server = http.createServer((req, res) => {
    req.on('aborted', () => events.push('aborted'));
    req.on('error', (err) => events.push(`error ${err.code} ${err.message}`));
    req.on('close', () => { events.push('req close'); });
    res.on('finish', () => events.push('finish'));
    res.on('close', () => events.push(`res close ${res.writableFinished}`));
    req.socket.on('close', () => setImmediate(() => { events.push('socket close'); done(); }));
    req.once('data', () => client.destroy());
  });
  const port = await listening(t, server);
  const client = net.connect(port, '127.0.0.1');
  client.write('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc');
  await finished;
  assert.deepStrictEqual(events.sort(), ['aborted', 'error ECONNRESET aborted', 'req close', 'res close false', 'socket close']);
});

both('a program that destroys the socket', async (t, http) => {
  const port = await listening(t, http.createServer((req, res) => {
    if (req.url === '/before') req.socket.destroy();
    else if (req.url === '/res') res.destroy();
    else { res.write('begun'); setImmediate(() => req.socket.destroy()); }
  }));
  for (const path of ['/before', '/res', '/after']) {
    await assert.rejects(request(port, { path }), (err) => /ECONNRESET|aborted|socket hang up/.test(`${err.code} ${err.message}`), path);
  }
});

both('a raw answer through the socket', async (t, http) => {
  const port = await listening(t, http.createServer((req) => {
    req.socket.write('HTTP/1.1 418 Teapot\r\n');
    req.socket.end('Connection: close\r\nContent-Length: 2\r\n\r\nhi');
  }));
  const r = await request(port);
  assert.deepStrictEqual([r.status, r.message, r.body], [418, 'Teapot', 'hi']);
});

both('an answer before the body was read', async (t, http) => {
  const seen = [];
  const port = await listening(t, http.createServer((req, res) => {
    req.on('end', () => seen.push('end')).on('close', () => seen.push('close'));
    res.end('early');
  }));
  const r = await request(port, { method: 'POST' }, Buffer.alloc(200000));
  assert.strictEqual(r.body, 'early');
  assert.strictEqual((await request(port, { method: 'POST' }, 'x')).body, 'early');
});

both('the body is still read after the answer', async (t, http) => {
  const port = await listening(t, http.createServer((req, res) => {
    let n = 0;
    req.on('data', (d) => { n += d.length; });
    req.on('end', () => done(n));
    res.end('accepted');
  }));
  let done;
  const read = new Promise((resolve) => { done = resolve; });
  const agent = new nodeHttp.Agent({ keepAlive: true });
  const r = await request(port, { method: 'POST', agent }, Buffer.alloc(300000));
  assert.deepStrictEqual([r.body, await read], ['accepted', 300000]);
  agent.destroy();
});

both('upgrade: a Duplex with half-close, and no listeners of ours', async (t, http) => {
  const server = http.createServer(() => assert.fail('no request'));
  server.on('upgrade', (req, socket, head) => {
    assert.ok(Buffer.isBuffer(head));
    assert.strictEqual(req.upgrade, true);
    assert.strictEqual(req.headers.upgrade, 'echo');
    for (const e of ['timeout', 'error', 'drain', 'data', 'close', 'resume', 'pause']) assert.strictEqual(socket.listenerCount(e), 0, e);
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n');
    socket.on('data', (d) => socket.write(String(d).toUpperCase()));
    socket.on('end', () => socket.end('bye'));
  });
  const port = await listening(t, server);
  const s = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  s.write('GET /chat HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n');
  let got = '';
  s.setEncoding('latin1');
  s.on('data', (d) => {
    got += d;
    if (got.endsWith('\r\n\r\n')) s.write('hello ');
    if (got.endsWith('HELLO ')) s.end('world');
  });
  await once(s, 'end');
  assert.match(got, /^HTTP\/1.1 101 [^]*\r\n\r\nHELLO WORLDbye$/);
});

both('upgrade: megabytes both ways', async (t, http) => {
  const server = http.createServer();
  server.on('upgrade', (req, socket) => {
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n');
    socket.pipe(socket);
  });
  const port = await listening(t, server);
  const s = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  s.write('GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n');
  await once(s, 'data');
  const sent = Buffer.alloc(5e6, 'upgrade');
  s.end(sent);
  const chunks = [];
  for await (const d of s) chunks.push(d);
  assert.ok(Buffer.concat(chunks).equals(sent));
});

both('upgrade refused, and upgrade without a listener', async (t, http) => {
  const server = http.createServer((req, res) => res.end(`plain ${req.headers.upgrade}`));
  const port = await listening(t, server);
  const text = 'GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, close\r\nUpgrade: tea\r\n\r\n';
  assert.match(await talk(port, text), /^HTTP\/1.1 200 [^]*plain tea/);
  server.on('upgrade', (req, socket) => socket.end('HTTP/1.1 400 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n'));
  assert.match(await talk(port, text), /^HTTP\/1.1 400 No/);
});

both('upgrade refused in a later turn, as programs do that look something up first', async (t, http) => {
  const port = await listening(t, http.createServer().on('upgrade', (req, socket) => {
    const bytes = `HTTP/1.1 401 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`;
    setImmediate(() => (req.url === '/end' ? socket.end(bytes) : socket.write(bytes, () => socket.destroy())));
  }));
  for (const url of ['/end', '/destroy', '/end']) {
    assert.match(await talk(port, `GET ${url} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: tea\r\n\r\n`), /^HTTP\/1.1 401 No/, url);
  }
});

both('CONNECT', async (t, http) => {
  const server = http.createServer();
  server.on('connect', (req, socket, head) => {
    assert.deepStrictEqual([req.method, req.url, head.length], ['CONNECT', 'db.example:5432', 0]);
    socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
    socket.once('data', (d) => socket.end(`got ${d}`));
  });
  const port = await listening(t, server);
  const s = net.connect(port, '127.0.0.1');
  s.write('CONNECT db.example:5432 HTTP/1.1\r\nHost: db.example:5432\r\n\r\n');
  let got = '';
  s.on('data', (d) => { got += d; if (got.endsWith('\r\n\r\n')) s.write('ping'); });
  await once(s, 'end');
  assert.match(got, /^HTTP\/1.1 200 [^]*\r\n\r\ngot ping$/);
});

both('a listener that throws costs its own request only', async (t, http) => {
  const port = await listening(t, http.createServer((req, res) => {
    if (req.url.startsWith('/throw')) throw new Error('listener');
    res.end('fine');
  }));
  // The runner listens for uncaught exceptions, too: put ours in its place.
  const others = process.listeners('uncaughtException');
  process.removeAllListeners('uncaughtException');
  const thrown = [];
  process.on('uncaughtException', (err) => thrown.push(err.message));
  const clients = Array.from({ length: 64 }, (_, i) => {
    const s = net.connect(port, '127.0.0.1');
    return once(s, 'connect').then(() => ({ s, path: `/${i % 8 === 3 ? 'throw' : 'fine'}${i}` }));
  });
  const open = await Promise.all(clients);
  const answers = open.map(async ({ s, path }) => {
    s.write(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
    if (path.startsWith('/throw')) return;
    const [d] = await once(s, 'data');
    assert.match(String(d), /fine/);
  });
  await Promise.all(answers);
  process.removeAllListeners('uncaughtException');
  others.forEach((l) => process.on('uncaughtException', l));
  open.forEach(({ s }) => s.destroy());
  assert.strictEqual(thrown.length, 8);
});

both('finish comes one tick after end', async (t, http) => {
  const order = [];
  const port = await listening(t, http.createServer((req, res) => {
    res.on('finish', () => order.push('finish')).on('close', () => { order.push('close'); done(); });
    res.end('x', () => order.push('callback'));
    order.push(`ended ${res.writableEnded} ${res.headersSent}`);
    setImmediate(() => order.push(`later ${res.writableFinished}`));
  }));
  let done;
  const closed = new Promise((resolve) => { done = resolve; });
  await request(port);
  await closed;
  await new Promise(setImmediate);
  assert.deepStrictEqual(order.slice(0, 1).concat(order.slice(1).sort()), ['ended true true', 'callback', 'close', 'finish', 'later true']);
});

both('one asynchronous context for each request', async (t, http, ours) => {
  const storage = new AsyncLocalStorage();
  const outside = new AsyncLocalStorage();
  const leaks = [];
  const server = outside.run('server', () => http.createServer((req, res) => {
    leaks.push(storage.getStore());
    storage.enterWith(req.url);
    req.on('data', () => {}).on('end', () => {
      leaks.push(storage.getStore() === req.url ? undefined : storage.getStore());
      res.end(String(storage.getStore()));
    });
  }));
  const port = await listening(t, server);
  const agent = new nodeHttp.Agent({ keepAlive: true, maxSockets: 4 });
  const all = await Promise.all(Array.from({ length: 20 }, (_, i) => request(port, { agent, method: 'POST', path: `/${i}` }, 'x')));
  agent.destroy();
  // node:http runs a body in the context of the connection, and its lines differ in what that means.
  if (!ours) return;
  assert.deepStrictEqual(all.map((r) => r.body), Array.from({ length: 20 }, (_, i) => `/${i}`));
  assert.deepStrictEqual(leaks.filter((l) => l !== undefined), []);
});

both('diagnostics channels', async (t, http) => {
  const seen = [];
  const note = (m, name) => seen.push([name, m.request.url, m.server === server]);
  const server = http.createServer((req, res) => res.end());
  const port = await listening(t, server);
  for (const c of ['http.server.request.start', 'http.server.response.finish']) diagnostics.subscribe(c, note);
  await request(port, { path: '/d' });
  for (const c of ['http.server.request.start', 'http.server.response.finish']) diagnostics.unsubscribe(c, note);
  assert.deepStrictEqual(seen, [['http.server.request.start', '/d', true], ['http.server.response.finish', '/d', true]]);
});

both('classes of the program, and options', async (t, http) => {
  class Req extends nodeHttp.IncomingMessage { who() { return 'mine'; } }
  class Res extends nodeHttp.ServerResponse { say(x) { this.end(x); } }
  const port = await listening(t, http.createServer({ IncomingMessage: Req, ServerResponse: Res, uniqueHeaders: ['x-u'] }, (req, res) => {
    res.setHeader('X-U', ['a', 'b']);
    res.say(req.who());
  }));
  const r = await request(port);
  assert.deepStrictEqual([r.body, r.headers['x-u']], ['mine', 'a; b']);
});

both('a rejected listener gives 500 with captureRejections', async (t, http) => {
  const { EventEmitter } = require('node:events');
  const server = new http.Server();
  server[Symbol.for('nodejs.rejection')] = nodeHttp.Server.prototype[Symbol.for('nodejs.rejection')];
  EventEmitter.captureRejections = true;
  const captured = new http.Server();
  EventEmitter.captureRejections = false;
  captured.on('request', async () => { throw new Error('rejected'); });
  const port = await listening(t, captured);
  assert.strictEqual((await request(port)).status, 500);
});

both('maxRequestsPerSocket', async (t, http) => {
  const server = http.createServer((req, res) => res.end(req.url));
  server.maxRequestsPerSocket = 2;
  const port = await listening(t, server);
  const one = (n) => `GET /${n} HTTP/1.1\r\nHost: x\r\n\r\n`;
  assert.match(await talk(port, one(1) + one(2)), /^HTTP\/1.1 200 [^]*\/1HTTP\/1.1 200 [^]*[Cc]onnection: close[^]*\/2$/);
});

both('timeouts of the program', async (t, http) => {
  const server = http.createServer((req, res) => {
    if (req.url === '/res') res.setTimeout(30, () => { res.statusCode = 503; res.end('slow'); });
  });
  const port = await listening(t, server);
  assert.strictEqual((await request(port, { path: '/res' })).body, 'slow');
  server.setTimeout(30); // after listen, and without a listener: the socket is destroyed
  await assert.rejects(request(port), /hang up|ECONNRESET/);
});

both('close waits for what is in flight', async (t, http) => {
  const order = [];
  const server = http.createServer((req, res) => {
    server.close((err) => { order.push(`closed ${err}`); done(); });
    assert.strictEqual(server.listening, false);
    setTimeout(() => { order.push('answer'); res.end('last'); }, 30);
  });
  let done;
  const closed = new Promise((resolve) => { done = resolve; });
  server.listen(0);
  await once(server, 'listening');
  const r = await request(server.address().port, { headers: { Connection: 'close' } });
  await closed;
  assert.deepStrictEqual([r.body, order], ['last', ['answer', 'closed undefined']]);
  await new Promise((resolve) => server.close((err) => { assert.strictEqual(err.code, 'ERR_SERVER_NOT_RUNNING'); resolve(); }));
});

both('a server can listen again', async (t, http) => {
  const server = http.createServer((req, res) => res.end('again'));
  for (let i = 0; i < 3; i++) {
    server.listen(0);
    assert.throws(() => server.listen(0), { code: 'ERR_SERVER_ALREADY_LISTEN' });
    await once(server, 'listening');
    assert.strictEqual((await request(server.address().port, { headers: { Connection: 'close' } })).body, 'again');
    await new Promise((resolve) => server.close(resolve));
    assert.strictEqual(server.address(), null);
  }
});

both('closeAllConnections ends what is in flight', async (t, http) => {
  const server = http.createServer(() => setImmediate(() => server.closeAllConnections()));
  const port = await listening(t, server);
  await assert.rejects(request(port), /hang up|ECONNRESET/);
});

both('forms of listen', async (t, http) => {
  const forms = [[], [0], ['0'], [0, '127.0.0.1'], [{ port: 0 }], [{ port: 0, host: 'localhost' }], [undefined], [null], [0, '::1'], [0, 10]];
  for (const args of forms) {
    const server = http.createServer((req, res) => res.end());
    let called = false;
    server.listen(...args, () => { called = true; });
    await once(server, 'listening');
    const a = server.address();
    assert.ok(called && a.port > 0 && ['IPv4', 'IPv6'].includes(a.family), JSON.stringify(args));
    await request(a.port, { host: ['::', '0.0.0.0'].includes(a.address) ? '127.0.0.1' : a.address });
    await new Promise((resolve) => { server.close(resolve); });
  }
});

both('Unix sockets stay Unix sockets', async (t, http) => {
  const path = `${daemon.dir}/app-${process.hrtime.bigint()}.sock`;
  const server = http.createServer((req, res) => res.end('unix'));
  server.listen(path);
  await once(server, 'listening');
  assert.strictEqual(server.address(), path);
  assert.strictEqual((await request(undefined, { host: undefined, socketPath: path })).body, 'unix');
  await new Promise((resolve) => server.close(resolve));
});

both('a port that is taken', async (t, http) => {
  const first = http.createServer();
  const port = await listening(t, first);
  const second = http.createServer().listen(port);
  const [err] = await once(second, 'error');
  assert.deepStrictEqual([err.code, err.syscall, err.port, err.address, err.errno < 0, second.listening], ['EADDRINUSE', 'listen', port, '::', true, false]);
});

both('a connection that a program brings itself is parsed by Node', async (t, http) => {
  const server = http.createServer((req, res) => res.end('own'));
  await listening(t, server);
  const inner = net.createServer((s) => server.emit('connection', s)).listen(0);
  await once(inner, 'listening');
  assert.strictEqual((await request(inner.address().port, { headers: { Connection: 'close' } })).body, 'own');
  await new Promise((resolve) => inner.close(resolve));
});

both('connections are counted, and end', async (t, http) => {
  const server = http.createServer((req, res) => server.getConnections((err, n) => res.end(String(n))));
  const port = await listening(t, server);
  assert.strictEqual((await request(port, { headers: { Connection: 'close' } })).body, '1');
  if (server._connections > 0) await new Promise((resolve) => setTimeout(resolve, 50));
  assert.strictEqual(server._connections, 0);
});

test('httpsys: a response that no client may see costs one request, and says why', { timeout: 20000 }, async (t) => {
  const others = process.listeners('warning');
  process.removeAllListeners('warning');
  const warnings = [];
  let seen;
  const all = new Promise((resolve) => { seen = resolve; });
  process.on('warning', (w) => { if (warnings.push(`${w.code} ${w.message}`) === 5) seen(); });
  t.after(() => {
    process.removeAllListeners('warning');
    others.forEach((l) => process.on('warning', l));
  });
  const port = await listening(t, httpsysHttp.createServer((req, res) => {
    if (req.url === '/bad') res.writeHead(200, { 'Content-Length': 'abc' });
    if (req.url === '/twice') res.writeHead(200, ['Content-Length', '1', 'Content-Length', '2']);
    if (req.url === '/status') {
      res.writeHead(200);
      res._header = 'HTTP/1.1 099 x\r\n\r\n';
    }
    if (req.url === '/199') {
      res.writeHead(199);
      res.flushHeaders();
      res.write('y'.repeat(100000));
    }
    if (req.url === '/103') {
      res.writeHead(103);
      res.statusCode = 200; // too late
    }
    res.end(req.url === '/' ? 'x' : undefined);
  }));
  for (const path of ['/bad', '/twice', '/status', '/199', '/103']) assert.strictEqual((await request(port, { path })).status, 502, path);
  assert.strictEqual((await request(port)).body, 'x');
  await all;
  assert.match(warnings[0], /^HTTPSYS_BAD_RESPONSE .*Content-Length is not one number/);
  assert.deepStrictEqual(warnings.filter((w) => !w.startsWith('HTTPSYS_BAD_RESPONSE ')), [], 'the session was not lost');
  assert.match(warnings[3], /199 is no final status/);
});

both('what no server can read is answered without a word too many', async (t, http) => {
  const port = await listening(t, http.createServer((req, res) => res.end('fine')));
  const bare = (status) => `HTTP/1.1 ${status}\r\nConnection: close\r\n\r\n`;
  assert.strictEqual(await talk(port, 'GET / HTCPCP/1.1\r\nHost: x\r\n\r\n'), bare('400 Bad Request'));
  assert.strictEqual(await talk(port, `GET / HTTP/1.1\r\nHost: x\r\nA: ${'b'.repeat(20000)}\r\n\r\n`), bare('431 Request Header Fields Too Large'));
  if (nodeHttp.createServer().requireHostHeader !== true) return; // before Node 20
  assert.match(await talk(port, 'GET / HTTP/1.1\r\n\r\n'), /^HTTP\/1.1 400 Bad Request\r\nConnection: close\r\nDate: [^\r]*\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n$/);
});

both('requireHostHeader: false', async (t, http) => {
  const port = await listening(t, http.createServer({ requireHostHeader: false }, (req, res) => res.end(String(req.headers.host))));
  assert.match(await talk(port, 'GET / HTTP/1.1\r\nConnection: close\r\n\r\n'), /\r\n\r\nundefined$/);
});

both('a head and a body that come too slowly', async (t, http) => {
  const server = http.createServer({ headersTimeout: 100, requestTimeout: 200, connectionsCheckingInterval: 20 }, () => {});
  const port = await listening(t, server);
  const late = 'HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n';
  assert.strictEqual(await talk(port, 'GET / HTTP/1.1\r\nHost: x\r\n'), late);
  assert.strictEqual(await talk(port, 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nabc'), late);
});

both('a body that breaks off is a clientError', async (t, http) => {
  const server = http.createServer((req) => req.resume());
  const port = await listening(t, server);
  const bad = 'POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n';
  server.on('clientError', (err, socket) => socket.end(`HTTP/1.1 499 ${/^HPE_/.test(err.code)}\r\nConnection: close\r\n\r\n`));
  const s = net.connect(port, '127.0.0.1');
  const request = once(server, 'request');
  s.write(bad);
  await request;
  s.write('zz\r\n');
  let got = '';
  s.setEncoding('latin1').on('data', (d) => { got += d; });
  await once(s, 'end');
  assert.match(got, /^HTTP\/1.1 (499 true|400 )/); // the daemon's own word, if it was first
  assert.strictEqual((await request)[0].complete, false);
});

both('closing a connection between two requests', async (t, http) => {
  const server = http.createServer((req, res) => res.end('one'));
  const port = await listening(t, server);
  for (const close of [(s) => s.destroy(), (s) => s.end(), () => server.closeIdleConnections()]) {
    const client = net.connect(port, '127.0.0.1');
    const connection = once(server, 'connection');
    client.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    await once(client, 'data');
    const [socket] = await connection;
    await new Promise(setImmediate);
    close(socket);
    client.resume();
    await once(client, 'end');
    client.destroy();
  }
});

both('a client that leaves between two requests', async (t, http) => {
  const server = http.createServer((req, res) => res.end('one'));
  const port = await listening(t, server);
  const client = net.connect(port, '127.0.0.1');
  const connection = once(server, 'connection');
  client.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  await once(client, 'data');
  const [socket] = await connection;
  const closed = once(socket, 'close');
  client.destroy();
  await closed;
  if (server._connections > 0) await new Promise(setImmediate);
  assert.strictEqual(server._connections, 0);
});

both('keepAliveTimeout closes an idle connection', async (t, http) => {
  const server = http.createServer((req, res) => res.end('one'));
  server.keepAliveTimeout = 30;
  const port = await listening(t, server);
  assert.match(await talk(port, 'GET / HTTP/1.1\r\nHost: x\r\n\r\n'), /^HTTP\/1.1 200 OK[^]*one$/);
});

both('an upgraded connection ends with its client, though nobody reads', async (t, http) => {
  const server = http.createServer();
  server.on('upgrade', (req, socket) => socket.end('HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nbye'));
  const port = await listening(t, server);
  const client = net.connect(port, '127.0.0.1');
  client.write('GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n');
  const [, socket] = await once(server, 'upgrade');
  const closed = once(socket, 'close');
  await once(client.resume(), 'end');
  client.destroy();
  await closed;
});

both('a long answer to a request whose body nobody reads and which comes meanwhile', async (t, http) => {
  const size = 16 << 20; // more than what is on its way while the client does not read
  let answered;
  const port = await listening(t, http.createServer((req, res) => {
    res.end(Buffer.alloc(req.method === 'POST' ? size : 5, 'x'), answered);
    setImmediate(answered);
  }));
  const lengths = [];
  for (const [how, body] of [['Content-Length: 30000', 'b'.repeat(30000)], ['Transfer-Encoding: chunked', '5\r\nhello\r\n0\r\nX-T: v\r\n\r\n']]) {
    const begun = new Promise((resolve) => { answered = resolve; });
    const socket = net.connect(port, '127.0.0.1').pause();
    socket.write(`POST / HTTP/1.1\r\nHost: x\r\n${how}\r\n\r\n`);
    await begun;
    socket.write(`${body}GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
    let got = '';
    for await (const bytes of socket) { got += bytes.latin1Slice(); got = got.slice(0, 400) + got.slice(400).slice(-400); }
    lengths.push(/Content-Length: (\d+)/.exec(got)[1]);
    assert.match(got, /HTTP\/1.1 200 OK[^]*xHTTP\/1.1 200 OK[^]*\r\n\r\nxxxxx$/);
    await request(port); // the program has its session still
  }
  assert.deepStrictEqual(lengths, [`${size}`, `${size}`]);
});

const DESTROYS = {
  'res.destroy': (req, res) => res.destroy(),
  'req.destroy': (req) => req.destroy(),
  'socket.destroy': (req) => req.socket.destroy(),
  'socket.destroy later': (req) => setImmediate(() => req.socket.destroy()),
  'socket.destroy on finish': (req, res) => res.on('finish', () => req.socket.destroy()),
  'socket.end': (req) => req.socket.end(),
  'socket.destroySoon': (req) => req.socket.destroySoon(),
};

both('what is destroyed behind a complete answer: the client has it, and the connection ends', async (t, http) => {
  const port = await listening(t, http.createServer((req, res) => {
    const [, how, n] = req.url.split('/');
    res.end(Buffer.alloc(Number(n), 'x'));
    DESTROYS[decodeURI(how)](req, res);
  }));
  for (const head of ['GET', 'POST']) {
    for (const how of Object.keys(DESTROYS)) {
      for (const n of [10, 70000, 500000]) {
        // Of the POST no byte of its body comes.
        const got = await talk(port, `${head} /${encodeURI(how)}/${n} HTTP/1.1\r\nHost: x\r\n${head === 'POST' ? 'Content-Length: 10\r\n' : ''}\r\n`);
        assert.strictEqual(got.split('\r\n\r\n')[1].length, n, `${head} ${how} ${n}`);
      }
    }
  }
});

// Later ones of Node 22 and 24 answer 431 (docs/node-compatibility.md).
both('maxHeadersCount bounds headers, and not rawHeaders', async (t, http) => {
  if (http === nodeHttp && Number(process.versions.node.split('.')[0]) > 20) return;
  const server = http.createServer((req, res) => res.end(JSON.stringify([Object.keys(req.headers), req.rawHeaders.length])));
  server.maxHeadersCount = 2;
  const got = await talk(await listening(t, server), 'GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nA: 1\r\nB: 2\r\nC: 3\r\n\r\n');
  assert.deepStrictEqual(JSON.parse(got.split('\r\n\r\n')[1]), [['host', 'connection'], 10]);
});

both('a connection that is one too many is dropped once', async (t, http) => {
  let drops = 0;
  const server = http.createServer((req, res) => res.end('x')).on('drop', () => { drops++; }).on('connection', () => {});
  server.maxConnections = 1;
  const port = await listening(t, server);
  const first = net.connect(port, '127.0.0.1');
  t.after(() => first.destroy());
  first.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  await once(first, 'data');
  for (let i = 1; i <= 5; i++) {
    const got = await talk(port, 'GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    assert.ok(got === '' || got === 'ECONNRESET', got);
    first.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    await once(first, 'data');
    assert.strictEqual(drops, i);
  }
});

both('listeners that come while the server listens, before anybody asks', async (t, http) => {
  const open = async () => {
    const server = http.createServer().listen(0);
    t.after(() => server.close());
    await once(server, 'listening');
    return server;
  };
  // The daemon is a round trip away.
  const one = await open();
  let come = 0;
  one.on('connection', () => { come++; });
  while (come === 0) {
    const client = net.connect(one.address().port, '127.0.0.1');
    await once(client, 'connect');
    client.destroy();
    await once(client, 'close');
  }
  const other = await open();
  other.on('clientError', (err, socket) => socket.end('mine'));
  while (await talk(other.address().port, 'BAD\r\n\r\n') !== 'mine');
});

test('httpsys: the address of a URL prefix is known when it listens, and null before', { timeout: 20000 }, async (t) => {
  const server = httpsysHttp.createServer().listen('http://*:0/');
  t.after(() => server.close());
  assert.strictEqual(server.address(), null);
  await once(server, 'listening');
  const { address, family, port } = server.address();
  assert.deepStrictEqual([address, family, server.urls], ['::', 'IPv6', [`http://*:${port}/`]]);
});

both('socket.bytesRead counts a body once', async (t, http) => {
  const port = await listening(t, http.createServer((req, res) => {
    req.resume();
    req.on('end', () => res.end(String(req.socket.bytesRead)));
  }));
  for (const headers of [{ 'Content-Length': 100000 }, { 'Transfer-Encoding': 'chunked' }]) {
    const read = Number((await request(port, { method: 'POST', headers }, Buffer.alloc(100000))).body);
    assert.ok(read >= 100000 && read < 101000, String(read)); // with Node, the head is among them
  }
});

both('many servers ask for a free port at once', async (t, http) => {
  const servers = Array.from({ length: 300 }, () => http.createServer());
  const ports = await Promise.all(servers.map((server) => listening(t, server)));
  assert.strictEqual(new Set(ports).size, 300);
});

both('timeouts that are set while the server listens', async (t, http) => {
  const server = http.createServer({ connectionsCheckingInterval: 20 }, (req, res) => res.end('one'));
  const port = await listening(t, server);
  server.headersTimeout = 100;
  server.requestTimeout = 200;
  assert.strictEqual((await request(port)).body, 'one');
  const late = 'HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n';
  assert.strictEqual(await talk(port, 'GET / HTTP/1.1\r\nHost: x\r\n'), late);
});
