'use strict';

// Clients that send on before they have an answer, or close their side behind a request, and
// what of their bytes and of a response's pieces programs and clients see. Compared with
// Node's own server.

const test = require('node:test');
const assert = require('node:assert');
const net = require('node:net');
const nodeHttp = require('node:http');
const nodeHttps = require('node:https');
const tls = require('node:tls');
const { once } = require('node:events');
const daemon = require('./support/daemon');
const pki = require('./support/pki');
const httpsys = require('..');
const { listening, talk } = require('./support/client');

let child;
test.before(async () => { child = await daemon.start(); });
test.after(() => child.removeAllListeners('exit') && child.kill());

const pair = pki.issue(pki.authority('root'), 'localhost');

function both(name, run) {
  for (const [label, http] of [['node:http', nodeHttp], ['httpsys', httpsys.http()]]) {
    test(`${label}: ${name}`, { timeout: 20000 }, (t) => run(t, http));
  }
}

const get = (target, fields = '') => `GET ${target} HTTP/1.1\r\nHost: x\r\n${fields}\r\n`;

// answers are the bodies of what a server has sent, if all of it is chunked.
function bodies(text) {
  return text.split('HTTP/1.1 200 OK').slice(1).map((answer) => answer.slice(answer.indexOf('\r\n\r\n') + 4)
    .replace(/(?:^|\r\n)[0-9a-f]+\r\n/g, ''));
}

both('requests behind one whose answer was begun', async (t, http) => {
  const seen = [];
  const port = await listening(t, http.createServer((req, res) => {
    seen.push(req.url);
    res.write(`one of ${req.url}, `);
    setImmediate(() => setImmediate(() => res.end('two')));
  }));
  const got = await talk(port, get('/1') + get('/2') + get('/3', 'Connection: close\r\n'));
  assert.deepStrictEqual(seen, ['/1', '/2', '/3']);
  assert.deepStrictEqual(bodies(got).map((s) => s.trim()), ['one of /1, two', 'one of /2, two', 'one of /3, two']);
});

both('all of them are answered at once', async (t, http) => {
  const port = await listening(t, http.createServer((req, res) => {
    res.write('a');
    res.end(req.url);
  }));
  const got = await talk(port, get('/1') + get('/2') + get('/3', 'Connection: close\r\n'));
  assert.deepStrictEqual(bodies(got).map((s) => s.trim()), ['a/1', 'a/2', 'a/3']);
});

both('the first is answered in part, and the second destroys their socket', async (t, http) => {
  const port = await listening(t, http.createServer((req, res) => {
    if (req.url === '/1') res.write('part');
    else setImmediate(() => req.socket.destroy());
  }));
  const got = await talk(port, get('/1') + get('/2'));
  assert.match(got, /^HTTP\/1.1 200 OK[^]*\r\n4\r\npart\r\n$/);
});

both('the server closes while the first of several is answered', async (t, http) => {
  let requests = 0;
  const server = http.createServer((req, res) => {
    if (requests++ === 0) server.close();
    res.write('x');
    setImmediate(() => setImmediate(() => res.end()));
  });
  const port = await listening(t, server);
  const got = await talk(port, get('/1') + get('/2') + get('/3', 'Connection: close\r\n'));
  assert.strictEqual(bodies(got).length, 3);
  assert.strictEqual(requests, 3);
});

both('more is written in one turn than can wait', async (t, http) => {
  const port = await listening(t, http.createServer((req, res) => {
    for (let i = 0; i < 100; i++) res.write('x'.repeat(4000));
    setImmediate(() => setImmediate(() => res.end()));
  }));
  const got = await talk(port, get('/1') + get('/2', 'Connection: close\r\n'));
  assert.strictEqual(got.replace(/[^x]/g, '').length, 800000);
});

for (const [label, make, connect] of [
  ['node:http', (f) => nodeHttp.createServer(f), (port) => net.connect(port)],
  ['node:https', (f) => nodeHttps.createServer(pair, f), (port) => tls.connect({ port, rejectUnauthorized: false })],
  ['httpsys', (f) => httpsys.http().createServer(f), (port) => net.connect(port)],
  ['httpsys https', (f) => httpsys.https().createServer(pair, f), (port) => tls.connect({ port, rejectUnauthorized: false })],
]) {
  test(`${label}: dropRequest has the request that is one too many`, { timeout: 20000 }, async (t) => {
    let requests = 0;
    const server = make((req, res) => {
      requests++;
      res.end('ok');
    });
    const dropped = once(server, 'dropRequest');
    server.maxRequestsPerSocket = 1;
    const port = await listening(t, server);
    const client = connect(port);
    client.write(get('/1') + get('/2'));
    client.resume();
    const [req, socket] = await dropped;
    assert.strictEqual(req.url, '/2');
    assert.ok(socket instanceof net.Socket);
    await once(client, 'close');
    assert.strictEqual(requests, 1);
  });
}

both('a client that closes its side with the last of its body gets the answer', async (t, http) => {
  const port = await listening(t, http.createServer((req, res) => {
    let text = '';
    req.setEncoding('utf8').on('data', (d) => { text += d; });
    req.on('end', () => res.end(`got ${text}`));
  }));
  for (const body of ['Content-Length: 4\r\n\r\nbody', 'Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n']) {
    const client = net.connect(port, '127.0.0.1');
    let got = '';
    client.setEncoding('latin1').on('data', (d) => { got += d; });
    client.end(`POST / HTTP/1.1\r\nHost: x\r\n${body}`);
    await once(client, 'end');
    assert.match(got, /^HTTP\/1.1 200 OK[^]*got body$/);
  }
});

both('each chunk is one for the client, and Connection as the program spells it', async (t, http) => {
  const port = await listening(t, http.createServer((req, res) => {
    res.writeHead(200, { connection: 'close', date: 'now', 'Transfer-Encoding': 'chunked' });
    res.write('Hello, ');
    setImmediate(() => {
      res.write('world');
      res.write(Buffer.from('!'));
      res.end();
    });
  }));
  assert.strictEqual(await talk(port, get('/')),
    'HTTP/1.1 200 OK\r\nconnection: close\r\ndate: now\r\nTransfer-Encoding: chunked\r\n\r\n7\r\nHello, \r\n5\r\nworld\r\n1\r\n!\r\n0\r\n\r\n');
});

both('who listens to the data of a socket sees the body', async (t, http) => {
  const port = await listening(t, http.createServer((req, res) => {
    let seen = '';
    req.socket.on('data', (d) => { seen += d; });
    let text = '';
    req.on('data', (d) => { text += d; });
    req.on('end', () => setImmediate(() => res.end(`${text} ${seen}`)));
    res.flushHeaders();
  }));
  const client = net.connect(port, '127.0.0.1');
  client.setEncoding('latin1');
  let got = '';
  client.on('data', (d) => { got += d; });
  client.write('POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 6\r\n\r\n');
  await once(client, 'data');
  client.write('abc');
  client.write('def');
  await once(client, 'end');
  assert.match(got, /abcdef abcdef/);
});

both('chunk extensions: too long, and long', async (t, http) => {
  const port = await listening(t, http.createServer((req, res) => {
    req.on('end', () => res.end('bye'));
    req.resume();
  }));
  const chunk = (n) => `2;${'A'.repeat(n)}=bar\r\nAA\r\n`;
  const head = 'POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n';
  assert.strictEqual(await talk(port, `${head}${chunk(20000)}0\r\n\r\n`), 'HTTP/1.1 413 Payload Too Large\r\nConnection: close\r\n\r\n');
  assert.match(await talk(port, `${head}${chunk(10000).repeat(3)}0\r\n\r\n`), /^HTTP\/1.1 200 OK[^]*bye/);
});

both('behind the last response of a connection its socket has ended', async (t, http) => {
  const ended = [];
  const port = await listening(t, http.createServer((req, res) => {
    const { socket } = req;
    res.on('finish', () => ended.push(socket.writableEnded));
    res.end('x');
  }));
  const client = net.connect(port, '127.0.0.1');
  client.write(get('/'));
  await once(client, 'data');
  client.write(get('/', 'Connection: close\r\n'));
  await once(client.resume(), 'end');
  assert.deepStrictEqual(ended, [false, true]);
});

both('CONNECT to what is no host', async (t, http) => {
  const server = http.createServer();
  server.on('connect', (req, socket) => socket.end(`HTTP/1.1 200 ${req.url}\r\n\r\n`));
  const port = await listening(t, server);
  assert.strictEqual(await talk(port, 'CONNECT / HTTP/1.1\r\nHost: x\r\n\r\n'), 'HTTP/1.1 200 /\r\n\r\n');
});
