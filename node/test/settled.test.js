'use strict';

// What becomes of a request and its response after the answer, where programs listen
// and where they do not: the same over node:http and over httpsys.

const test = require('node:test');
const assert = require('node:assert');
const { once } = require('node:events');
const net = require('node:net');
const nodeHttp = require('node:http');
const daemon = require('./support/daemon');
const httpsysHttp = require('..').http();
const { listening, request, talk } = require('./support/client');

let child;
test.before(async () => { child = await daemon.start(); });
test.after(() => child.removeAllListeners('exit') && child.kill());

function both(name, run) {
  for (const [label, http] of [['node:http', nodeHttp], ['httpsys', httpsysHttp]]) {
    test(`${label}: ${name}`, { timeout: 20000 }, (t) => run(t, http));
  }
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

// stateOf is what a program can ask a request and its response.
function stateOf(req, res) {
  return {
    complete: req.complete, aborted: req.aborted, destroyed: req.destroyed, closed: req.closed, readable: req.readable, ended: req.readableEnded,
    flowing: req.readableFlowing, errored: req.errored, didRead: req.readableDidRead,
    res: [res.finished, res.writableEnded, res.writableFinished, res.destroyed, res.closed, res.socket, res.headersSent],
  };
}

const SETTLED = {
  complete: true, aborted: false, destroyed: true, closed: true, readable: false, ended: true, flowing: true, errored: null, didRead: false,
  res: [true, true, true, true, true, null, true],
};

for (const [when, later] of [['at once', (f) => f()], ['in another turn', (f) => setImmediate(f)]]) {
  both(`a request that nobody reads is settled when it is answered ${when}`, async (t, http) => {
    let settled;
    const done = new Promise((resolve) => { settled = resolve; });
    const port = await listening(t, http.createServer((req, res) => {
      later(() => {
        res.on('close', async () => {
          await turn();
          settled(stateOf(req, res));
        });
        res.end('answer');
      });
    }));
    assert.strictEqual((await request(port)).body, 'answer');
    assert.deepStrictEqual(await done, SETTLED);
  });

  both(`who listens to a request that is answered ${when} hears of its end`, async (t, http) => {
    const heard = [];
    let closed;
    const done = new Promise((resolve) => { closed = resolve; });
    const port = await listening(t, http.createServer((req, res) => {
      later(() => {
        res.end('answer');
        // As late as it can be.
        req.on('end', () => heard.push('end'));
        req.on('close', () => { heard.push('close'); closed(); });
      });
    }));
    await request(port);
    await done;
    assert.deepStrictEqual(heard, ['end', 'close']);
  });

  both(`a request without a body can be read ${when}`, async (t, http) => {
    const port = await listening(t, http.createServer((req, res) => {
      later(async () => {
        let n = 0;
        for await (const chunk of req) n += chunk.length;
        res.end(`${n} ${req.readableEnded}`);
      });
    }));
    assert.strictEqual((await request(port)).body, '0 true');
  });
}

both('readable, setEncoding, pipe and resume on requests without a body', async (t, http) => {
  const ways = {
    '/readable': (req, end) => { req.on('readable', () => { if (req.read() === null) end(); }); },
    '/encoding': (req, end) => { req.setEncoding('utf8'); req.on('data', () => {}); req.on('end', end); },
    '/resume': (req, end) => { req.resume(); req.on('end', end); },
    '/read': (req, end) => { req.read(); req.on('end', end); req.resume(); },
    '/late': (req, end) => { setImmediate(() => { req.on('data', () => {}); req.on('end', end); }); },
  };
  const port = await listening(t, http.createServer((req, res) => {
    if (req.url === '/pipe') req.pipe(res);
    else ways[req.url](req, () => { if (!res.writableEnded) res.end(req.url); });
  }));
  for (const path of Object.keys(ways)) assert.strictEqual((await request(port, { path })).body, path);
  assert.strictEqual((await request(port, { path: '/pipe' })).body, '');
});

both('a response whose client leaves closes without finish, on each request of a connection', async (t, http) => {
  const events = [];
  let told;
  const done = new Promise((resolve) => { told = resolve; });
  const port = await listening(t, http.createServer((req, res) => {
    res.on('finish', () => events.push(`finish ${req.url}`));
    res.on('close', () => {
      events.push(`close ${req.url}`);
      if (req.url === '/2') told();
    });
    if (req.url === '/1') res.end('one');
    else res.write('begun');
  }));
  const socket = net.connect(port, '127.0.0.1');
  socket.write('GET /1 HTTP/1.1\r\nHost: h\r\n\r\n');
  await once(socket, 'data');
  socket.write('GET /2 HTTP/1.1\r\nHost: h\r\n\r\n');
  await once(socket, 'data');
  socket.destroy();
  await done;
  assert.deepStrictEqual(events, ['finish /1', 'close /1', 'close /2']);
});

both('a socket that has a response takes no second one', async (t, http) => {
  const port = await listening(t, http.createServer((req, res) => {
    const other = new nodeHttp.ServerResponse(req);
    let code;
    try {
      other.assignSocket(req.socket);
    } catch (err) {
      code = err.code;
    }
    res.end(code);
  }));
  assert.strictEqual((await request(port)).body, 'ERR_HTTP_SOCKET_ASSIGNED');
});

both('what a socket was given goes out before its end, however long it is', async (t, http) => {
  const body = Buffer.alloc(300000, 'x');
  const raw = Buffer.concat([Buffer.from(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n`), body]);
  const ways = {
    '/raw': (res, socket) => socket.end(raw),
    '/raw-soon': (res, socket) => { socket.write(raw); socket.destroySoon(); },
    '/end': (res, socket) => { res.write(body); socket.end(); },
    '/soon': (res, socket) => { res.write(body); socket.destroySoon(); },
    '/both': (res, socket) => { res.write(body); setImmediate(() => { socket.end(); res.end(); }); },
  };
  const port = await listening(t, http.createServer((req, res) => ways[req.url](res, req.socket)));
  for (const url of Object.keys(ways)) {
    const got = await talk(port, `GET ${url} HTTP/1.1\r\nHost: h\r\n\r\n`);
    assert.strictEqual(got.slice(got.indexOf('\r\n\r\n')).replace(/[^x]/g, '').length, body.length, url);
  }
});

both('close of a socket says whether there was an error, in a turn of its own', async (t, http) => {
  const seen = [];
  const port = await listening(t, http.createServer((req, res) => {
    const closed = (...args) => seen.push(req.url, ...args, req.readableEnded, req.aborted);
    req.on('data', () => {});
    req.socket.on('error', () => {}).on('close', closed);
    if (req.url === '/error') req.socket.destroy(new Error('by the program'));
    else req.socket.destroy();
  }));
  for (const url of ['/', '/error']) await talk(port, `GET ${url} HTTP/1.1\r\nHost: h\r\n\r\n`);
  assert.deepStrictEqual(seen, ['/', false, true, false, '/error', true, true, false]);
});

both('a client that has closed its side, and that nobody answers, gets nothing', async (t, http) => {
  const port = await listening(t, http.createServer(() => {}));
  const client = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  let got = '';
  client.setEncoding('latin1').on('data', (d) => { got += d; });
  client.end('GET / HTTP/1.1\r\nHost: h\r\n\r\n');
  await once(client, 'end');
  assert.strictEqual(got, '');
});

both('who has begun to read a body when it is answered reads all of it', async (t, http) => {
  let told;
  const port = await listening(t, http.createServer((req, res) => {
    let text = '';
    req.on('data', (d) => { text += d; });
    req.on('end', () => told([text, req._dumped, req.trailers]));
    res.end('answer');
  }));
  for (const body of ['Content-Length: 4\r\n\r\nbody', 'Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\nSum: 7\r\n\r\n']) {
    const read = new Promise((resolve) => { told = resolve; });
    await talk(port, `POST / HTTP/1.1\r\nHost: h\r\n${body}`, /answer/);
    assert.deepStrictEqual(await read, ['body', false, body.startsWith('C') ? {} : { sum: '7' }]);
  }
});

both('trailers behind which the connection ends, while the request is read', async (t, http) => {
  const port = await listening(t, http.createServer((req, res) => {
    req.on('data', () => {});
    res.writeHead(200, { Trailer: 'Sum' });
    res.write('answer');
    res.addTrailers({ Sum: '42' });
    res.end();
  }));
  const got = await talk(port, 'POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 9\r\n\r\nbody');
  assert.match(got, /answer\r\n0\r\nSum: 42\r\n\r\n$/);
});
