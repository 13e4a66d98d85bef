'use strict';

// Small http programs and their clients, made from a seed: what a listener does with
// each request, step by step, and what a client sends and how it reads. The same
// program runs on any server of node:http, and what was seen of it can be compared.
//
// A program is plain data, and prints as such:
//
//   { server, requests: [{ method, version, fields, body, reads, listens, steps }], client }

const http = require('http');
const net = require('net');
const { AnswerReader } = require('./answers');

// ---- chance ----

// chances gives numbers that follow from a seed (mulberry32).
function chances(seed) {
  let a = seed >>> 0;
  const next = () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), a | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  const below = (n) => Math.floor(next() * n);
  return { below, one: (list) => list[below(list.length)], oneIn: (n) => below(n) === 0 };
}

const SMALL = [0, 1, 2, 10, 100, 1000];
const LARGE = [4096, 8192, 8193, 16383, 16385, 40000, 65535, 65536, 65537, 100000, 200000, 300000];

function sizeOf(c) {
  return c.oneIn(3) ? c.one(LARGE) : c.one(SMALL);
}

// ---- what a program is made of ----

// SERVERS are the kinds of server there are to run on: what a server listens to
// changes what the daemon is asked for.
const SERVERS = {
  plain() {},
  told(server) {
    server.on('connection', () => {});
    server.on('clientError', (err, socket) => socket.destroy());
  },
  halfOpen(server) { server.httpAllowHalfOpen = true; },
  decides(server, listener) { server.on('checkContinue', listener); },
};

// make gives the program of a seed.
function make(seed, hostile = false) {
  const c = chances(seed);
  const requests = [];
  const n = c.one([1, 1, 1, 2, 3, 4]);
  for (let i = 1; i <= n; i++) requests.push(makeRequest(c, i === n, hostile));
  const client = makeClient(c);
  if (!hostile && client.ahead) client.ahead = requests.every((r, i) => r.version === '1.1' && waitsForBody(r) && (i === n - 1 || !closes(r)));
  // When a server sees that a client has closed its side is chance, and only one that allows it does not care.
  const server = client.closes === 'sent' ? 'halfOpen' : c.one(Object.keys(SERVERS));
  return { seed, hostile, server, requests, client };
}

// What a server sees of requests that are sent ahead is decided only if each of them is
// read before it is answered, and none closes the connection.
function waitsForBody({ body, reads: how, steps }) {
  const end = steps.findIndex((step) => step[0] === 'wait' && step[1] === 'end');
  return body === null || (how !== 'no' && end >= 0 && steps.slice(0, end).every((step) => step[0] === 'wait'));
}

function closes({ fields, steps }) {
  return fields.includes('Connection: close') || steps.some(([verb, , head]) => ENDS.test(verb) || (head !== undefined && head.Connection !== undefined));
}

const ENDS = /^(?:destroy|endSocket)/;

function makeClient(c) {
  return {
    ahead: c.oneIn(3), // all requests at once
    pieces: c.one([0, 0, 0, 1, 100, 5000, 70000]), // in which it sends; 0: as long as they are
    slow: c.oneIn(5), // rests behind all that it reads
    closes: c.one(['after', 'after', 'after', 'after', 'after', 'sent', 'sent', 'reading']), // its side, when
    leaves: c.one([0, 10, 1000, 30000]), // how much it reads before it leaves, if it closes while reading
  };
}

function makeRequest(c, last, hostile) {
  const method = c.one(['GET', 'GET', 'GET', 'HEAD', 'POST', 'POST', 'POST', 'PUT', 'DELETE', 'OPTIONS']);
  const version = c.oneIn(8) ? '1.0' : '1.1';
  const fields = [];
  if (version === '1.0' ? c.oneIn(2) : c.oneIn(12)) fields.push('Connection: keep-alive');
  else if (last ? c.oneIn(2) : c.oneIn(12)) fields.push('Connection: close');
  let body = null;
  if ((method === 'POST' || method === 'PUT') ? !c.oneIn(8) : c.oneIn(10)) {
    body = { sizes: Array.from({ length: 1 + c.below(3) }, () => sizeOf(c)), chunked: version === '1.1' && c.oneIn(2), trailers: false };
    body.trailers = body.chunked && c.oneIn(3);
    if (version === '1.1' && c.oneIn(5)) {
      fields.push('Expect: 100-continue');
      body.waits = c.oneIn(2);
    }
  }
  const request = {
    method, version, fields, body,
    reads: c.one(['no', 'no', 'resume', 'data', 'data', 'readable', 'await', 'pauses', 'late']),
    listens: { req: c.oneIn(2), res: c.oneIn(2), socket: c.oneIn(4) },
    steps: [],
  };
  request.steps = makeSteps(c, request, last, hostile);
  return request;
}

const STATUS = [200, 200, 200, 200, 201, 204, 304, 404, 500];

function makeSteps(c, { body, reads, version }, last, hostile) {
  if (reads === 'no' && body !== null && c.oneIn(4)) return [['pipe']];
  const steps = [];
  const wait = () => {
    if (c.oneIn(3)) steps.push(['wait', c.one(['tick', 'turn', 'turns', 'time', 'drain', 'written'])]);
  };
  wait();
  if (reads !== 'no' && c.oneIn(2)) steps.push(['wait', c.one(body === null ? ['end'] : ['end', 'end', 'data'])]);
  if (version === '1.1' && c.oneIn(8)) steps.push([c.one(['continue', 'processing', 'hints'])]);
  wait();
  const writes = [];
  for (let n = c.one([0, 0, 1, 1, 2, 3, 5]); n > 0; n--) writes.push(makeWrite(c));
  const end = c.oneIn(2) ? makeWrite(c) : null;
  const total = writes.concat(end === null ? [] : [end]).reduce((sum, w) => sum + w.size, 0);

  const fields = {};
  if (c.oneIn(3)) fields['Content-Type'] = 'text/plain';
  if (c.oneIn(4)) fields['content-length'] = total;
  else if (c.oneIn(8) && version === '1.1') fields['Transfer-Encoding'] = 'chunked';
  if (c.oneIn(12)) fields.Connection = 'close';
  if (c.oneIn(12)) fields['Set-Cookie'] = ['a=b', 'c=d'];
  const trailers = version === '1.1' && c.oneIn(6);
  const status = c.one(STATUS);
  if (trailers && c.oneIn(2) && fields['content-length'] === undefined && status !== 204 && status !== 304) fields.Trailer = 'Sum';
  switch (c.below(4)) {
    case 0: steps.push(['writeHead', status, fields]); break;
    case 1: steps.push(['setHeaders', status, fields], ['flush']); break;
    default: steps.push(['setHeaders', status, fields]);
  }
  wait();
  if (c.oneIn(10)) steps.push(['cork']);
  if (hostile) hostileSteps(c, steps, wait);
  for (const w of writes) {
    steps.push(['write', w]);
    wait();
    if (hostile) hostileSteps(c, steps, wait);
  }
  if (trailers) steps.push(['trailers']);
  // What was written in the turn in which all ends may be sent, or not.
  if (!hostile && (writes.length > 0 || status !== 200)) steps.push(['wait', 'turn']);
  if ((last || hostile) && c.oneIn(12)) steps.push([c.one([...(body === null || hostile ? ['destroyReq'] : []), 'destroyRes', 'destroySocket', 'endSocket', 'destroySoon', 'resumeReq'])]);
  if (reads !== 'no' && c.oneIn(10)) steps.push(['wait', 'end']);
  steps.push(['end', end]);
  if (last && c.oneIn(6)) {
    wait();
    steps.push([c.one(['destroyReq', 'destroyRes', 'destroySocket', 'endSocket', 'destroySoon', 'resumeReq', 'end', 'end'])]);
  }
  if (hostile) hostileSteps(c, steps, wait);
  return steps;
}

function makeWrite(c) {
  return { size: sizeOf(c), as: c.one(['latin1', 'utf8', 'buffer', 'buffer', 'hex']), callback: c.oneIn(3) };
}

const HOSTILE = ['raw', 'raw', 'rawEnd', 'destroyReq', 'destroyRes', 'destroySocket', 'destroySoon', 'endSocket', 'reset', 'end', 'write',
  'writeHead', 'wrongLength', 'wrongCoding', 'wrongConnection', 'removeFraming', 'cork', 'corkSocket', 'uncorkSocket', 'pauseSocket',
  'resumeSocket', 'timeout', 'unpipe', 'pushReq', 'errorSocket', 'trailers', 'status', 'hints', 'continue', 'flush', 'closeIdle'];
const RAW = ['x', 'HTTP', 'HTTP/1.1 200 OK\r\n', 'HTTP/1.1 200 OK\r\n\r\n', 'HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc',
  'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n', 'HTTP/1.1 100 Continue\r\n\r\n', 'HTTP/1.1 101 X\r\n\r\n',
  'HTTP/1.1 103 Early\r\nA: b\r\n\r\n', 'HTTP/1.1 000 X\r\n\r\n', '\r\n', '0\r\n\r\n', '5\r\nabc', '', '\0', 'a'.repeat(70000)];

function hostileSteps(c, steps, wait) {
  while (c.oneIn(2)) {
    const verb = c.one(HOSTILE);
    const step = [verb];
    if (verb === 'raw' || verb === 'rawEnd') step.push(c.one(RAW), c.one(['latin1', 'utf8', 'buffer']));
    if (verb === 'write') step.push(makeWrite(c));
    if (verb === 'writeHead') step.push(c.one([100, 101, 103, 199, 200, 204, 304, 600, 999]), {});
    if (verb === 'status') step.push(c.one([100, 101, 103, 199, 204, 304, 600, 999]));
    if (verb === 'wrongLength') step.push(c.one([0, 1, 5, 70000, 'x', '-1', '1, 2', '99999999999999999999']));
    if (verb === 'wrongCoding') step.push(c.one(['identity', 'gzip', 'chunked, gzip', 'gzip, chunked', '']));
    if (verb === 'wrongConnection') step.push(c.one(['upgrade', 'x', 'close, keep-alive', '']));
    steps.push(step);
    wait();
  }
}

// ---- the server's side ----

function bytesOf({ size, as }) {
  if (as === 'latin1' || as === 'utf8') return 'x'.repeat(size);
  if (as === 'hex') return '79'.repeat(size);
  return Buffer.alloc(size, 'b');
}

function call(c, w) {
  const args = [];
  if (w !== undefined && w !== null) args.push(bytesOf(w), w.as === 'buffer' ? undefined : w.as);
  if (w !== undefined && w !== null && w.callback) args.push((err) => c.saw('res', err ? `callback ${err.code}` : 'callback'));
  return args;
}

// each verb is what one step does; c has req, res, and saw, which notes what is seen.
const verbs = {
  writeHead: ({ res }, status, fields) => res.writeHead(status, fields),
  setHeaders({ res }, status, fields) {
    res.statusCode = status;
    for (const [name, value] of Object.entries(fields)) res.setHeader(name, value);
  },
  flush: ({ res }) => res.flushHeaders(),
  continue: ({ res }) => res.writeContinue(),
  processing: ({ res }) => res.writeProcessing(),
  hints: ({ res }) => res.writeEarlyHints({ link: '</style.css>; rel=preload' }),
  write: (c, w) => c.res.write(...call(c, w)),
  end: (c, w) => c.res.end(...call(c, w)),
  trailers: ({ res }) => res.addTrailers({ Sum: '42' }),
  cork({ res }) {
    res.cork();
    setImmediate(() => res.uncork());
  },
  pipe: ({ req, res }) => req.pipe(res),
  pauseReq: ({ req }) => req.pause(),
  resumeReq: ({ req }) => req.resume(),
  destroyReq: ({ req }) => req.destroy(),
  destroyRes: ({ res }) => res.destroy(),
  destroySocket: ({ socket }) => socket.destroy(),
  destroySoon: ({ socket }) => socket.destroySoon(),
  endSocket: ({ socket }) => socket.end(),

  // What no good program does.
  raw: ({ socket }, text, as) => socket.write(...(as === 'buffer' ? [Buffer.from(text)] : [text, as])),
  rawEnd: ({ socket }, text, as) => socket.end(...(as === 'buffer' ? [Buffer.from(text)] : [text, as])),
  reset: ({ socket }) => socket.resetAndDestroy(),
  wrongLength: ({ res }, value) => res.setHeader('Content-Length', value),
  wrongCoding: ({ res }, value) => res.setHeader('Transfer-Encoding', value),
  wrongConnection: ({ res }, value) => res.setHeader('Connection', value),
  removeFraming({ res }) { for (const name of ['connection', 'content-length', 'transfer-encoding', 'date']) res.removeHeader(name); },
  status({ res }, status) { res.statusCode = status; },
  corkSocket: ({ socket }) => socket.cork(),
  uncorkSocket: ({ socket }) => socket.uncork(),
  pauseSocket: ({ socket }) => socket.pause(),
  resumeSocket: ({ socket }) => socket.resume(),
  timeout: ({ socket }) => socket.setTimeout(1),
  unpipe: ({ req }) => req.unpipe(),
  pushReq: ({ req }) => req.push('more'),
  errorSocket: ({ socket }) => socket.emit('error', new Error('by the program')),
  closeIdle: ({ server }) => server.closeIdleConnections(),
};

// first calls back once, with the first of several events, or at once where it cannot come.
function first(emitter, names, over, callback) {
  if (over) {
    setImmediate(callback);
    return;
  }
  const done = () => {
    for (const name of names) emitter.removeListener(name, done);
    callback();
  };
  for (const name of names) emitter.on(name, done);
}

const waits = {
  tick: (c, go) => process.nextTick(go),
  turn: (c, go) => setImmediate(go),
  turns: (c, go) => setImmediate(() => setImmediate(() => setImmediate(go))),
  time: (c, go) => setTimeout(go, 2),
  end: ({ req }, go) => first(req, ['end', 'close', 'error'], req.readableEnded || req.destroyed, go),
  data: ({ req }, go) => first(req, ['data', 'end', 'close', 'error'], req.readableEnded || req.destroyed, go),
  drain: ({ res }, go) => first(res, ['drain', 'close'], !res.writableNeedDrain || res.destroyed, go),
  written: ({ res }, go) => first(res, ['finish', 'close'], !res.writableEnded || res.writableFinished || res.destroyed, go),
};

function play(c, steps, from) {
  for (let i = from; i < steps.length; i++) {
    const [verb, ...rest] = steps[i];
    if (verb === 'wait') {
      waits[rest[0]](c, () => play(c, steps, i + 1));
      return;
    }
    try {
      verbs[verb](c, ...rest);
    } catch (err) {
      c.saw('threw', `${verb} ${err.code}`);
    }
  }
}

const reads = {
  no() {},
  resume: ({ req }) => req.resume(),
  data: (c) => c.req.on('data', (d) => c.count(d)),
  readable: (c) => c.req.on('readable', () => { for (let d = c.req.read(); d !== null; d = c.req.read()) c.count(d); }),
  async await(c) {
    try {
      for await (const d of c.req) c.count(d);
      c.saw('req', 'done');
    } catch (err) {
      c.saw('req', `threw ${err.code}`);
    }
  },
  pauses(c) {
    c.req.on('data', (d) => {
      c.count(d);
      c.req.pause();
      setImmediate(() => c.req.resume());
    });
  },
  late: (c) => setTimeout(() => reads.data(c), 3),
};

// serve is the listener of all programs: the request names which one.
function serve(runs, server, req, res) {
  const [, name, number] = req.url.split('/');
  const run = runs.get(name);
  if (run === undefined) {
    res.end('neighbour');
    return;
  }
  const spec = run.program.requests[Number(number)];
  const seen = { read: 0, req: [], res: [], socket: [], threw: [] };
  run.seen[Number(number)] = seen;
  const { socket } = req;
  const c = {
    server, req, res, socket,
    saw: (what, event) => seen[what].push(event),
    count: (d) => { seen.read += d.length; },
  };
  run.begun.push(c);
  res.on('error', (err) => c.saw('res', `error ${err.code}`));
  if (run.program.hostile) socket.on('error', () => {});
  if (spec.listens.req) {
    for (const event of ['end', 'close', 'aborted']) req.on(event, () => c.saw('req', event));
    req.on('error', (err) => c.saw('req', `error ${err.code}`));
  }
  if (spec.listens.res) for (const event of ['finish', 'close']) res.on(event, () => c.saw('res', event));
  if (spec.listens.socket) socket.once('close', (failed) => c.saw('socket', `close ${typeof failed}`));
  reads[spec.reads](c);
  play(c, spec.steps, 0);
}

// host makes a server of each kind, and gives what runs programs on them.
async function host(module) {
  const runs = new Map();
  const servers = {};
  for (const [kind, prepare] of Object.entries(SERVERS)) {
    const server = module.createServer((req, res) => serve(runs, server, req, res));
    prepare(server, (req, res) => serve(runs, server, req, res));
    servers[kind] = server;
    await new Promise((resolve) => { server.listen(0, resolve); });
  }
  let number = 0;
  return {
    servers,
    // run resolves with what was seen of a program, which is stuck if it has not ended
    // after so many milliseconds.
    run(program, deadline) {
      const name = `p${++number}`;
      const run = { program, seen: [], begun: [], deadline };
      runs.set(name, run);
      return runOn(servers[program.server].address().port, name, run).finally(() => runs.delete(name));
    },
    close: () => Promise.all(Object.values(servers).map((server) => new Promise((resolve) => {
      server.close(resolve);
      server.closeAllConnections();
    }))),
  };
}

// ---- the client's side ----

// textOf is what a client sends for a request: its head, and its body if it has one.
function textOf(program, name, i) {
  const { method, version, fields, body } = program.requests[i];
  const lines = [`${method} /${name}/${i} HTTP/${version}`, 'Host: h', ...fields];
  let text = '';
  if (body !== null) {
    if (body.chunked) {
      lines.push('Transfer-Encoding: chunked');
      for (const n of body.sizes) if (n > 0) text += `${n.toString(16)}\r\n${'r'.repeat(n)}\r\n`;
      text += `0\r\n${body.trailers ? 'Sum: 7\r\n' : ''}\r\n`;
    } else {
      text = 'r'.repeat(body.sizes.reduce((a, b) => a + b, 0));
      lines.push(`Content-Length: ${text.length}`);
    }
  }
  return { head: `${lines.join('\r\n')}\r\n\r\n`, body: text, waits: body !== null && body.waits === true };
}

// runOn runs a program's client against a server, and resolves with what was seen.
function runOn(port, name, run) {
  const { program } = run;
  const { client, requests } = program;
  return new Promise((resolve) => {
    const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    const answers = new AnswerReader(requests.map((r) => r.method));
    let end = '';
    let received = 0;
    let asked = 0; // requests that were sent
    let body = null; // one that waits for 100
    let settled = false;
    const queue = [];
    let sending = false;

    const send = (text) => {
      const n = client.pieces === 1 && text.length > 2000 ? 997 : client.pieces || text.length;
      for (let at = 0; at < text.length; at += n) queue.push(text.slice(at, at + n));
      if (!sending) next();
    };
    const next = () => {
      sending = queue.length > 0 && !socket.destroyed;
      if (!sending) {
        if (client.closes === 'sent' && asked === requests.length && body === null) socket.end();
        return;
      }
      socket.write(queue.shift());
      if (client.pieces === 0) next();
      else setImmediate(next);
    };
    const ask = () => {
      const text = textOf(program, name, asked++);
      if (text.waits) {
        body = text.body;
        send(text.head);
      } else {
        send(text.head + text.body);
      }
    };
    // proceed asks what may be asked now.
    const proceed = () => {
      if (body !== null && (answers.interim > 0 || answers.done >= asked)) {
        const text = body;
        body = null;
        send(text);
      }
      while (asked < requests.length && body === null && (client.ahead || answers.done >= asked)) ask();
      if (answers.done >= requests.length && client.closes !== 'sent' && body === null) leave();
    };
    // leave closes the client's side when the server knows that it has answered, too.
    const leave = () => {
      if (run.begun.every(({ res }) => res.writableFinished || res.destroyed)) setImmediate(() => socket.end());
      else if (!socket.destroyed) setTimeout(leave, 1);
    };
    socket.on('connect', proceed);
    socket.on('data', (d) => {
      received += d.length;
      answers.push(d);
      if (client.closes === 'reading' && client.leaves > 0 && received >= client.leaves) {
        end = 'left';
        socket.destroy();
        return;
      }
      if (client.slow) {
        socket.pause();
        setTimeout(() => socket.resume(), 1);
      }
      proceed();
    });
    socket.on('end', () => {
      if (end === '') end = 'end';
      socket.destroy();
    });
    socket.on('error', () => { end = 'reset'; });
    const deadline = setTimeout(() => {
      end = `stuck ${end}`;
      socket.destroy();
      finish();
    }, run.deadline);
    socket.on('close', wait);

    // wait waits until the server's side is at rest, too.
    function wait() {
      if (settled) return;
      const busy = run.begun.some(({ req, res, socket: s }) => !s.destroyed || (!res.destroyed && !res.closed) || (!req.destroyed && req.complete && req._readableState.flowing));
      if (busy) setTimeout(wait, 1);
      else setTimeout(finish, 4);
    }
    function finish() {
      if (settled) return;
      settled = true;
      clearTimeout(deadline);
      answers.close();
      for (const { socket: s } of run.begun) s.destroy();
      resolve({ end, answers: answers.all, rest: answers.rest, requests: run.seen.map((seen, i) => ({ ...seen, ...stateOf(run.begun[i]) })) });
    }
  });
}

function stateOf(c) {
  if (c === undefined) return {};
  const { req, res } = c;
  return {
    state: {
      complete: req.complete, aborted: req.aborted, readableEnded: req.readableEnded, errored: req.errored && req.errored.code, reqDestroyed: req.destroyed,
      trailers: req.rawTrailers, sent: res.headersSent, ended: res.writableEnded, finished: res.writableFinished, resDestroyed: res.destroyed,
    },
  };
}

// ---- what counts ----

// differs says in which two outcomes of a program differ that have to be equal; null
// if in nothing, undefined if the first one, Node's own, decides nothing.
function differs(program, node, ours) {
  if (node.end === 'reset' || node.end.startsWith('stuck')) return undefined;
  // Node cuts an answer behind which it closes while the client still sends.
  if (node.answers.some((a) => !a.whole || a.untilEnd) && program.requests.some((r) => r.body !== null && !waitsForBody(r))) return undefined;
  const a = JSON.stringify(essence(program, node), null, 1);
  const b = JSON.stringify(essence(program, ours), null, 1);
  return a === b ? null : [a, b];
}

function essence(program, { end, answers, requests }) {
  const left = end === 'left'; // how much of the answers has come is chance
  return {
    end: left || end === 'reset' ? 'end' : end, // behind the answers a client may be told either
    answers: left ? [] : answers.filter((a) => !/^\S+ 100 /.test(a.first)).map((a) => answerOf(program.client, a)),
    requests: requests.map((seen, i) => requestOf(program.requests[i], seen, end)),
  };
}

// answerOf: how the connection goes on is the daemon's to say to a client that has closed its side.
function answerOf({ closes: when }, { first, fields, size, sum, trailers, whole }) {
  const free = when === 'sent' ? /^(?:transfer-encoding|connection|keep-alive):/i : /^transfer-encoding:/i;
  const head = { first, fields: fields.filter((f) => !free.test(f)).sort(), whole };
  return whole ? { ...head, size, sum, trailers } : head; // how much of one that is cut has come is chance, too
}

// requestOf: what becomes of a request whose connection ends by the program, or of a body that
// is not read before the answer, depends on packets; and so does when a long write calls back.
function requestOf(request, seen, end) {
  if (!seen.state) return seen;
  const { body, steps } = request;
  const { sent, ended, finished, resDestroyed } = seen.state;
  if (end === 'left' || steps.some(([verb]) => ENDS.test(verb))) return { ended, resDestroyed };
  const calls = seen.res.filter(isCallback).length;
  const res = [...seen.res.filter((event) => !isCallback(event)), finished ? calls : 0];
  if (body === null || waitsForBody(request)) return { ...seen, res };
  return { res, socket: seen.socket, threw: seen.threw, state: { sent, ended, finished, resDestroyed } };
}

function isCallback(event) {
  return event.startsWith('callback');
}

module.exports = { make, host, differs };
