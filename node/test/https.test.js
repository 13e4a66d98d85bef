'use strict';

// https servers: the program's own certificate, and what is told of TLS and of
// the certificates of clients. One table, over node:https and over httpsys.

const test = require('node:test');
const assert = require('node:assert');
const { constants } = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');
const { once } = require('node:events');
const tls = require('node:tls');
const net = require('node:net');
const http2 = require('node:http2');
const nodeHttps = require('node:https');
const daemon = require('./support/daemon');
const pki = require('./support/pki');
const httpsys = require('..');
const { oldClient } = require('../lib/tls');
const { listening, request } = require('./support/client');

const timeout = 20000;
const ca = pki.authority('root');
const other = pki.authority('other');
const pair = pki.issue(ca, 'localhost');
const clients = {
  good: pki.issue(ca, 'client', { usage: 'clientAuth' }),
  server: pair, // a certificate for another purpose
  expired: pki.issue(ca, 'late', { usage: 'clientAuth', days: -1 }),
  stranger: pki.issue(other, 'stranger', { usage: 'clientAuth' }),
};

let child;
test.before(async () => { child = await daemon.start(); });
test.after(() => child.removeAllListeners('exit') && child.kill());

// The slipstreamed class, without changing this process for the others.
const slipstreamed = (() => {
  const copy = httpsys.https();
  class Server extends copy.Server {}
  return { ...copy, createServer: (...args) => Object.defineProperty(new Server(...args), oldShape(copy), { value: false }) };
})();
function oldShape(copy) {
  return Object.getOwnPropertySymbols(copy.Server.prototype).find((s) => s.description === 'httpsys shape of req.client');
}

function both(name, run) {
  for (const [label, https] of [['node:https', nodeHttps], ['httpsys', slipstreamed]]) {
    test(`${label}: ${name}`, { timeout }, (t) => run(t, https, label === 'httpsys'));
  }
}

function get(port, options = {}) {
  return new Promise((resolve, reject) => {
    const req = nodeHttps.request({ port, host: '127.0.0.1', servername: 'localhost', ca: ca.cert, agent: false, ...options }, (res) => {
      let body = '';
      res.setEncoding('latin1');
      res.on('data', (d) => { body += d; });
      res.on('end', () => resolve({ status: res.statusCode, body, headers: res.headers }));
    });
    req.on('error', reject);
    req.end();
  });
}

both('a certificate of the program, and what the socket says', async (t, https) => {
  let secure = 0;
  const server = https.createServer(pair, (req, res) => {
    const s = req.socket;
    res.end(JSON.stringify([
      req.client === s, s instanceof tls.TLSSocket, s instanceof net.Socket, server instanceof tls.Server, server instanceof nodeHttps.Server, s.encrypted, s.authorized,
      s.authorizationError, s.servername, s.alpnProtocol, s.getProtocol(), Object.keys(s.getCipher()), s.getCipher().version, s.getPeerCertificate(),
      s.isSessionReused(), s.server === server, s.getEphemeralKeyInfo(), s.secureConnecting,
    ]));
  });
  server.on('secureConnection', () => { secure++; });
  const port = await listening(t, server);
  const r = await get(port);
  assert.deepStrictEqual(JSON.parse(r.body), [true, true, true, true, true, true, false, null, 'localhost', false, 'TLSv1.3',
    ['name', 'standardName', 'version'], 'TLSv1.3', {}, false, true, null, false]);
  assert.strictEqual(secure, 1);
  assert.strictEqual(JSON.parse((await get(port, { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-GCM-SHA256' })).body)[10], 'TLSv1.2');
});

both('the name of the cipher', async (t, https) => {
  const port = await listening(t, https.createServer(pair, (req, res) => res.end(JSON.stringify(req.socket.getCipher()))));
  for (const [options, name, standardName, version] of [
    [{ maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-GCM-SHA256' }, 'ECDHE-ECDSA-AES128-GCM-SHA256', 'TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256', 'TLSv1.2'],
    [{ maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-CHACHA20-POLY1305' }, 'ECDHE-ECDSA-CHACHA20-POLY1305', 'TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256', 'TLSv1.2'],
    [{ ciphers: 'TLS_AES_128_GCM_SHA256' }, 'TLS_AES_128_GCM_SHA256', 'TLS_AES_128_GCM_SHA256', 'TLSv1.3'],
  ]) assert.deepStrictEqual(JSON.parse((await get(port, options)).body), { name, standardName, version });
});

for (const [name, want] of [
  ['none', { authorized: false, error: 'UNABLE_TO_GET_ISSUER_CERT' }],
  ['good', { authorized: true, error: null, cn: 'client', issuer: 'root', detailed: 'root' }],
  ['server', { authorized: false, error: 'INVALID_PURPOSE', cn: 'localhost', issuer: 'root' }],
  ['expired', { authorized: false, error: 'CERT_HAS_EXPIRED', cn: 'late', issuer: 'root' }],
  ['stranger', { authorized: false, error: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE', cn: 'stranger', issuer: 'other' }],
]) {
  both(`certificates of clients: ${name}`, async (t, https) => {
    let certificate;
    const port = await listening(t, https.createServer({ ...pair, ca: ca.cert, requestCert: true, rejectUnauthorized: false }, (req, res) => {
      const s = req.socket;
      certificate = s.getPeerCertificate();
      const detailed = s.getPeerCertificate(true);
      const x = s.getPeerX509Certificate();
      res.end(JSON.stringify({
        authorized: s.authorized, error: s.authorizationError, cn: certificate.subject && certificate.subject.CN, issuer: certificate.issuer && certificate.issuer.CN,
        detailed: s.authorized ? detailed.issuerCertificate.subject.CN : undefined, same: x === undefined ? 'none' : x.fingerprint256 === certificate.fingerprint256,
      }));
    }));
    const r = await get(port, name === 'none' ? {} : clients[name]);
    const same = name === 'none' ? 'none' : true;
    assert.deepStrictEqual(JSON.parse(r.body), JSON.parse(JSON.stringify({ ...want, same })));
    if (name !== 'none') assert.ok(Buffer.isBuffer(certificate.raw) && certificate.valid_from && certificate.serialNumber);
  });
}

both('rejectUnauthorized refuses before the request', async (t, https) => {
  let requests = 0;
  const server = https.createServer({ ...pair, ca: ca.cert, requestCert: true }, (req, res) => { requests++; res.end(req.socket.getPeerCertificate().subject.CN); });
  const port = await listening(t, server);
  assert.strictEqual((await get(port, clients.good)).body, 'client');
  for (const who of [{}, clients.stranger, clients.server]) await assert.rejects(get(port, who));
  assert.strictEqual(requests, 1);
});

both('a key with a passphrase, and one that does not fit', async (t, https) => {
  const key = pki.encrypted(pair, 'secret');
  for (const options of [{ key, passphrase: 'secret' }, { key: [{ pem: key, passphrase: 'secret' }] }, { key: Buffer.from(key), passphrase: 'secret' }]) {
    const port = await listening(t, https.createServer({ cert: pair.cert, ...options }, (req, res) => res.end('x')));
    assert.strictEqual((await get(port)).body, 'x');
  }
  assert.throws(() => https.createServer({ cert: pair.cert, key: clients.good.key }));
});

both('a PKCS #12 file', async (t, https) => {
  const legacy = ['-keypbe', 'PBE-SHA1-3DES', '-certpbe', 'PBE-SHA1-3DES', '-macalg', 'sha1'];
  for (const options of [
    { pfx: pki.pfx(pair, [ca.cert], 'secret'), passphrase: 'secret' },
    { pfx: pki.pfx(pair, [other.cert, ca.cert], 'pässword', ...legacy), passphrase: 'pässword' },
    { pfx: pki.pfx(pair, [], '') },
    { pfx: [{ buf: pki.pfx(pair, [], 'own'), passphrase: 'own' }], passphrase: 'another' },
  ]) {
    const port = await listening(t, https.createServer(options, (req, res) => res.end('x')));
    assert.strictEqual((await get(port)).body, 'x');
  }
  assert.throws(() => https.createServer({ pfx: pki.pfx(pair, [], 'secret'), passphrase: 'wrong' }));
});

both('versions, cipher suites and groups of a server', async (t, https) => {
  const seen = (req, res) => res.end(`${req.socket.getProtocol()} ${req.socket.getCipher().name}`);
  for (const [options, client, want] of [
    [{ maxVersion: 'TLSv1.2' }, {}, /^TLSv1.2 /],
    [{ minVersion: 'TLSv1.3' }, { maxVersion: 'TLSv1.2' }, null],
    [{ secureProtocol: 'TLSv1_2_method' }, { minVersion: 'TLSv1.3' }, null],
    [{ secureOptions: constants.SSL_OP_NO_TLSv1_3 | constants.SSL_OP_NO_TLSv1 }, {}, /^TLSv1.2 /],
    [{ secureOptions: constants.SSL_OP_NO_TLSv1_2 }, { maxVersion: 'TLSv1.2' }, null],
    [{ secureOptions: constants.SSL_OP_NO_TLSv1_2 }, {}, /^TLSv1.3 /],
    [{ maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-CHACHA20-POLY1305' }, {}, /^TLSv1.2 ECDHE-ECDSA-CHACHA20-POLY1305$/],
    [{ maxVersion: 'TLSv1.2', ciphers: 'ECDHE+AESGCM:!AES128' }, {}, /^TLSv1.2 ECDHE-ECDSA-AES256-GCM-SHA384$/],
    [{ maxVersion: 'TLSv1.2', ciphers: 'HIGH:!CHACHA20' }, { ciphers: 'ECDHE-ECDSA-CHACHA20-POLY1305' }, null],
    [{ ecdhCurve: 'P-384' }, { ecdhCurve: 'P-384' }, /^TLSv1.3 /],
    [{ ecdhCurve: 'P-384' }, { ecdhCurve: 'P-256' }, null],
    [{ minVersion: 'TLSv1.1', ciphers: 'ALL@SECLEVEL=0' }, { secureProtocol: 'TLSv1_1_method', ciphers: 'ALL@SECLEVEL=0' }, /^TLSv1.1 /],
  ]) {
    const port = await listening(t, https.createServer({ ...pair, ...options }, seen));
    if (want === null) await assert.rejects(get(port, client), JSON.stringify(options));
    else assert.match((await get(port, client)).body, want);
  }
});

both('another certificate while the server runs', async (t, https) => {
  const next = pki.issue(other, 'localhost');
  const server = https.createServer(pair, (req, res) => res.end('x'));
  const port = await listening(t, server);
  assert.strictEqual((await get(port)).body, 'x');
  server.setSecureContext(next);
  for (;;) { // the daemon is a round trip away
    const body = await get(port, { ca: other.cert }).then((r) => r.body, (err) => err.code);
    if (body === 'x') break;
    assert.match(body, /^(SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_VERIFY_LEAF_SIGNATURE|UNABLE_TO_GET_ISSUER_CERT_LOCALLY)$/);
  }
  await assert.rejects(get(port));
});

both('a server can listen again', async (t, https) => {
  const server = https.createServer(pair, (req, res) => res.end('x'));
  for (let i = 0; i < 2; i++) {
    server.listen(0);
    await once(server, 'listening');
    const { port } = server.address();
    server.setSecureContext(pair);
    assert.strictEqual((await get(port)).body, 'x');
    await new Promise((resolve) => server.close(resolve));
    await assert.rejects(get(port), { code: 'ECONNREFUSED' });
  }
});

test('HTTP/2 clients reach a genuine https server', { timeout }, async (t) => {
  let closed = 0;
  const port = await listening(t, slipstreamed.createServer(pair, (req, res) => {
    req.socket.on('close', () => { closed++; });
    res.end(JSON.stringify([req.httpVersion, req.httpsys.protocol, req.headers.host.replace(/\d+$/, 'PORT'), req.url, req.socket.alpnProtocol]));
  }));
  const session = http2.connect(`https://localhost:${port}`, { ca: ca.cert, lookup: (name, options, cb) => (options.all ? cb(null, [{ address: '127.0.0.1', family: 4 }]) : cb(null, '127.0.0.1', 4)) });
  t.after(() => session.destroy());
  for (let i = 0; i < 3; i++) {
    const stream = session.request({ ':path': `/${i}` });
    let body = '';
    for await (const d of stream) body += d;
    assert.deepStrictEqual(JSON.parse(body), ['1.1', '2', 'localhost:PORT', `/${i}`, 'h2']);
  }
  assert.ok(closed >= 2, 'the socket of a stream ends with it');
  await new Promise((resolve) => session.close(resolve));
});

test('long answers over TLS and over HTTP/2 are whole', { timeout }, async (t) => {
  const bytes = Buffer.alloc(3e6, 'abcdefghijk');
  const port = await listening(t, slipstreamed.createServer(pair, (req, res) => {
    const size = Number(req.url.slice(1));
    if (size % 2 === 0) res.setHeader('Content-Length', size);
    res.end(bytes.subarray(0, size));
  }));
  const session = http2.connect(`https://localhost:${port}`, { ca: ca.cert, lookup: (name, options, cb) => (options.all ? cb(null, [{ address: '127.0.0.1', family: 4 }]) : cb(null, '127.0.0.1', 4)) });
  t.after(() => session.destroy());
  await Promise.all([65535, 65536, 65537, 262144, 262145, 1 << 20, 3e6].flatMap((size) => [
    (async () => {
      const stream = session.request({ ':path': `/${size}` });
      const chunks = [];
      for await (const d of stream) chunks.push(d);
      assert.ok(Buffer.concat(chunks).equals(bytes.subarray(0, size)), `HTTP/2: ${size} bytes`);
    })(),
    (async () => {
      const r = await get(port, { path: `/${size}` });
      assert.ok(Buffer.from(r.body, 'latin1').equals(bytes.subarray(0, size)), `TLS: ${size} bytes`);
    })(),
  ]));
  await new Promise((resolve) => session.close(resolve));
});

test('httpsys.https() gives the shape of the old module', { timeout }, async (t) => {
  const server = httpsys.https().createServer({ ...pair, ca: ca.cert, requestCert: true, rejectUnauthorized: false }, (req, res) => {
    const { client } = req;
    res.end(JSON.stringify({
      keys: Object.keys(client), authorized: client.authorized, error: client.authorizationError,
      certificate: client.getPeerCertificate ? client.getPeerCertificate() : null, socket: req.socket.authorized,
    }));
  });
  const port = await listening(t, server);
  assert.deepStrictEqual(JSON.parse((await get(port)).body), { keys: [], certificate: null, socket: false });
  const good = JSON.parse((await get(port, clients.good)).body);
  assert.deepStrictEqual([good.authorized, good.error, good.certificate.subject, good.certificate.issuer, Object.keys(good.certificate)],
    [true, undefined, 'C=DE, O=httpsys, CN=client', 'O=httpsys, CN=root', ['subject', 'issuer', 'valid_from', 'valid_to', 'fingerprint']]);
  assert.match(good.certificate.valid_from, /^\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT$/);
  assert.match(good.certificate.fingerprint, /^([0-9A-F]{2}:){19}[0-9A-F]{2}$/);
  for (const [who, error] of [['server', 'CERT_E_WRONG_USAGE'], ['expired', 'CERT_E_EXPIRED']]) {
    const bad = JSON.parse((await get(port, clients[who])).body);
    assert.deepStrictEqual([bad.authorized, bad.error, typeof bad.certificate.subject], [false, error, 'string']);
  }
});

// Each verdict of docs/channel.md section 4.1, with the code that the daemon sends.
test('the old names of what is wrong with a certificate', () => {
  const said = {};
  const table = fs.readFileSync(path.join(__dirname, '..', '..', 'docs', 'channel.md'), 'utf8');
  for (const [, verdict, name, code] of table.matchAll(/^\| (\d+) \| `([a-z-]+)` \| [^|]* \| \w+ (0x[0-9A-F]{8}) \|$/gm)) {
    said[name] = oldClient({ presented: 1, verdict: Number(verdict), verdictCode: Number(code) }).authorizationError;
  }
  assert.deepStrictEqual(said, {
    expired: 'CERT_E_EXPIRED', 'not-yet-valid': 'CERT_E_EXPIRED', 'untrusted-root': 'CERT_E_UNTRUSTEDROOT', 'incomplete-chain': 'CERT_E_CHAINING',
    'bad-signature': 'TRUST_E_CERT_SIGNATURE', 'weak-signature': 'TRUST_E_CERT_SIGNATURE', 'wrong-usage': 'CERT_E_WRONG_USAGE', 'invalid-ca': '0x800b0103',
    'not-permitted': '0x800b0114', revoked: 'CRYPT_E_REVOKED', 'revocation-unknown': 'CRYPT_E_NO_REVOCATION_CHECK',
    'revocation-offline': 'CRYPT_E_REVOCATION_OFFLINE', invalid: '0x800b010b',
  });
});

test('req.httpsys.tls', { timeout }, async (t) => {
  const tell = (req, res) => res.end(JSON.stringify([req.httpsys.tls]));
  const port = await listening(t, slipstreamed.createServer(pair, tell));
  assert.deepStrictEqual(JSON.parse((await get(port, { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-GCM-SHA256' })).body),
    [{ protocol: 'TLSv1.2', cipher: 'TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256', servername: 'localhost', alpn: '', resumed: false }]);
  const plain = httpsys.http().createServer(tell).on('connection', () => {}); // the daemon tells of plain ones, too
  assert.deepStrictEqual(JSON.parse((await request(await listening(t, plain))).body), [null]);
});

test('what the daemon cannot take is said as an error of listen', { timeout }, async () => {
  for (const [options, message] of [
    [{ ciphers: 'PSK' }, /httpsys has none of them/],
    [{ secureOptions: constants.SSL_OP_NO_TLSv1_2 | constants.SSL_OP_NO_TLSv1_3 }, /no version of TLS is left/],
    [{ requestCert: true, ca: ca.cert, crl: 'a list' }, /add sslcert/],
  ]) {
    const server = Object.assign(slipstreamed.createServer(pair), options);
    server.listen(0);
    const [err] = await Promise.race([once(server, 'error'), once(server, 'listening').then(() => [{}])]);
    server.close();
    assert.deepStrictEqual([err.code, err.syscall], ['ENOTSUP', 'listen'], String(message));
    assert.match(err.message, message);
  }
});

test('without a certificate anywhere, the daemon says so', { timeout }, async () => {
  const server = slipstreamed.createServer();
  server.listen(0);
  const [err] = await Promise.race([once(server, 'error'), once(server, 'listening').then(() => [null])]);
  if (err === null) await new Promise((resolve) => server.close(resolve));
  else assert.match(err.message, /certificate/);
});

test('a client that leaves ends its socket', { timeout }, async (t) => {
  let closed;
  const done = new Promise((resolve) => { closed = resolve; });
  const server = slipstreamed.createServer(pair, (req, res) => { req.socket.on('close', closed); res.end('x'); });
  server.keepAliveTimeout = 60000;
  const port = await listening(t, server);
  const socket = tls.connect({ port, host: '127.0.0.1', servername: 'localhost', ca: ca.cert });
  await once(socket, 'secureConnect');
  socket.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
  await once(socket, 'data');
  socket.destroy();
  await done;
});

test('serve() on an https prefix', { timeout }, async (t) => {
  const server = await httpsys.serve({ url: 'https://*:0/', ...pair, ca: ca.cert, requestCert: true }, (req, info) => {
    const c = info.clientCertificate;
    return Response.json([new URL(req.url).protocol, info.secure, info.tls.protocol, info.tls.servername, c && c.authorized, c && c.verdict,
      c && c.certificate.subject.split('\n').pop()]);
  }).ready;
  t.after(() => server.close(true));
  assert.deepStrictEqual(JSON.parse((await get(server.port)).body), ['https:', true, 'TLSv1.3', 'localhost', null, null, null]);
  assert.deepStrictEqual(JSON.parse((await get(server.port, clients.good)).body).slice(4), [true, 'trusted', 'CN=client']);
  assert.deepStrictEqual(JSON.parse((await get(server.port, clients.expired)).body).slice(4), [false, 'expired', 'CN=late']);
});
