'use strict';

// What the environment says (README, Environment): the bounds as a table, and each
// variable by what a client of a program sees that has it.

const test = require('node:test');
const assert = require('node:assert');
const childProcess = require('node:child_process');
const crypto = require('node:crypto');
const https = require('node:https');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const { once } = require('node:events');
const daemon = require('./support/daemon');
const pki = require('./support/pki');
const { request } = require('./support/client');

const timeout = 60000;
let child;
test.before(async () => { child = await daemon.start(); });
test.after(() => child.removeAllListeners('exit') && child.kill());

// settings reads them anew, as a process with that variable would.
function settings(name, value) {
  const file = require.resolve('../lib/settings');
  const before = process.env[name];
  delete require.cache[file];
  delete process.env[name];
  if (value !== undefined) process.env[name] = value;
  try {
    return require(file);
  } finally {
    delete require.cache[file];
    delete process.env[name];
    if (before !== undefined) process.env[name] = before;
  }
}

const NONE = [undefined, '', ' ', 'many', '64k', '10 000', '1,000', 'NaN', '0', '-0', '-1', '-70000', '-Infinity'];

for (const [name, key, standard, rows] of [
  ['HTTPSYS_BUFFER_SIZE', 'window', 65536,
    [['1', 16384], ['16383', 16384], ['16384', 16384], ['4096', 16384], ['100000', 100000], ['1e6', 1000000], ['100000.9', 100000], ['16777216', 16777216], ['16777217', 16777216]]],
  ['HTTPSYS_REQUEST_QUEUE_LENGTH', 'queueLength', undefined, // the daemon's
    [['0.5', 1], ['1', 1], [' 5 ', 5], ['1e3', 1000], ['65535', 65535], ['65536', 65535]]],
  ['HTTPSYS_PENDING_READ_COUNT', 'credit', 64,
    [['0.5', 1], ['1', 1], ['100', 100], ['65535', 65535], ['65536', 65535]]],
]) {
  test(`${name}: what counts as absent, and the bounds`, () => {
    for (const value of NONE) assert.strictEqual(settings(name, value)[key], standard, JSON.stringify(value));
    for (const [value, want] of rows) assert.strictEqual(settings(name, value)[key], want, value);
    const most = settings(name, rows[rows.length - 1][0])[key];
    for (const value of ['1e300', 'Infinity', '99999999999999999999']) assert.strictEqual(settings(name, value)[key], most, value);
  });
}

test('HTTPSYS_CACHE_DURATION: a number of 0 or more turns caching on', () => {
  for (const value of [undefined, 'long', '60s', 'NaN', '-1', '-0.5', '-Infinity']) {
    assert.strictEqual(settings('HTTPSYS_CACHE_DURATION', value).cacheDuration, undefined, value);
  }
  // Empty is 0, as it always was.
  for (const [value, want] of [['', 0], ['0', 0], ['0.5', 0], ['1', 1], ['60', 60], ['1e3', 1000], ['90.9', 90]]) {
    assert.strictEqual(settings('HTTPSYS_CACHE_DURATION', value).cacheDuration, want, value);
  }
});

test('HTTPSYS_EXPORT_CLIENT_CERT, HTTPSYS_COMPRESS, HTTPSYS_FALLBACK and HTTPSYS_AFFINITY', () => {
  for (const [name, key, rows] of [
    ['HTTPSYS_EXPORT_CLIENT_CERT', 'exportClientCertificate', [[undefined, false], ['1', true], ['0', true], ['', true]]],
    ['HTTPSYS_COMPRESS', 'compress', [[undefined, false], ['', false], ['0', false], ['1', true]]],
    ['HTTPSYS_FALLBACK', 'nativeFallback', [[undefined, false], ['', false], ['1', false], ['native', true]]],
    ['HTTPSYS_AFFINITY', 'affinity', [[undefined, undefined], ['', undefined], ['query:sid', { query: 'sid' }], ['cookie:id, address', { cookie: 'id', address: true }]]],
  ]) {
    for (const [value, want] of rows) assert.deepStrictEqual(settings(name, value)[key], want, `${name}=${value}`);
  }
  for (const value of ['sid', 'query:', 'address,']) assert.throws(() => settings('HTTPSYS_AFFINITY', value), /want query:NAME/);
});

// program runs one with variables of its own, and resolves with its port.
async function program(t, env, code) {
  const p = childProcess.spawn(process.execPath, ['-e', `const httpsys = require(${JSON.stringify(path.join(__dirname, '..'))}); ${code}
    server.listen(0, () => console.log(server.address().port));`], { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => p.kill('SIGKILL'));
  p.port = Number(String((await once(p.stdout, 'data'))[0]));
  return p;
}

for (const [value, window] of [['20000', 20000], ['1', 16384], [undefined, 65536]]) {
  test(`HTTPSYS_BUFFER_SIZE=${value}: so much comes of a body that nobody reads`, { timeout }, async (t) => {
    const p = await program(t, value === undefined ? {} : { HTTPSYS_BUFFER_SIZE: value }, `
      let held = null;
      const server = httpsys.http().createServer((req, res) => {
        if (req.method === 'POST') held = req;
        else res.end(held === null ? '[0, 0]' : JSON.stringify([held.readableLength, held.readableHighWaterMark]));
      });`);
    const client = net.connect(p.port, '127.0.0.1').on('error', () => {});
    t.after(() => client.destroy());
    client.write('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n');
    client.write(Buffer.alloc(1000000));
    const come = async () => JSON.parse((await request(p.port)).body);
    while ((await come())[0] < window);
    for (let i = 0; i < 10; i++) {
      const [length, highWaterMark] = await come();
      // What a stream takes at once counts as read until it is full.
      assert.ok(length >= window && length <= highWaterMark + (highWaterMark < window ? 1 : 4) * window, String(length));
    }
  });
}

test('HTTPSYS_REQUEST_QUEUE_LENGTH: what waits beyond it gets 503', { timeout }, async (t) => {
  const code = 'const server = httpsys.http().createServer((req, res) => res.end());';
  const loops = os.cpus().length; // at most; each gives the program one request
  for (const [env, refused] of [[{ HTTPSYS_REQUEST_QUEUE_LENGTH: '3' }, true], [{}, false]]) {
    const p = await program(t, { ...env, HTTPSYS_PENDING_READ_COUNT: '1' }, code);
    const all = 3 + loops + 20;
    p.kill('SIGSTOP');
    const statuses = { 200: 0, 503: 0 };
    let enough;
    const most = new Promise((resolve) => { enough = resolve; });
    const answers = Array.from({ length: all }, async () => {
      const { status } = await request(p.port);
      if (++statuses[status] === 20 && status === 503) enough();
    });
    if (refused) await most; // the program stands still: the daemon has said so
    else await waiting(p.port, all - loops);
    p.kill('SIGCONT');
    await Promise.all(answers);
    if (refused) assert.ok(statuses[200] >= 3 && statuses[200] <= 3 + loops && statuses[200] + statuses[503] === all, JSON.stringify(statuses));
    else assert.deepStrictEqual(statuses, { 200: all, 503: 0 });
  }
});

// waiting resolves when so many requests wait at the daemon for the program there.
async function waiting(port, least) {
  for (;;) {
    const { queues } = JSON.parse(daemon.admin('show', 'servicestate', '--json'));
    if (queues.find((q) => q.prefixes.some((url) => url.endsWith(`:${port}/`))).length >= least) return;
    await new Promise(setImmediate); // the clients are in this process
  }
}

test('HTTPSYS_EXPORT_CLIENT_CERT: the certificate has its bytes', { timeout }, async (t) => {
  const ca = pki.authority('root');
  const pair = pki.issue(ca, 'localhost');
  const client = pki.issue(ca, 'client', { usage: 'clientAuth' });
  const code = `const server = httpsys.https().createServer(${JSON.stringify({ ...pair, ca: ca.cert, requestCert: true, rejectUnauthorized: false })}, (req, res) => {
    const certificate = req.client.getPeerCertificate();
    res.end(JSON.stringify({ ...certificate, encoded: Buffer.isBuffer(certificate.encoded) ? certificate.encoded.toString('hex') : certificate.encoded }));
  });`;
  for (const [env, encoded] of [[{ HTTPSYS_EXPORT_CLIENT_CERT: '1' }, new crypto.X509Certificate(client.cert).raw.toString('hex')], [{}, undefined]]) {
    const { port } = await program(t, env, code);
    const res = await new Promise((resolve, reject) => {
      https.get({ port, host: '127.0.0.1', servername: 'localhost', ca: ca.cert, ...client, agent: false }, resolve).on('error', reject);
    });
    let body = '';
    for await (const d of res) body += d;
    const certificate = JSON.parse(body);
    assert.strictEqual(certificate.subject, 'C=DE, O=httpsys, CN=client');
    assert.strictEqual(certificate.encoded, encoded);
  }
});

// What the daemon has stored of a response, in seconds, by what the response says of
// itself; 0: nothing.
const SAYS = { nothing: '', 30: 'res.cacheDuration = 30;', "'30'": "res.cacheDuration = '30';", 0: 'res.cacheDuration = 0;', '-1': 'res.cacheDuration = -1;', never: "res.cacheDuration = 'never';" };

for (const [value, want] of [
  [undefined, { nothing: 0, 30: 0, "'30'": 0, 0: 0, '-1': 0, never: 0 }],
  ['long', { nothing: 0, 30: 0, "'30'": 0, 0: 0, '-1': 0, never: 0 }],
  ['-5', { nothing: 0, 30: 0, "'30'": 0, 0: 0, '-1': 0, never: 0 }],
  ['0', { nothing: 0, 30: 30, "'30'": 30, 0: 0, '-1': 0, never: 0 }],
  ['500', { nothing: 500, 30: 30, "'30'": 30, 0: 0, '-1': 0, never: 0 }],
]) {
  test(`HTTPSYS_CACHE_DURATION=${value}: how long the daemon answers`, { timeout }, async (t) => {
    const { port } = await program(t, value === undefined ? {} : { HTTPSYS_CACHE_DURATION: value }, `
      let asked = 0;
      const server = httpsys.http().createServer((req, res) => {
        ({ ${Object.entries(SAYS).map(([name, says]) => `${JSON.stringify(`/${encodeURIComponent(name)}`)}() { ${says} }`).join(', ')} })[req.url]();
        res.end(String(++asked));
      });`);
    const got = {};
    for (const name of Object.keys(SAYS)) {
      const path = `/${encodeURIComponent(name)}`;
      const first = await request(port, { path });
      const second = await request(port, { path });
      assert.deepStrictEqual([first.status, first.headers['httpsys-cache-control']], [200, undefined]);
      const entry = JSON.parse(daemon.admin('show', 'cachestate', `url=http://127.0.0.1:${port}${path}`, '--json')).entries[0];
      assert.strictEqual(second.body === first.body, entry !== undefined, name);
      got[name] = entry === undefined ? 0 : entry.age_s + entry.expires_s;
    }
    assert.deepStrictEqual(got, want);
  });
}
