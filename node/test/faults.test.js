'use strict';

// What programs do wrong: it costs them what it costs them under Node, and their
// neighbours on the channel nothing.

const test = require('node:test');
const assert = require('node:assert');
const childProcess = require('node:child_process');
const { createHash, randomBytes } = require('node:crypto');
const { once } = require('node:events');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const nodeHttp = require('node:http');
const daemon = require('./support/daemon');
const httpsysHttp = require('..').http();
const { listening, talk, request } = require('./support/client');

let child;
test.before(async () => { child = await daemon.start(); });
test.after(() => { child.removeAllListeners('exit'); child.kill(); });

function both(name, run) {
  for (const [label, http] of [['node:http', nodeHttp], ['httpsys', httpsysHttp]]) {
    test(`${label}: ${name}`, { timeout: 30000 }, (t) => run(t, http));
  }
}

const register = path.join(__dirname, '..', 'register.js');

// program runs a program on httpsys, and resolves when it says a port.
async function program(t, code, env = {}) {
  const p = childProcess.spawn(process.execPath, ['--require', register, '-e', code], {
    stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, ...env },
  });
  t.after(() => p.kill('SIGKILL'));
  p.stdout.setEncoding('utf8');
  p.said = '';
  p.stdout.on('data', (text) => { p.said += text; p.emit('said'); });
  p.until = async (pattern) => {
    while (!pattern.test(p.said)) await once(p, 'said');
    return pattern.exec(p.said);
  };
  p.port = Number((await p.until(/port (\d+)/))[1]);
  return p;
}

// slowSession stands between a program and the daemon, and keeps the program's calls
// back from when hold is called until letGo is; called resolves with the first of them.
async function slowSession(t) {
  const path = `${daemon.dir}/slow-${++slowSession.number}.sock`;
  let session = null;
  let kept = null;
  const relay = net.createServer((from) => {
    const to = net.connect(daemon.socket);
    from.once('data', (hello) => { if (hello.includes('"role":"session"')) session = to; });
    from.on('data', (bytes) => {
      if (kept === null || to !== session) return to.write(bytes);
      kept.push(bytes);
      return relay.emit('called');
    });
    to.pipe(from);
    from.on('end', () => to.end());
    for (const s of [from, to]) s.on('error', () => { from.destroy(); to.destroy(); });
    t.after(() => from.destroy());
  }).listen(path);
  t.after(() => relay.close());
  await once(relay, 'listening');
  return {
    path,
    hold() { kept = []; return once(relay, 'called'); },
    letGo() { const bytes = Buffer.concat(kept); kept = null; session.write(bytes); },
  };
}
slowSession.number = 0;

// By which server: the lines of Node differ a little.
const thrown = {};

both('wrong values throw what they throw in Node', async (t, http) => {
  const port = await listening(t, http.createServer((req, res) => {
    const codes = [];
    const wrong = (f) => { try { f(); codes.push(null); } catch (err) { codes.push(err.code); } };
    wrong(() => res.setHeader('a b', 'c'));
    wrong(() => res.setHeader('', 'c'));
    wrong(() => res.setHeader('a', 'b\r\nc: d'));
    wrong(() => res.setHeader('a', '\u20ac'));
    wrong(() => res.setHeader('a', undefined));
    wrong(() => res.writeHead(99));
    wrong(() => res.writeHead(1000));
    wrong(() => res.writeHead(200, 'a\r\nb'));
    res.statusMessage = undefined;
    wrong(() => res.writeHead(200, { 'a\n': 'b' }));
    wrong(() => res.writeHead(200, { a: 'b\0' }));
    wrong(() => res.writeEarlyHints({ link: 'nonsense' }));
    wrong(() => res.write(null));
    wrong(() => res.write(17));
    wrong(() => res.addTrailers({ 'a b': 'c' }));
    wrong(() => { res.statusCode = 'x'; res.writeHead(res.statusCode); });
    res.statusCode = 200;
    res.end(JSON.stringify(codes));
    wrong(() => res.setHeader('late', 'x'));
    wrong(() => res.writeHead(200));
    wrong(() => res.removeHeader('late'));
    seen = codes.slice(-3);
  }));
  let seen;
  const codes = JSON.parse((await request(port)).body).concat(seen);
  for (const i of [0, 2, 4, 5, 8, 9]) assert.match(String(codes[i]), /^ERR_(HTTP_)?INVALID_/, `number ${i}`);
  thrown[http === nodeHttp ? 'node' : 'httpsys'] = codes;
});

test('and no others', () => assert.deepStrictEqual(thrown.httpsys, thrown.node));

both('answers too many', async (t, http) => {
  const seen = [];
  const port = await listening(t, http.createServer((req, res) => {
    res.on('error', (err) => seen.push(err.code));
    res.end('one');
    res.end('two', (err) => seen.push(err.code));
    res.write('three');
    res.end();
  }));
  assert.strictEqual((await request(port)).body, 'one');
  assert.strictEqual((await request(port)).body, 'one');
  assert.ok(seen.includes('ERR_STREAM_WRITE_AFTER_END'), seen.join());
});

// Each is done to a request of its own; the client sees an answer, or an end.
const UPGRADE = 'GET /upgrade HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n';
const POST = 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nbegun';
const GET = 'GET / HTTP/1.1\r\nHost: x\r\n\r\n';
const ends = {
  'destroys the socket before the answer': [GET, (req) => req.socket.destroy(), /^$/],
  'destroys the socket later': [GET, (req) => setImmediate(() => req.socket.destroy()), /^$/],
  'destroys the socket with an error': [GET, (req) => { req.socket.on('error', () => {}); req.socket.destroy(new Error('mine')); }, /^$/],
  'resets the connection': [GET, (req) => req.socket.resetAndDestroy(), /^(ECONNRESET)?$/],
  'ends the socket': [GET, (req) => req.socket.end(), /^$/],
  'destroys the request': [GET, (req) => { req.on('error', () => {}); req.destroy(); }, /^$/],
  'destroys the response': [GET, (req, res) => res.destroy(), /^$/],
  'destroys the response with an error': [GET, (req, res) => { res.on('error', () => {}); res.destroy(new Error('mine')); }, /^$/],
  'destroys the socket behind the head': [GET, (req, res) => { res.flushHeaders(); setImmediate(() => req.socket.destroy()); }, /^HTTP\/1.1 200 OK\r\n[^]*\r\n\r\n$/],
  'destroys the socket in the body': [GET, (req, res) => { res.write('half'); setImmediate(() => req.socket.destroy()); }, /\r\nhalf\r\n$/],
  'destroys the socket behind the answer': [GET, (req, res) => res.end('whole', () => req.socket.destroy()), /\r\n\r\nwhole$/],
  'destroys before the body is read': [POST, (req) => req.socket.destroy(), /^(ECONNRESET)?$/],
  'destroys in the middle of the body': [POST, (req) => req.once('data', () => req.destroy()).on('error', () => {}), /^(ECONNRESET)?$/],
  'destroys an upgrade before its answer': [UPGRADE, (req, socket) => socket.destroy(), /^$/],
  'destroys an upgrade in its answer': [UPGRADE, (req, socket) => { socket.write('HTTP/1.1 101 Sw'); setImmediate(() => socket.destroy()); }, /^(HTTP\/1.1 101 Sw)?$/],
  'destroys an upgrade behind its answer': [UPGRADE, (req, socket) => {
    socket.write('HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n');
    setImmediate(() => socket.destroy());
  }, /^HTTP\/1.1 101 Switching\r\n[^]*\r\n\r\n$/],
  'writes a head that is none': [GET, (req) => req.socket.end('what is this?'), /^what is this\?$/],
};

both('sockets destroyed in every state', async (t, http) => {
  let act;
  const server = http.createServer((req, res) => act(req, res));
  server.on('upgrade', (req, socket) => act(req, socket));
  const port = await listening(t, server);
  const neighbour = await listening(t, http.createServer((req, res) => res.end('undisturbed')));
  for (const [name, [sent, does, want]] of Object.entries(ends)) {
    act = does;
    const served = once(server, sent === UPGRADE ? 'upgrade' : 'request');
    const client = talk(port, sent);
    await served;
    assert.strictEqual((await request(neighbour)).body, 'undisturbed', name);
    assert.match(await client, want, name);
    act = (req, res) => res.end('next');
    assert.strictEqual((await request(port)).body, 'next', name);
  }
});

both('bodies that nobody reads, and responses that nobody ends', async (t, http) => {
  const server = http.createServer((req, res) => {
    switch (req.url) {
      case '/early': res.end('early'); break; // and the body stays unread
      case '/refuse': res.writeHead(413, { Connection: 'close' }).end('too long'); break;
      case '/leak': leaked.push(res); break;
      case '/begun': res.write('begun'); leaked.push(res); break;
      default: res.end('fine');
    }
  });
  const leaked = [];
  const port = await listening(t, server);
  const clients = [];
  t.after(() => clients.forEach((c) => c.destroy()));
  for (let i = 0; i < 50; i++) {
    const served = once(server, 'request');
    const c = net.connect(port, '127.0.0.1').on('error', () => {});
    clients.push(c);
    c.write(`POST /${i % 2 ? 'leak' : 'begun'} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n${'x'.repeat(70000)}`);
    await served;
  }
  for (let i = 0; i < 20; i++) {
    assert.strictEqual((await request(port)).body, 'fine');
    assert.match(await talk(port, `POST /early HTTP/1.1\r\nHost: x\r\nContent-Length: 500000\r\n\r\n${'x'.repeat(500)}`, /early$/), / 200 /);
    assert.match(await talk(port, `POST /refuse HTTP/1.1\r\nHost: x\r\nContent-Length: 500000\r\n\r\n${'x'.repeat(500)}`, /too long$/), / 413 /);
  }
  assert.strictEqual(leaked.length, 50);
  // Each learns that its client has left; one whose body nobody reads, when the
  // program looks.
  const gone = Promise.all(leaked.map((res) => once(res, 'close')));
  leaked.forEach((res) => res.req.resume());
  clients.forEach((c) => c.destroy());
  await gone;
});

test('a listener that throws in a batch of 64 leaves 63 answered', { timeout: 30000 }, async (t) => {
  const p = await program(t, `
    let thrown = 0;
    process.on('uncaughtException', (err) => console.log('caught', err.message, ++thrown));
    const server = require('http').createServer((req, res) => {
      if (req.url === '/17') throw new Error('seventeen');
      res.end(req.url);
    }).listen(0, () => console.log('port', server.address().port));
  `);
  // What comes while the program stands still comes as one batch.
  const clients = await Promise.all(Array.from({ length: 64 }, async () => {
    const c = net.connect(p.port, '127.0.0.1');
    await once(c, 'connect');
    return c.setEncoding('latin1');
  }));
  t.after(() => clients.forEach((c) => c.destroy()));
  p.kill('SIGSTOP');
  clients.forEach((c, i) => c.write(`GET /${i} HTTP/1.1\r\nHost: x\r\n\r\n`));
  await until(() => inFlight() === 64); // all are on their way to it
  p.kill('SIGCONT');
  const answers = await Promise.all(clients.map((c, i) => (i === 17 ? null : once(c, 'data'))));
  answers.forEach((a, i) => { if (i !== 17) assert.match(a[0], new RegExp(`\\r\\n\\r\\n/${i}$`)); });
  await p.until(/caught seventeen 1/);
});

// What throws in a tick makes Node forget what the callback of a read has returned: it
// must not matter, neither for the next read nor for what the program has got.
test('what throws a tick later does not disturb the bodies that come', { timeout: 30000 }, async (t) => {
  const p = await program(t, `
    process.on('uncaughtException', () => {});
    process.on('warning', (w) => console.log('warning', w.message));
    const { createHash } = require('crypto');
    const server = require('http').createServer((req, res) => {
      const pieces = [];
      req.on('data', (d) => {
        pieces.push(d);
        process.nextTick(() => { throw new Error('a tick later'); });
      });
      req.on('end', () => res.end(createHash('sha1').update(Buffer.concat(pieces)).digest('hex')));
    }).listen(0, () => console.log('port', server.address().port));
  `);
  const answers = await Promise.all(Array.from({ length: 8 }, async () => {
    const body = randomBytes(1 << 20);
    const r = await request(p.port, { method: 'POST' }, body);
    return r.body === createHash('sha1').update(body).digest('hex');
  }));
  assert.deepStrictEqual(answers, Array(8).fill(true), p.said);
});

test('a frozen process gets no more than its credit', { timeout: 60000 }, async (t) => {
  const code = (url) => `
    const server = require('http').createServer((req, res) => res.end(String(process.pid)));
    server.listen({ url: '${url}', queue: 'frozen' }, () => console.log('port', server.address().port));
  `;
  const credit = 2;
  const frozen = await program(t, code('http://*:0/'), { HTTPSYS_PENDING_READ_COUNT: String(credit) });
  const awake = await program(t, code(`http://*:${frozen.port}/`));
  frozen.kill('SIGSTOP');
  const held = credit * os.cpus().length; // at most: that much on each loop
  let answered = 0;
  let enough;
  const most = new Promise((resolve) => { enough = resolve; });
  const all = Array.from({ length: 200 }, async () => {
    const r = await request(frozen.port);
    if (++answered === 200 - held) enough();
    return r.body;
  });
  await most; // in spite of the one that is frozen
  frozen.kill('SIGCONT');
  const pids = await Promise.all(all);
  const late = pids.filter((pid) => pid === String(frozen.pid)).length;
  assert.strictEqual(pids.filter((pid) => pid === String(awake.pid)).length + late, 200);
});

// inFlight is how many requests the daemon has given to programs.
function inFlight() {
  const state = JSON.parse(daemon.admin('show', 'servicestate', '--json'));
  let n = 0;
  JSON.stringify(state, (key, value) => {
    if (key === 'active' || key === 'in_flight' || key === 'inflight') n += value;
    return value;
  });
  return n;
}

async function until(condition) {
  while (!condition()) await new Promise(setImmediate);
}

test('no answer overtakes what the daemon is told of timeouts', { timeout: 30000 }, async (t) => {
  const slow = await slowSession(t);
  const p = await program(t, `
    const server = require('http').createServer({ connectionsCheckingInterval: 20 }, (req, res) => {
      if (req.url === '/change') server.headersTimeout = server.requestTimeout = 100;
      res.end();
    }).listen(0, () => console.log('port ' + server.address().port));
  `, { HTTPSYS_SOCKET: slow.path });
  assert.strictEqual((await request(p.port, { path: '/change' })).status, 200);
  const called = slow.hold();
  let answered = false;
  const answer = request(p.port).then((r) => { answered = true; return r.status; });
  await called;
  // What goes to the daemon by another connection, and comes back from there, has the time to.
  for (let i = 0; i < 3; i++) daemon.admin('show', 'servicestate');
  for (let i = 0; i < 10; i++) await new Promise(setImmediate);
  assert.strictEqual(answered, false);
  slow.letGo();
  assert.strictEqual(await answer, 200);
  assert.match(await talk(p.port, 'GET / HTTP/1.1\r\n'), /^HTTP\/1.1 408 /);
});
