'use strict';

// Session is one life of the connection to the daemon: the session connection
// with its calls, and the loop connections. It ends as a whole and is not used
// again (docs/channel.md section 1).

const path = require('path');
const { VERSION, Type, Flag, REQUEST_FIXED, ProtocolError, encodeJSON, encodeFragment, json, u32 } = require('./frame');
const connect = require('./connect');
const { Reader } = require('./reader');
const { Loop } = require('./loop');

// A daemon has one loop for each core; the bound keeps a broken one from making
// us open sockets without end.
const MAX_LOOPS = 4096;
// The daemon answers from memory; half a minute means that it hangs.
const CALL_TIMEOUT = 30000;

// A CallError is the daemon's refusal of a call; `daemonCode` is one of the codes
// of docs/channel.md section 3.1.
class CallError extends Error {
  constructor({ code, message }) {
    super(message);
    this.name = 'CallError';
    this.daemonCode = code;
  }
}

class Session {
  // options: { window, credit, exchange, connections, disconnected, daemonStops }; onEnd(err) is
  // called once, after all requests were told. connections is of which connections
  // of clients the daemon tells, 'tls' or 'all'; an Exchange of such a one has
  // facts (connectionFacts), and disconnected(loop, facts) is called when it ends.
  constructor(socketPath, options, onEnd) {
    this.path = socketPath;
    this.options = options;
    this.onEnd = onEnd;
    this.pieces = false; // fragments are used
    this.over = false;
    this.stopping = false; // the daemon has announced its end
    this.capabilities = [];
    this.loops = [];
    this.calls = new Map(); // number → { resolve, reject, timer }
    this.lastCall = 0;
    this.partial = null; // pieces of a reply with MORE
    this.referenced = true;
    this.reader = new Reader(this);
    this.opened = new Promise((resolve, reject) => {
      this.resolveOpened = resolve;
      this.rejectOpened = reject;
    });
    this.opened.catch(() => {}); // whoever waits for it is told; nobody has to

    this.socket = connect(socketPath);
    this.socket.on('data', (bytes) => this.resumed(() => this.reader.push(bytes)));
    this.socket.on('error', (err) => this.fail(err));
    this.socket.on('close', () => this.fail(null));
    this.socket.on('connect', () => {
      // Written now and not before: then an error is that of connecting.
      this.socket.write(encodeJSON(Type.HELLO, 0, {
        protocol: VERSION, role: 'session', program: programName(),
      }));
    });
    this.hello = setTimeout(() => this.fail(new Error('the daemon does not answer')), CALL_TIMEOUT);
  }

  resumed(run) {
    if (this.over) return;
    try {
      run();
    } catch (err) {
      if (!(err instanceof ProtocolError)) throw err;
      this.fail(err);
    }
  }

  frame(type, flags, stream, value, b, start, end) {
    if (this.over) return;
    if (type === Type.WELCOME && this.secret === undefined) {
      this.welcome(json(b, start, end));
    } else if (type === Type.REPLY && stream === 0) {
      const { error } = json(b, start, end);
      this.fail(error ? new CallError(error) : new Error('the daemon ended the session'));
    } else if (type === Type.REPLY && this.secret !== undefined) {
      this.reply(flags, stream, b, start, end);
    } else {
      throw new ProtocolError('type', `frame type ${type} does not belong on a session`);
    }
  }

  welcome(message) {
    if (message.protocol !== VERSION) throw new ProtocolError('payload', `the daemon speaks version ${message.protocol}`);
    const { loops } = message;
    if (!Number.isInteger(loops) || loops < 1 || loops > MAX_LOOPS || typeof message.session !== 'string') {
      throw new ProtocolError('payload', `a daemon with ${loops} loops`);
    }
    this.secret = message.session;
    if (Array.isArray(message.capabilities)) this.capabilities = message.capabilities;
    for (let i = 0; i < loops; i++) {
      const loop = new Loop(this, this.path, {
        session: this.secret, loop: i, window: this.options.window, credit: this.options.credit,
        connections: this.options.connections,
      });
      this.loops.push(loop);
      if (!this.referenced) loop.unref();
    }
  }

  loopReady() {
    if (!this.loops.every((loop) => loop.ready)) return;
    clearTimeout(this.hello);
    this.resolveOpened(this);
  }

  disconnected(loop, facts) {
    if (this.options.disconnected !== undefined) this.options.disconnected(loop, facts);
  }

  // daemonStops: the daemon will end soon. Each loop says so.
  daemonStops() {
    if (this.stopping) return;
    this.stopping = true;
    if (this.options.daemonStops !== undefined) setImmediate(this.options.daemonStops);
  }

  loopFailed(loop, err) {
    if (!loop.leaving || err !== null) this.fail(err);
  }

  // routable says whether the registration of a REQUEST is known. Requests for one
  // whose answer to `register` is still on its way on another connection wait.
  routable(b, start, end) {
    return this.knows(end - start < REQUEST_FIXED ? 0 : u32(b, start + 8));
  }

  knows(registration) { return this.options.routable(registration); }

  // accepted: a client's connection has come. told is what the frame says of it.
  accepted(loop, facts, told) {
    if (this.options.accepted !== undefined) this.options.accepted(loop, facts, told);
  }

  // proceed goes on with requests that waited.
  proceed() {
    for (const loop of this.loops) loop.reader.proceed();
  }

  // pause and resume keep answers back while a call changes how they count.
  pause() { for (const loop of this.loops) loop.out.pause(); }
  resume() { for (const loop of this.loops) loop.out.resume(); }

  exchange(loop, stream, flags, b, start, end) {
    return this.options.exchange(loop, stream, flags, b, start, end);
  }

  // call resolves with the result, or rejects with a CallError.
  call(method, params) {
    return this.ask((number) => [encodeJSON(Type.CALL, number, { method, params })]);
  }

  // putFragment stores a fragment (docs/channel.md section 3.5); it settles like call.
  putFragment(ttl, name, tags, data) {
    return this.ask((number) => encodeFragment(number, ttl, name, tags, data));
  }

  // ask sends the frames that are made for a number.
  ask(frames) {
    return new Promise((resolve, reject) => {
      if (this.over) {
        reject(this.failure);
        return;
      }
      const number = this.lastCall = this.lastCall % 0xffffffff + 1;
      const timer = setTimeout(() => this.fail(new Error('the daemon does not answer')), CALL_TIMEOUT);
      this.calls.set(number, { resolve, reject, timer });
      for (const frame of frames(number)) this.socket.write(frame);
    });
  }

  reply(flags, stream, b, start, end) {
    let from = b;
    let at = start;
    let to = end;
    if ((flags & Flag.MORE) !== 0 || this.partial !== null) {
      this.partial = this.partial || [];
      this.partial.push(Buffer.from(b.subarray(start, end)));
      if ((flags & Flag.MORE) !== 0) return;
      from = Buffer.concat(this.partial);
      at = 0;
      to = from.length;
      this.partial = null;
    }
    const message = json(from, at, to);
    const call = this.calls.get(stream);
    if (call === undefined) return;
    this.calls.delete(stream);
    clearTimeout(call.timer);
    if (message.error) call.reject(new CallError(message.error));
    else call.resolve(message.result);
  }

  ref() {
    this.referenced = true;
    this.socket.ref();
    for (const loop of this.loops) loop.ref();
  }

  unref() {
    this.referenced = false;
    this.socket.unref();
    for (const loop of this.loops) loop.unref();
  }

  // fail ends the session and everything on it. The first reason counts.
  fail(err) {
    if (this.over) return;
    this.over = true;
    this.failure = err || new Error('the daemon closed the connection');
    clearTimeout(this.hello);
    this.reader.stop();
    this.socket.destroy();
    for (const loop of this.loops) loop.fail(this.failure);
    for (const call of this.calls.values()) {
      clearTimeout(call.timer);
      call.reject(this.failure);
    }
    this.calls.clear();
    this.rejectOpened(this.failure);
    this.onEnd(this.failure);
  }

  // leave ends the session in order: what was written is delivered first.
  leave() {
    for (const loop of this.loops) loop.leave();
    this.unref();
    Promise.all(this.loops.map((loop) => loop.left)).then(() => this.close());
  }

  close() {
    this.fail(new Error('the session was closed'));
  }
}

// programName is what an administrator sees; the protocol allows 64 characters.
function programName() {
  const script = process.argv[1];
  return Array.from(script ? path.basename(script) : 'node').slice(0, 64).join('');
}

module.exports = { Session, CallError };
