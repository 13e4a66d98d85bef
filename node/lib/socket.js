'use strict';

// ClientSocket is what programs see as the socket of a client's connection:
// req.socket, the argument of 'connection' and of 'upgrade'. It has no handle:
// the connection is the daemon's. There is one for each HTTP/1 connection, and
// all requests on it share it; each HTTP/2 or HTTP/3 request has one of its own.
//
// It is in one of two modes. While requests come, it takes what the genuine
// ServerResponse writes and passes it to the exchange of the current request,
// without the machinery of streams. After an upgrade or CONNECT it is an
// ordinary Duplex over the exchange in opaque mode.

const net = require('net');
const tls = require('tls');
const { Duplex } = require('stream');
const clock = require('./channel/clock');
const facts = require('./tls');

const kExchange = Symbol('httpsys exchange');
const kOpaque = Symbol('httpsys opaque');
const kRead = Symbol('httpsys bytes read');
const kWritten = Symbol('httpsys bytes written');
const kPeer = Symbol('httpsys peer');
const kLocal = Symbol('httpsys local');
const kTimer = Symbol('httpsys timer');
const kDeadline = Symbol('httpsys deadline');
const kCorked = Symbol('httpsys bytes written when corked');
const kReset = Symbol('httpsys reset');
const kGone = Symbol('httpsys gone');
const kGenuine = Symbol('httpsys genuine listeners');
const kFacts = Symbol('httpsys facts of the connection');
const kServes = Symbol('httpsys serves requests');
const kRest = Symbol('httpsys stand-in for an exchange that is over');

const OPTIONS = { allowHalfOpen: true };

class ClientSocket extends net.Socket {
  // members of ClientSocket.prototype that TLSClientSocket shares are below.
}

// place is { address, port, family } of what the daemon wrote.
function place(text) {
  const at = text.lastIndexOf(':');
  if (at < 0) return { address: undefined, port: undefined, family: undefined };
  const port = Number(text.slice(at + 1));
  if (text.charCodeAt(0) === 0x5b) return { address: text.slice(1, at - 1), port, family: 'IPv6' };
  return { address: text.slice(0, at), port, family: 'IPv4' };
}

function parsed(socket, key) {
  const v = socket[key];
  return typeof v === 'string' ? (socket[key] = place(v)) : v;
}

const members = {
  get remoteAddress() { return parsed(this, kPeer).address; },
  get remotePort() { return parsed(this, kPeer).port; },
  get remoteFamily() { return parsed(this, kPeer).family; },
  get localAddress() { return parsed(this, kLocal).address; },
  get localPort() { return parsed(this, kLocal).port; },
  get localFamily() { return parsed(this, kLocal).family; },
  get bytesRead() { return this[kRead]; },
  get bytesWritten() { return this[kWritten]; },
  get _bytesDispatched() { return this[kWritten]; },
  get pending() { return false; },
  get bufferSize() { return this.writableLength; },

  // writableLength: what is gathered in a turn counts until the turn is over, as it
  // does where a response is corked, and what the daemon has no room for.
  get writableLength() {
    const state = this._writableState;
    if (this[kOpaque]) return state.length;
    const x = this[kExchange];
    return (state.corked > 0 ? this[kWritten] - this[kCorked] : 0) + (x === null ? 0 : x.heldBytes);
  },

  address() {
    const { address, port, family } = parsed(this, kLocal);
    return { address, port, family };
  },

  setNoDelay() { return this; },
  setKeepAlive() { return this; },
  ref() { return this; },
  unref() { return this; },

  write(data, encoding, callback) {
    if (this[kOpaque]) return Duplex.prototype.write.call(this, data, encoding, callback);
    if (typeof encoding === 'function') {
      callback = encoding;
      encoding = null;
    }
    if (data === null || (typeof data !== 'string' && !(data instanceof Uint8Array))) {
      return Duplex.prototype.write.call(this, data, encoding, callback); // throws what it throws
    }
    if (this.timeout > 0) this._unrefTimer();
    this[kWritten] += data.length;
    const x = this[kExchange];
    if (x === null || x.over || this.destroyed) {
      if (typeof callback === 'function') process.nextTick(callback, streamDestroyed());
      return false;
    }
    return x.write(data, encoding, callback);
  },

  cork() {
    if (this[kOpaque]) Duplex.prototype.cork.call(this);
    else if (this._writableState.corked++ === 0) this[kCorked] = this[kWritten];
  },

  uncork() {
    if (this[kOpaque]) Duplex.prototype.uncork.call(this);
    else if (this._writableState.corked > 0) this._writableState.corked--;
  },

  end(data, encoding, callback) {
    if (!this[kOpaque] && data !== undefined && data !== null && typeof data !== 'function') {
      this.write(data, encoding);
      data = undefined;
      encoding = undefined;
    }
    return net.Socket.prototype.end.call(this, data, encoding, callback);
  },

  destroySoon() {
    const x = this[kExchange];
    if (this[kOpaque] || (x !== null && !x.answered)) {
      net.Socket.prototype.destroySoon.call(this);
      return;
    }
    this._writableState.ending = true; // as end() would: who asks for writableEnded learns that it was the last response
    this.destroy();
  },

  resetAndDestroy() {
    this[kReset] = true;
    return this.destroy();
  },

  // resume is what the genuine request calls when it is read.
  resume() {
    const x = this[kExchange];
    if (x !== null && x.holding && !this[kOpaque]) x.readMore();
    return Duplex.prototype.resume.call(this);
  },

  _read() {
    if (this[kOpaque]) this[kExchange].readMore();
  },

  _write(data, encoding, callback) {
    if (this.timeout > 0) this._unrefTimer();
    this[kExchange].writeOpaque(data, encoding, callback);
    this[kWritten] += data.length;
  },

  _writev(chunks, callback) {
    const last = chunks.length - 1;
    for (let i = 0; i <= last; i++) {
      this._write(chunks[i].chunk, chunks[i].encoding, i === last ? callback : null);
    }
  },

  _final(callback) {
    const x = this[kExchange];
    if (x !== null && !x.over) x.socketEnded();
    // Nobody is at the other end who would close: we do it for him.
    const done = () => {
      callback();
      if (!this[kOpaque]) process.nextTick(() => this.destroy());
    };
    if (!this[kOpaque] && x !== null && !x.over && x.held !== null) x.whenSent = done;
    else done();
  },

  _destroy(err, callback) {
    const x = this[kExchange];
    if (x !== null) {
      if (!x.over) x.socketDestroyed(this[kReset]);
      else if (!x.gone) x.hangUp();
    }
    if (this[kTimer] !== null) {
      clearTimeout(this[kTimer]);
      this[kTimer] = null;
    }
    this._handle = CLOSING;
    net.Socket.prototype._destroy.call(this, err, callback);
    this._handle = null;
    this[kGone]();
  },

  // setTimeout keeps one timer for many calls: with each request the genuine
  // server sets a timeout and takes it back, which must cost nothing. The timer
  // looks at the deadline when it fires.
  setTimeout(milliseconds, callback) {
    if (this.destroyed) return this;
    const n = Number(milliseconds);
    if (typeof milliseconds !== 'number' || !(n >= 0 && n <= 0x7fffffff) ||
        (callback !== undefined && typeof callback !== 'function')) {
      return net.Socket.prototype.setTimeout.call(this, milliseconds, callback); // throws or warns
    }
    this.timeout = n;
    if (n === 0) {
      this[kDeadline] = Infinity;
      if (callback !== undefined) this.removeListener('timeout', callback);
      return this;
    }
    this._unrefTimer();
    if (callback !== undefined) this.once('timeout', callback);
    return this;
  },

  // _unrefTimer says that something has happened on the connection.
  _unrefTimer() {
    if (!(this.timeout > 0)) return;
    const now = clock.now();
    this[kDeadline] = now + this.timeout;
    const timer = this[kTimer];
    if (timer !== null) {
      if (timer.fires <= this[kDeadline]) return;
      clearTimeout(timer);
    }
    arm(this, this.timeout, now);
  },
};

// CLOSING stands for a handle while a socket is destroyed: with one, 'close' says
// whether there was an error.
const CLOSING = { bytesRead: 0, bytesWritten: 0, onread: null, close: (done) => setImmediate(done) };

function arm(socket, wait, now) {
  const timer = setTimeout(fire, wait, socket);
  timer.fires = now + wait;
  timer.unref();
  socket[kTimer] = timer;
}

function fire(socket) {
  socket[kTimer] = null;
  if (socket.destroyed || socket[kDeadline] === Infinity) return;
  const now = performance.now();
  const left = socket[kDeadline] - now;
  if (left >= 1) arm(socket, left, now);
  else socket._onTimeout();
}

function streamDestroyed() {
  const err = new Error('Cannot call write after a stream was destroyed');
  err.code = 'ERR_STREAM_DESTROYED';
  return err;
}

// TLSClientSocket is the same for connections over TLS: an instance of
// tls.TLSSocket to those who ask, made without its constructor, which wants a
// handle. (That it is a class tells V8 how many properties its objects will have.)
class TLSClientSocket extends tls.TLSSocket {}

// What a program may ask of a TLS connection, from the facts that the daemon
// tells once for each. What belongs to the daemon's end of TLS alone, sessions and
// tickets for example, has the value of a connection without it.
const tlsMembers = {
  getPeerCertificate(detailed) { return facts.peerCertificate(this[kFacts], detailed === true); },
  getPeerX509Certificate() { return facts.x509(this[kFacts]); },
  getCertificate() { return {}; },
  getX509Certificate() { return undefined; },
  getProtocol() { return facts.protocol(this[kFacts]); },
  getCipher() { return facts.cipher(this[kFacts]); },
  getSession() { return undefined; },
  getTLSTicket() { return undefined; },
  getFinished() { return undefined; },
  getPeerFinished() { return undefined; },
  getEphemeralKeyInfo() { return null; },
  getSharedSigalgs() { return []; },
  isSessionReused() { return facts.isResumed(this[kFacts]); },
  disableRenegotiation() {},
  enableTrace() {},
  setMaxSendFragment() { return true; },
  renegotiate() { return false; },
};

for (const { prototype } of [ClientSocket, TLSClientSocket]) {
  for (const [name, d] of Object.entries(Object.getOwnPropertyDescriptors(members))) {
    Object.defineProperty(prototype, name, { ...d, enumerable: false });
  }
}
for (const [name, d] of Object.entries(Object.getOwnPropertyDescriptors(tlsMembers))) {
  Object.defineProperty(TLSClientSocket.prototype, name, { ...d, enumerable: false });
}

const ASKED = 2; // the client was asked for a certificate
const UNKNOWN = Object.freeze({
  version: 0, cipherSuite: 0, flags: 0, verdict: 0, verdictCode: 0, serverName: '', protocol: '', certificates: [], presented: 0, chains: [],
});

// createSocket makes the socket of a connection to `server`. told is what the
// daemon says of the connection, onGone is called when the socket is destroyed.
function createSocket(server, secure, told, peer, local, onGone) {
  const socket = Reflect.construct(net.Socket, [OPTIONS], secure ? TLSClientSocket : ClientSocket);
  socket[kExchange] = null;
  socket[kOpaque] = false;
  socket[kServes] = false;
  socket[kRest] = null;
  socket[kRead] = 0;
  socket[kWritten] = 0;
  socket[kCorked] = 0;
  socket[kPeer] = peer;
  socket[kLocal] = local;
  socket[kTimer] = null;
  socket[kDeadline] = Infinity;
  socket[kReset] = false;
  socket[kGenuine] = null;
  socket[kGone] = onGone;
  if (secure) {
    if (told === undefined) told = UNKNOWN;
    socket[kFacts] = told;
    socket.encrypted = true;
    socket.authorized = told.verdict === facts.TRUSTED;
    socket.authorizationError = (told.flags & ASKED) !== 0 ? facts.verifyError(told) : null;
    socket.alpnProtocol = told.protocol || false;
    socket.servername = told.serverName || false;
    socket.secureConnecting = false;
    socket._secureEstablished = true;
  }
  socket.server = server;
  socket._server = server;
  return socket;
}

// retire takes everything from a socket whose connection goes on without it, and says
// when its timer was to fire; 0: never.
function retire(socket) {
  const deadline = socket[kDeadline];
  if (socket[kTimer] !== null) {
    clearTimeout(socket[kTimer]);
    socket[kTimer] = null;
  }
  socket._server = null; // which counts the connection, not the socket
  socket[kGone]();
  socket[kGone] = () => {};
  return deadline === Infinity ? 0 : Math.ceil(deadline);
}

module.exports = { createSocket, retire, place, ClientSocket, kExchange, kOpaque, kRead, kRest, kServes, kGenuine };
