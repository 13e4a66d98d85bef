'use strict';

// Server-sent events and long polling: what is written is on the wire at once, and
// a program that writes nothing hears that its client has left. Over HTTP/1.1, TLS
// and HTTP/2, and where Node's own server speaks the protocol, compared with it.

const test = require('node:test');
const assert = require('node:assert');
const { once } = require('node:events');
const nodeHttp = require('node:http');
const nodeHttps = require('node:https');
const http2 = require('node:http2');
const daemon = require('./support/daemon');
const pki = require('./support/pki');
const httpsys = require('..');
const { listening } = require('./support/client');

const timeout = 20000;
const ca = pki.authority('root');
const pair = pki.issue(ca, 'localhost');
const http = httpsys.http();
const https = httpsys.https();

let child;
test.before(async () => { child = await daemon.start(); });
test.after(() => child.removeAllListeners('exit') && child.kill());

// An answer that comes piece by piece.
class Answer {
  constructor(stream, status, headers, leave) {
    Object.assign(this, { status, headers, leave, text: '' });
    stream.setEncoding('utf8');
    stream.on('data', (d) => { this.text += d; this.wake?.(); });
    stream.on('end', () => { this.over = true; this.wake?.(); });
    stream.on('error', () => {}); // we leave
  }

  // until resolves when the text is there; it is the test's timeout that ends it.
  async until(text) {
    while (this.text !== text && !this.over) await new Promise((resolve) => { this.wake = resolve; });
    assert.strictEqual(this.text, text);
  }
}

function ask1(module, port, { path = '/' } = {}) {
  const req = module.get({ port, host: '127.0.0.1', servername: 'localhost', ca: ca.cert, agent: false, path });
  req.on('error', () => {});
  return { leave: () => req.destroy(), answer: once(req, 'response').then(([res]) => new Answer(res, res.statusCode, res.headers, () => req.destroy())) };
}

function ask2(t, base) {
  const lookup = (name, options, cb) => (options.all ? cb(null, [{ address: '127.0.0.1', family: 4 }]) : cb(null, '127.0.0.1', 4));
  let session;
  return (port, { path = '/', whole = false } = {}) => {
    session = session && !session.destroyed ? session : http2.connect(`${base}:${port}`, { ca: ca.cert, lookup });
    t.after(() => session.destroy());
    session.on('error', () => {});
    const stream = session.request({ ':path': path });
    stream.on('error', () => {});
    const own = session;
    const leave = whole ? () => own.destroy() : () => stream.close(http2.constants.NGHTTP2_CANCEL);
    return { leave, answer: once(stream, 'response').then(([headers]) => new Answer(stream, headers[':status'], headers, leave)) };
  };
}

const ways = [
  ['HTTP/1.1', http, nodeHttp, () => (port, o) => ask1(nodeHttp, port, o)],
  ['TLS', https, nodeHttps, () => (port, o) => ask1(nodeHttps, port, o)],
  ['h2c', http, undefined, (t) => ask2(t, 'http://localhost')],
  ['HTTP/2', https, undefined, (t) => ask2(t, 'https://localhost')],
];

// each runs a test on each way: to servers of the http modules, to Node's own
// ones, and to serve().
function each(name, run, over = ways) {
  for (const [way, ours, genuine, client] of over) {
    const secure = ours === https;
    const servers = [['httpsys', (t, handler) => listening(t, ours.createServer(secure ? pair : {}, handler))]];
    if (genuine) servers.push(['node', (t, handler) => listening(t, genuine.createServer(secure ? pair : {}, handler))]);
    for (const [label, start] of servers) {
      test(`${label}, ${way}: ${name}`, { timeout }, (t) => run(t, (handler) => start(t, handler), client(t)));
    }
  }
}

each('each event is on the wire at once', async (t, start, ask) => {
  let server;
  const asked = new Promise((resolve) => { server = resolve; });
  const port = await start((req, res) => {
    res.writeHead(200, { 'Content-Type': 'text/event-stream' });
    res.flushHeaders();
    server(res);
  });
  const got = await ask(port).answer;
  assert.deepStrictEqual([got.status, got.headers['content-type']], [200, 'text/event-stream']);
  const res = await asked;
  let text = '';
  for (let i = 0; i < 50; i++) {
    const event = `data: event ${i} ${'x'.repeat(i * i * 10)}\n\n`;
    res.write(event);
    text += event;
    await got.until(text);
  }
  res.end();
  while (!got.over) await new Promise((resolve) => { got.wake = resolve; });
  assert.strictEqual(got.text, text);
});

for (const begun of [false, true]) {
  for (const whole of [false, true]) {
    each(`a client leaves, and the program writes nothing (begun ${begun}, the whole connection ${whole})`, async (t, start, ask) => {
      const events = [];
      let server;
      const asked = new Promise((resolve) => { server = resolve; });
      const port = await start((req, res) => {
        const closed = ['req', 'res', 'socket'].map((what) => new Promise((resolve) => {
          ({ req, res, socket: req.socket })[what].once('close', () => { events.push(what); resolve(Date.now()); });
        }));
        if (begun) res.write('data: one\n\n');
        server(closed);
      });
      const { leave, answer } = ask(port, { whole });
      const closed = await asked;
      if (begun) await (await answer).until('data: one\n\n');
      else answer.catch(() => {});
      assert.deepStrictEqual(events, []);
      const since = Date.now();
      leave();
      const took = (await Promise.all(closed)).map((at) => at - since);
      t.diagnostic(`req, res and socket closed after ${took.join(', ')} ms`);
    }, whole ? ways.slice(2) : ways); // over HTTP/1.1 a request is a connection
  }
}

each('long polling', async (t, start, ask) => {
  const waiting = [];
  let came = () => {};
  let left = 0;
  const port = await start((req, res) => {
    req.on('close', () => { if (!res.writableEnded) { left++; came(); } });
    waiting.push(res);
    came();
  });
  const until = async (done) => { while (!done()) await new Promise((resolve) => { came = resolve; }); };
  for (let i = 0; i < 4; i++) {
    const one = ask(port);
    await until(() => waiting.length === 1);
    const other = ask(port);
    other.answer.catch(() => {});
    await until(() => waiting.length === 2);
    other.leave();
    await until(() => left === i + 1);
    const text = `news ${i}`;
    waiting.shift().end(text);
    waiting.length = 0;
    await (await one.answer).until(text);
  }
});

for (const [way, , , client] of ways) {
  test(`serve(), ${way}: each event is on the wire at once, and a client that leaves ends them`, { timeout }, async (t) => {
    let stream;
    let aborted;
    const abort = new Promise((resolve) => { aborted = resolve; });
    let cancelled;
    const cancel = new Promise((resolve) => { cancelled = resolve; });
    const secure = way === 'TLS' || way === 'HTTP/2';
    const server = await httpsys.serve({
      url: secure ? 'https://*:0/' : 'http://*:0/', ...(secure ? pair : {}),
      fetch(req) {
        req.signal.addEventListener('abort', () => aborted(Date.now()));
        return new Response(new ReadableStream({ start(c) { stream = c; }, cancel() { cancelled(Date.now()); } }), { headers: { 'Content-Type': 'text/event-stream' } });
      },
    }).ready;
    t.after(() => server.close(true));
    const got = await client(t)(server.port).answer;
    let text = '';
    for (let i = 0; i < 20; i++) {
      const event = `data: event ${i}\n\n`;
      stream.enqueue(Buffer.from(event));
      text += event;
      await got.until(text);
    }
    const since = Date.now();
    got.leave();
    t.diagnostic(`signal and stream ended after ${await abort - since} and ${await cancel - since} ms`);
  });
}
