'use strict';

// Loop is the connection to one event loop of the daemon: requests arrive on it
// and are answered on it.
//
// Credit is given back when a request has been begun, not when it is answered:
// a program may work on any number of requests at a time, and the credit bounds
// what waits in the socket of a process that is busy or stopped. Requests that
// are answered within their own batch return it with their last frame, which
// costs nothing; for the others one CREDIT frame goes out for the batch. Which
// is which shows the epoch, which changes with each CREDIT frame.

const connect = require('./connect');
const { VERSION, HEADER, Type, Cancel, ProtocolError, encode, encodeJSON, increment, json, reason, trailerStrings,
  connectionFacts, disconnection } = require('./frame');
const { Reader } = require('./reader');
const { Writer } = require('./writer');
const clock = require('./clock');
const { refused } = require('../errors');

const READ_BUFFER = 65536;
const DEFAULT_WINDOW = 65536;
const NOTHING = Buffer.alloc(0);

// PlainConnection is the facts of a connection without TLS: there may be very many
// that wait, and of each there is only its number.
class PlainConnection {
  constructor(number) {
    this.number = number;
    this.socket = undefined; // for the owner
  }
}
Object.assign(PlainConnection.prototype, {
  version: 0, cipherSuite: 0, group: 0, flags: 0, verdict: 0, verdictCode: 0, serverName: '', protocol: '', verdictName: 'not-presented', verdictText: '',
  certificates: Object.freeze([]), presented: 0, chains: Object.freeze([]),
});

class Loop {
  // session: { secret, path }; owner: what to do with requests and with the end
  // of the connection: begin(exchange class arguments), loopReady, loopFailed.
  constructor(owner, path, hello) {
    this.owner = owner;
    this.bodyWindow = hello.window;
    this.window = DEFAULT_WINDOW;
    this.streams = [];
    this.connections = new Map(); // of clients, by number: what the daemon told, if hello.connections asks for it
    this.open = 0; // streams that are not over
    this.owed = 0; // credits of the current epoch that were not given back
    this.epoch = 0;
    this.now = 0; // when this batch came, in milliseconds
    this.batches = 0; // of frames so far
    this.ready = false;
    this.dead = false;
    this.onIdle = null; // called when no stream is open any more
    this.leaving = false;
    this.reader = new Reader(this);

    // One buffer for all reads. A function that gives another for the next read would do
    // only as long as no program throws: what it returns is lost to Node if anything
    // throws in the ticks of the same callback, and a process may survive that.
    const buffer = Buffer.allocUnsafeSlow(READ_BUFFER);
    this.socket = connect(path, { buffer, callback: (n) => this.read(buffer.subarray(0, n)) });
    this.socket.on('error', (err) => this.fail(err));
    this.socket.on('close', () => this.fail(null));
    this.out = new Writer(this.socket, () => this.payCredit());
    this.socket.write(encodeJSON(Type.HELLO, 0, { protocol: VERSION, role: 'loop', ...hello }));
  }

  read(bytes) {
    if (this.dead) return false;
    this.resumed(() => this.reader.push(bytes));
    return !this.dead;
  }

  // resumed runs what handles frames, and flushes once after it.
  resumed(run) {
    if (this.dead) return;
    const { out } = this;
    this.now = clock.begin();
    this.batches++;
    out.batch = true;
    try {
      run();
    } catch (err) {
      if (!(err instanceof ProtocolError)) throw err;
      this.fail(err);
    } finally {
      clock.end();
      out.endBatch();
      if (this.owed > 0) out.soon();
    }
  }

  frame(type, flags, stream, value, b, start, end) {
    if (this.dead) return true;
    if (type === Type.REQUEST && this.ready) {
      if (!this.owner.routable(b, start, end)) return false;
      if (this.streams[stream] !== undefined) throw new ProtocolError('stream', `REQUEST on stream ${stream} in use`);
      this.owed++;
      this.open++;
      const x = this.owner.exchange(this, stream, flags, b, start, end);
      this.streams[stream] = x;
      x.begin();
      return true;
    }
    switch (type) {
      case Type.WELCOME: {
        if (this.ready) break;
        const welcome = json(b, start, end);
        if (welcome.protocol !== VERSION) throw new ProtocolError('payload', `the daemon speaks version ${welcome.protocol}`);
        if (Number.isInteger(welcome.window) && welcome.window > 0) this.window = welcome.window;
        this.ready = true;
        this.owner.loopReady(this);
        return true;
      }
      case Type.REPLY: {
        const { error } = json(b, start, end);
        const err = new ProtocolError('reply', error ? error.message : 'the daemon ended the connection');
        if (error) err.daemonCode = error.code;
        throw err;
      }
      case Type.GOAWAY:
        if (start !== end) throw new ProtocolError('payload', 'GOAWAY with a payload');
        // The answer to ours: no request comes any more, and what we had to say
        // was said. Unasked, it announces that the daemon shuts down: it closes
        // the connection when it has our last answer. Value 1 announces only that
        // it will do so soon.
        if (this.leaving && value === 0) this.socket.end();
        else if (value === 1) this.owner.daemonStops();
        return true;
      case Type.SOCKET:
        // Nothing here asks for a client's socket: Node cannot receive descriptors.
        if (value !== 0) throw new ProtocolError('value', 'SOCKET with a descriptor that nobody asked for');
        if (start !== end) throw new ProtocolError('payload', 'SOCKET with bytes and without a descriptor');
        return true;
      case Type.CONNECTION: {
        if (!this.ready) break;
        const facts = connectionFacts(b, start, end);
        if (facts.accepted && !this.owner.knows(facts.registration)) return false;
        const kept = facts.version === 0 ? new PlainConnection(facts.number) : facts;
        this.connections.set(facts.number, kept);
        if (facts.accepted) this.owner.accepted(this, kept, facts);
        return true;
      }
      case Type.DISCONNECTION: {
        if (!this.ready) break;
        const number = disconnection(b, start, end);
        const facts = this.connections.get(number);
        if (facts === undefined) return true;
        this.connections.delete(number);
        this.owner.disconnected(this, facts);
        return true;
      }
      case Type.AHEAD: {
        if (start !== end) throw new ProtocolError('payload', 'AHEAD with a payload');
        const x = this.streams[stream];
        if (x !== undefined) x.ahead();
        return true;
      }
      case Type.DATA:
      case Type.TRAILERS:
      case Type.WINDOW:
      case Type.CANCEL:
        this.streamFrame(this.streams[stream], type, flags, value, b, start, end);
        return true;
      default:
    }
    throw new ProtocolError('type', `frame type ${type} does not belong here`);
  }

  // streamFrame takes a frame of a stream. One that is not there is one that we
  // have ended and the daemon had not heard of it; its frames are still checked.
  streamFrame(x, type, flags, value, b, start, end) {
    switch (type) {
      case Type.DATA:
        if (x !== undefined) x.data(b, start, end, flags);
        return;
      case Type.TRAILERS: {
        const list = trailerStrings(b, start, end);
        if (x === undefined) return;
        if (x.complete) throw new ProtocolError('payload', 'trailers after the end');
        x.complete = true;
        if (!x.unwanted) x.bodyEnd(list);
        return;
      }
      case Type.WINDOW: {
        const n = increment(b, start, end);
        if (x !== undefined) x.widen(n);
        return;
      }
      default:
        // That a response was refused is told even after its end.
        if (value === Cancel.REFUSED) refused(reason(value, b, start, end));
        else reason(value, b, start, end);
        if (x === undefined) return;
        if (value !== Cancel.BODY && value !== Cancel.HALF_CLOSED) x.dropHeld();
        x.cancelled(value);
    }
  }

  // ended frees the number of an exchange, and says whether its credit is due.
  ended(x) {
    this.streams[x.id] = undefined;
    this.release();
    if (x.epoch !== this.epoch) return false;
    this.owed--;
    return true;
  }

  // hold and release count what keeps the connection to the daemon: requests, and
  // connections of clients that the program has seen before their first one.
  hold() { this.open++; }
  release() {
    if (--this.open === 0 && this.onIdle !== null) setImmediate(this.onIdle);
  }

  // payCredit gives back the credit of requests that have been begun and are not
  // answered yet.
  payCredit() {
    const { owed } = this;
    if (owed === 0 || this.dead) return;
    this.owed = 0;
    this.epoch++;
    this.out.small(Type.CREDIT, 0, 0, 0, owed);
  }

  // hangUp asks for the end of a client's connection on which nothing is under
  // way, or behind the answer that is being sent; with now for its end whatever is.
  hangUp(connection, now) {
    if (this.dead || !this.connections.has(connection)) return;
    const { out } = this;
    out.room(HEADER + 8);
    out.header(8, 0, Type.DISCONNECTION, 0, now ? 1 : 0);
    out.slab.writeBigUInt64LE(BigInt(connection), out.at);
    out.at += 8;
    out.soon();
  }

  // leave asks for no more requests, and ends the connection in order.
  leave() {
    this.leaving = true;
    this.left = new Promise((resolve) => this.socket.once('close', resolve));
    if (this.dead) return;
    this.out.flush();
    this.socket.write(encode(Type.GOAWAY, 0, 0, 0, NOTHING));
  }

  ref() { this.socket.ref(); }
  unref() { this.socket.unref(); }

  // fail ends the connection and tells all requests on it.
  fail(err) {
    if (this.dead) return;
    this.dead = true;
    this.reader.stop();
    this.out.close();
    this.socket.destroy();
    const { streams } = this;
    this.streams = [];
    this.owner.loopFailed(this, err);
    for (const i in streams) {
      const x = streams[i];
      if (x === undefined) continue;
      x.over = true;
      x.dropHeld();
      x.lost();
    }
    const { connections } = this;
    this.connections = new Map();
    for (const facts of connections.values()) this.owner.disconnected(this, facts);
  }
}

module.exports = { Loop, DEFAULT_WINDOW };
