'use strict';

// What a program sees of its clients beside requests: connections that say
// nothing, bytes that are no request, requests that nobody waited for. On
// node:http and on httpsys alike.

const test = require('node:test');
const assert = require('node:assert');
const { once } = require('node:events');
const net = require('node:net');
const tls = require('node:tls');
const nodeHttp = require('node:http');
const nodeHttps = require('node:https');
const daemon = require('./support/daemon');
const pki = require('./support/pki');
const httpsys = require('..');
const { listening } = require('./support/client');

let child;
test.before(async () => { child = await daemon.start(); });
test.after(() => child.removeAllListeners('exit') && child.kill());

const { key, cert } = pki.issue(pki.authority('root'), 'localhost');
const kinds = [
  ['node:http', () => nodeHttp.createServer, net.connect],
  ['node:https', () => (...args) => nodeHttps.createServer({ key, cert, ...args[0] }, ...args.slice(1)), tls.connect],
  ['httpsys', () => httpsys.http().createServer, net.connect],
  ['httpsys https', () => (...args) => httpsys.https().createServer({ key, cert, ...args[0] }, ...args.slice(1)), tls.connect],
];

// all runs a test with each kind of server. client(port) connects, and gives
// what it hears and its end.
function all(name, run) {
  for (const [label, create, connect] of kinds) {
    const came = label.endsWith('https') ? 'secureConnection' : 'connection';
    test(`${label}: ${name}`, { timeout: 20000 }, (t) => run(t, create(), (port, options) => {
      const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...options });
      let heard = '';
      socket.setEncoding('latin1').on('data', (text) => { heard += text; });
      socket.on('error', () => {});
      socket.ended = new Promise((resolve) => { socket.on('close', () => resolve(heard)); }); // also after a reset
      socket.heard = async (text) => {
        while (!heard.includes(text)) await once(socket, 'data');
        return heard;
      };
      t.after(() => socket.destroy());
      return socket;
    }, came));
  }
}

const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';

all('connection comes before a byte was sent, and the program may end it', async (t, create, client, event) => {
  const server = create({}, (req, res) => res.end());
  const port = await listening(t, server.on(event, () => {}));
  const first = client(port);
  const [socket] = await once(server, event);
  assert.strictEqual(socket.remotePort, first.localPort);
  assert.strictEqual(socket.localPort, port);
  const open = await new Promise((resolve) => server.getConnections((err, n) => resolve(n)));
  assert.strictEqual(open, 1);
  socket.destroy();
  assert.strictEqual(await first.ended, '');
  const second = client(port);
  const [other] = await once(server, event);
  other.mark = 7;
  let same;
  server.prependOnceListener('request', (req) => { same = req.socket.mark; });
  second.write(GET);
  await second.heard('\r\n\r\n');
  assert.strictEqual(same, 7);
  second.destroy();
  await once(other, 'close');
});

all('a client that leaves without a request is told of', async (t, create, client, event) => {
  const server = create();
  const port = await listening(t, server.on(event, () => {}));
  const c = client(port);
  const [socket] = await once(server, event);
  c.destroy();
  await once(socket, 'close');
});

all('closeAllConnections ends those in the middle of a head', async (t, create, client, event) => {
  const server = create();
  const port = await listening(t, server.on(event, () => {}));
  const c = client(port);
  c.write('GET / HT');
  await once(server, event);
  const closed = once(server, 'close');
  server.closeIdleConnections();
  server.close();
  server.closeAllConnections();
  await Promise.all([c.ended, closed]);
});

all('headersTimeout counts from the beginning of the connection', async (t, create, client) => {
  const server = create({ headersTimeout: 100, requestTimeout: 0, keepAliveTimeout: 0, connectionsCheckingInterval: 20 });
  const port = await listening(t, server.on('connection', () => {}));
  assert.strictEqual(await client(port).ended, 'HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n');
});

all('clientError has the bytes and the answer', async (t, create, client) => {
  const server = create({}, (req, res) => res.end('fine'));
  const port = await listening(t, server.on('clientError', () => {}));
  for (const behind of [false, true]) {
    const c = client(port, { allowHalfOpen: true });
    if (behind) {
      c.write(GET);
      await c.heard('fine');
    }
    c.write('Oopsie-doopsie\r\n');
    const [err, socket] = await once(server, 'clientError');
    assert.strictEqual(err.code, 'HPE_INVALID_METHOD');
    assert.strictEqual(err.rawPacket.latin1Slice(), 'Oopsie-doopsie\r\n');
    assert.strictEqual(socket.writable, true);
    c.on('end', () => c.end());
    socket.end('HTTP/1.1 418 No\r\n\r\n');
    assert.ok((await c.ended).endsWith('HTTP/1.1 418 No\r\n\r\n'));
  }
});

all('without a listener the answer is 400', async (t, create, client) => {
  const port = await listening(t, create());
  const c = client(port);
  c.write('Oopsie-doopsie\r\n');
  assert.strictEqual(await c.ended, 'HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n');
});

all('insecureHTTPParser and maxHeaderSize of a server', async (t, create, client) => {
  for (const [options, field] of [[{ insecureHTTPParser: true }, 'te\x08xt'], [{ maxHeaderSize: 65536 }, 'x'.repeat(40000)]]) {
    const port = await listening(t, create(options, (req, res) => res.end(`${req.headers['x-a'].length} characters`)));
    const c = client(port);
    c.write(`GET / HTTP/1.1\r\nHost: a\r\nX-A: ${field}\r\n\r\n`);
    await c.heard(`${field.length} characters`);
    c.write(GET.replace('Host', 'X-A: b\r\nHost')); // and the connection goes on
    await c.heard('1 characters');
    c.destroy();
  }
});

all('requests that come before the first is answered', async (t, create, client) => {
  const waiting = [];
  const server = create({}, (req, res) => {
    waiting.push(res);
    server.emit('waits');
  });
  const port = await listening(t, server);
  const c = client(port);
  for (let i = 0; i < 3; i++) {
    const came = once(server, 'waits');
    c.write(GET);
    await came;
  }
  for (const i of [2, 1, 0]) waiting[i].end(`answer ${i};`);
  const heard = await c.heard('answer 2;');
  assert.deepStrictEqual(heard.match(/answer \d/g), ['answer 0', 'answer 1', 'answer 2']);
  const came = once(server, 'waits');
  c.write(GET); // later ones come as well
  await came;
  waiting[3].end('the last');
  await c.heard('the last');
});

all('what follows an upgrade at once is its head', async (t, create, client) => {
  const server = create();
  const port = await listening(t, server.on('upgrade', () => {}));
  const c = client(port);
  c.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nearly');
  const [req, socket, head] = await once(server, 'upgrade');
  assert.strictEqual(req.headers.upgrade, 'x');
  assert.strictEqual(head.latin1Slice(), 'early');
  socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n');
  socket.on('data', (d) => socket.end(`you said ${d}`));
  await c.heard('101');
  c.write('more');
  assert.ok((await c.ended).endsWith('you said more'));
});

all('timeout comes before the connection is closed', async (t, create, client) => {
  const server = create({ keepAliveTimeout: 20 }, (req, res) => res.end('fine'));
  const port = await listening(t, server.on('timeout', () => {}));
  const c = client(port);
  const late = once(server, 'timeout');
  c.write(GET);
  await c.heard('fine');
  (await late)[0].end();
  await c.ended;
});

all('a head without anything that says where the body ends', async (t, create, client) => {
  const server = create({}, (req, res) => {
    for (const name of ['Connection', 'Content-Length', 'Transfer-Encoding']) res.removeHeader(name);
    res.sendDate = false;
    res.write('a body ');
    setImmediate(() => res.end('of two pieces'));
  });
  const port = await listening(t, server);
  const c = client(port);
  c.write(GET);
  assert.strictEqual(await c.ended, 'HTTP/1.1 200 OK\r\n\r\na body of two pieces');
});

all('what is gathered in a turn counts as waiting', async (t, create, client) => {
  const lengths = [];
  const server = create({}, (req, res) => {
    res.flushHeaders();
    setImmediate(() => {
      lengths.push(res.writableLength);
      res.write('asd');
      lengths.push(res.writableLength, req.socket.writableLength);
      setImmediate(() => {
        lengths.push(res.writableLength);
        res.end();
      });
    });
  });
  const port = await listening(t, server);
  const c = client(port);
  c.write(GET);
  await c.heard('\r\n0\r\n\r\n');
  assert.deepStrictEqual(lengths, [0, 8, 8, 0]);
});

all('the socket rests while the program does not read', async (t, create, client) => {
  const server = create({}, (req, res) => {
    req.socket.once('pause', () => {
      req.resume();
      req.on('end', () => res.end('read'));
    });
  });
  const port = await listening(t, server);
  const c = client(port);
  const body = 'x'.repeat(1 << 20);
  c.write(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
  await c.heard('read');
});

test('programs that replace Socket.prototype.connect do not see the daemon', { timeout: 20000 }, async (t) => {
  const { connect } = net.Socket.prototype;
  let seen = 0;
  net.Socket.prototype.connect = function replaced(...args) {
    seen++;
    return connect.apply(this, args);
  };
  t.after(() => { net.Socket.prototype.connect = connect; });
  const server = httpsys.http().createServer((req, res) => res.end());
  await listening(t, server);
  assert.strictEqual(seen, 0);
});

test('a listener that throws in its domain leaves the others of its batch in theirs', { timeout: 20000 }, () => {
  const program = `
    const domain = require('domain');
    const net = require('net');
    const http = require(${JSON.stringify(require.resolve('..'))}).http();
    const server = http.createServer((req, res) => {
      const d = domain.create();
      d.on('error', (err) => res.end(err.message + ';'));
      d.run(() => { throw new Error(req.url); });
    }).listen(0, () => {
      let heard = '';
      let open = 8;
      for (let i = 0; i < 8; i++) {
        const c = net.connect(server.address().port, () => c.write('GET /' + i + ' HTTP/1.1\\r\\nHost: a\\r\\nConnection: close\\r\\n\\r\\n'));
        c.on('data', (d) => { heard += d; }).on('close', () => {
          if (--open > 0) return;
          console.log(heard.match(/\\/\\d;/g).sort().join(''));
          process.exit();
        });
      }
    });`;
  const run = require('node:child_process').spawnSync(process.execPath, ['-e', program], { encoding: 'utf8' });
  assert.deepStrictEqual([run.stdout, run.stderr], ['/0;/1;/2;/3;/4;/5;/6;/7;\n', '']);
});

test('tracers count the responses of the program only', { timeout: 20000 }, () => {
  const program = `
    const http = require('http');
    let made = 0;
    require('diagnostics_channel').channel('http.server.response.created').subscribe(() => { made++; });
    require(${JSON.stringify(require.resolve('..'))}).slipstream();
    console.log(made);`;
  const run = require('node:child_process').spawnSync(process.execPath, ['-e', program], { encoding: 'utf8' });
  assert.deepStrictEqual([run.stdout, run.stderr], ['0\n', '']);
});
