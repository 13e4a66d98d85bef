'use strict';

// A connection that waits for its client's next request needs nothing here: the
// daemon holds it. But to programs it has a socket, which is several kilobytes, with its
// parser and listeners. Where there are many, this lets go of the sockets of those
// that have rested for a while, and keeps two numbers of each: which it is, and until when
// it may rest. With the client's next request it gets a socket again.
//
// No program may notice. So it is not done where one has asked to be told of
// connections or timeouts, nor to a socket that somebody listens to or has put
// something on.

const http = require('http');
const clock = require('./channel/clock');
const { kExchange, kServes, kGenuine, retire } = require('./socket');

const FULL = 64; // as many sockets are kept in any case
const AT_ONCE = 4; // how many are looked at when there is one more
const REST = 20; // milliseconds since a request before its connection counts as resting
const SWEEP = 1000; // and how often all are looked at

// What the genuine classes put on a socket later than in its first moments.
const LATER = ['_httpMessage', '_paused', '_peername', '_sockname', 'timeout', 'writable', 'readable'];

// What a socket has that no program has seen: { properties, listeners } of one without
// and of one with TLS.
const untouched = { plain: null, secure: null };

class IdleConnections {
  constructor(listener) {
    this.listener = listener;
    this.until = new Map(); // by the daemon's number of the connection: when it is closed, in milliseconds; 0: never
    this.loops = new Set();
    this.timer = null;
  }

  // added is called when the server has got another socket.
  added() {
    if (this.listener.sockets.size <= FULL) return;
    this.trim(AT_ONCE);
    this.schedule();
  }

  // trim looks at some sockets, those first that it has not looked at for longest.
  trim(most) {
    const { sockets } = this.listener;
    if (!this.unobserved()) return;
    const now = clock.now();
    for (const [number, socket] of sockets) {
      if (most-- <= 0 || sockets.size <= FULL) return;
      sockets.delete(number);
      if (!this.letGo(number, socket, now)) sockets.set(number, socket);
    }
  }

  // unobserved: the program has not asked to be told of connections.
  unobserved() {
    const { server, secure } = this.listener;
    // A server with TLS has a listener for handshakes of its own.
    return server._events[secure ? 'secureConnection' : 'connection'] === http._connectionListener && server._events.timeout === undefined &&
      (!secure || server.listenerCount('connection') <= 1);
  }

  letGo(number, socket, now) {
    const x = socket[kExchange];
    if (x === null || !x.over || !x.answered || x.gone || now - x.began < REST || socket[kServes] !== true || socket.destroyed || socket._httpMessage) return false;
    const { facts } = x;
    if (facts === undefined || facts.socket !== socket || isTouched(this.listener, socket)) return false;
    socket[kGenuine].close.call(socket); // the parser is another's now
    this.until.set(number, retire(socket));
    this.loops.add(x.loop);
    facts.socket = this;
    return true;
  }

  // revive says whether a connection is one of those, and is to have a socket again.
  revive(number) {
    return this.until.delete(number);
  }

  // ended is called when such a connection has ended.
  ended(number) {
    if (!this.until.delete(number)) return;
    const { server } = this.listener;
    server._connections--;
    server._emitCloseIfDrained();
  }

  // closeAll asks for the end of all of them.
  closeAll() {
    for (const number of this.until.keys()) this.hangUp(number);
  }

  hangUp(number) {
    for (const loop of this.loops) loop.hangUp(number);
  }

  schedule() {
    if (this.timer !== null) return;
    this.timer = setTimeout(sweep, SWEEP, this);
    this.timer.unref();
  }
}

function sweep(idle) {
  idle.timer = null;
  const { sockets } = idle.listener;
  idle.trim(sockets.size);
  const now = clock.now();
  for (const [number, until] of idle.until) {
    if (until === 0 || until > now) continue;
    idle.until.set(number, 0);
    idle.hangUp(number); // or a request has just come
  }
  for (const loop of idle.loops) if (loop.dead) idle.loops.delete(loop);
  if (idle.until.size > 0 || sockets.size > FULL) idle.schedule();
}

// learn is called with each socket before a request is on it.
function learn(listener, socket) {
  const kind = listener.secure ? 'secure' : 'plain';
  if (untouched[kind] !== null || !listener.idle.unobserved()) return;
  untouched[kind] = { properties: new Set([...LATER, ...Reflect.ownKeys(socket)]), listeners: countListeners(socket) };
}

// isTouched says whether a program listens to a socket, or has put something on it.
function isTouched(listener, socket) {
  const as = untouched[listener.secure ? 'secure' : 'plain'];
  if (as === null || countListeners(socket) !== as.listeners) return true;
  for (const key of Reflect.ownKeys(socket)) if (!as.properties.has(key)) return true;
  return false;
}

function countListeners({ _events }) {
  let n = 0;
  for (const name in _events) {
    const f = _events[name];
    if (f !== undefined) n += typeof f === 'function' ? 1 : f.length;
  }
  return n;
}

module.exports = { IdleConnections, learn };
