'use strict';

// HttpExchange brings one request to a genuine server of node:http or
// node:https and its answer back.
//
// Everything that Node does between a parsed head and the program is done by
// Node itself. The genuine 'connection' listener prepares our socket as it would
// any other; with that, the socket has a parser whose `onIncoming` is the
// genuine function for a parsed head. It is called with a genuine
// IncomingMessage. The parser never sees a byte.

const http = require('http');
const https = require('https');
const { AsyncResource } = require('async_hooks');
const { Exchange, EMPTY } = require('./channel/exchange');
const { Cancel, Flag, RequestFlag } = require('./channel/frame');
const { createSocket, kExchange, kOpaque, kRead, kRest, kServes, kGenuine } = require('./socket');
const { nop, closeResponse } = require('./response');
const { IdleConnections, learn } = require('./idle');
const { reset, coded, refused } = require('./errors');
const { oldClient } = require('./tls');
const settings = require('./settings');
const { commandLine } = settings;

const kInfo = Symbol('httpsys request');
const NO_HEAD = Buffer.alloc(0);
const HEAD_LIMIT = 65536;
// What servers do that do not say.
const INSECURE = commandLine().includes('--insecure-http-parser');

// What is left of a chunked body, as the genuine class writes it in pieces.
const SIZE = 0;
const SIZE_END = 1;
const CHUNK = 2;
const CHUNK_END = 3;

class HttpExchange extends Exchange {
  constructor(loop, id, flags, b, start, end, registration) {
    super(loop, id, flags, b, start, end);
    this.listener = registration.listener;
    this.socket = null;
    this.req = null;
    this.resource = null;
    this.answered = false; // the response is finished
    this.last = false; // and there is no socket for another one
    this.upgraded = false; // the program has the socket
    this.gone = false; // nobody waits for the answer
    this.broken = false; // the request will not be complete
    this.completeIn = 0; // the batch of frames in which it was
    this.began = 0; // when, in milliseconds
    this.raw = false; // the program writes to the socket by itself
    this.chunk = -1; // state of a chunked body, or -1
    this.chunkLeft = 0;
    this.chunks = 0; // that were begun
    this.trailerText = null;
    this.pendingHead = null; // what was written before the end of the head
    this.early = null; // what was written while it is open who writes on: see ahead
    this.earlyLength = 0;
    this.whenSent = null; // the socket has ended, and waits for what the window did not allow
  }

  // begin runs in the context in which the server listens, and makes that of the
  // request inside it.
  begin() {
    this.listener.resource.runInAsyncScope(enter, null, this);
  }

  start() {
    const { listener, text, version } = this;
    const { server } = listener;
    let socket = version < 20 ? listener.sockets.get(this.connection) : undefined;
    if (socket === undefined || socket.destroyed || (socket[kExchange] !== null && !socket[kExchange].over)) {
      socket = this.connect();
      if (socket === null) return;
    } else if (socket.timeout > 0) {
      socket._unrefTimer();
    }
    this.socket = socket;
    socket[kExchange] = this;
    if ((this.requestFlags & RequestFlag.RAW) !== 0) {
      this.takeBytes();
      return;
    }

    const req = new listener.Request(socket);
    this.req = req;
    req[kInfo] = this;
    if (listener.oldClient) req.client = oldClient(this.facts, settings.exportClientCertificate);
    req.httpVersionMajor = 1;
    req.httpVersionMinor = version === 10 ? 0 : 1;
    req.httpVersion = version === 10 ? '1.0' : '1.1';
    req.joinDuplicateHeaders = server.joinDuplicateHeaders;
    req.method = text[0];
    req.url = text[1];

    const raw = text.slice(5);
    const keepAlive = this.fields(raw);
    let count = raw.length;
    const most = server.maxHeadersCount;
    if (typeof most === 'number' && most > 0 && count > most << 1) count = most << 1;
    req._addHeaderLines(raw, count);
    // The protocol allows opaque mode only when the request is complete.
    req.upgrade = this.complete && (text[0] === 'CONNECT' || (this.requestFlags & RequestFlag.UPGRADE) !== 0);

    const { parser } = socket;
    if (parser === undefined || parser === null) { // somebody has taken the genuine listener away
      socket.destroy();
      return;
    }
    parser.incoming = req;
    const complete = this.complete;
    this.began = this.loop.now;
    if ((this.requestFlags & RequestFlag.AHEAD) !== 0) {
      this.early = [];
      this.ahead();
    }
    let treatment = 0;
    try {
      treatment = parser.onIncoming(req, keepAlive);
    } finally {
      if (req.upgrade) {
        if (treatment === 2) this.upgrade();
      } else {
        if (this.first !== null) {
          const { first } = this;
          this.first = null;
          this.deliver(first);
        }
        if (complete) { // we are in the context of the request
          finishBody(this, null);
          if (this.answered && !this.raw) this.conclude();
        }
      }
    }
  }

  // fields looks at what Node's parser would have looked at, in one pass, and
  // says whether the client keeps the connection.
  fields(raw) {
    let keepAlive = this.version !== 10;
    let host = false;
    for (let i = 0; i < raw.length; i += 2) {
      const { length } = raw[i];
      if (length === 10 && raw[i].toLowerCase() === 'connection') {
        const value = raw[i + 1].toLowerCase();
        if (keepAlive ? value.includes('close') : value.includes('keep-alive')) keepAlive = !keepAlive;
      } else if (length === 4 && this.version >= 20 && raw[i].toLowerCase() === 'host') {
        host = true;
      }
    }
    // HTTP/2 and HTTP/3 requests are shown as HTTP/1.1, where Host is.
    if (this.version >= 20 && !host) raw.push('Host', this.text[2]);
    return keepAlive;
  }

  // connect makes the socket of a connection that is new to the server, or that has
  // waited without one.
  connect() {
    const { text, version, connection } = this;
    const key = version < 20 ? connection : this;
    const socket = connect(this.listener, key, this.facts, text[3], text[4], null);
    if (socket === null) this.abort();
    return socket;
  }

  // takeBytes gives what is no request that the daemon would take to Node's own
  // parser, on the socket of its connection: it answers as it would have.
  takeBytes() {
    const { socket, listener } = this;
    strip(socket);
    http._connectionListener.call(listener.server, socket);
    if (!this.over) this.leaveFrames(); // the request before may have taken the socket along
  }

  // leaveFrames: from here on the genuine parser reads the client's bytes, and the
  // genuine response writes them.
  leaveFrames() {
    this.socket[kOpaque] = true;
    this.upgraded = true;
    this.turnOpaque(EMPTY, 0);
  }

  // ahead: the client has sent something behind a request that is not answered
  // yet. If that takes longer, Node sees it as it would have. Where the daemon knew it
  // with the head, what is written meanwhile waits: as soon as a head is out, there is
  // no way back.
  ahead() {
    if (this.version < 20) setImmediate(readAhead, this);
  }

  // release writes what waited, as the state of things now is.
  release() {
    const { early } = this;
    if (early === null) return;
    this.early = null;
    if (this.over) return; // the daemon is gone
    for (const { data, encoding, callback } of early) this.write(data, encoding, callback);
  }

  // finish: the socket of a stream of HTTP/2 ends with it, and the connection whose
  // socket was destroyed ends behind the answer.
  finish() {
    if (this.version >= 20 && this.socket !== null) setImmediate(destroy, this.socket);
    else if (this.last) setImmediate(hangUp, this);
    else if (this.whenSent !== null) setImmediate(this.whenSent);
    return super.finish();
  }

  // ---- the request ----

  bodyChunk(bytes) {
    const { socket } = this;
    if (this.raw) return true;
    socket[kRead] += bytes.length;
    if (socket.timeout > 0) socket._unrefTimer();
    const more = this.pass(bytes);
    if (!this.upgraded && socket._events.data !== socket[kGenuine]?.data) this.resource.runInAsyncScope(showData, null, socket, bytes);
    return more;
  }

  pass(bytes) {
    const { socket, req } = this;
    const stream = this.upgraded ? socket : req;
    if (stream._dumped || stream.destroyed) return true;
    if (stream === req) consumed(req);
    const more = this.resource.runInAsyncScope(push, null, stream, bytes);
    // As where the parser reads: the socket rests until the program reads on.
    if (!more && stream === req) this.resource.runInAsyncScope(pause, null, socket);
    return more;
  }

  bodyEnd(trailers) {
    if (this.raw) return;
    this.resource.runInAsyncScope(finishBody, null, this, trailers);
    if (this.answered) this.conclude();
  }

  // conclude ends the response.
  conclude() {
    this.endAnswer();
    const { socket } = this;
    if (!this.over || socket[kServes] !== true || this.version >= 20) return;
    const rest = socket[kRest] || (socket[kRest] = new Rest(this.loop, this.connection));
    rest.began = this.began;
    socket[kExchange] = rest;
  }

  endAnswer() {
    if (this.trailerText) this.endWithTrailers(trailerList(this.trailerText));
    else this.end();
  }

  cancelled(reason) {
    this.resource.runInAsyncScope(cancelled, null, this, reason);
  }

  lost() {
    this.gone = true;
    if (this.socket !== null) this.resource.runInAsyncScope(destroy, null, this.socket);
  }

  // ---- the response, as the genuine class writes it ----

  write(data, encoding, callback) {
    if (this.early !== null) {
      this.early.push({ data: typeof data === 'string' ? data : Buffer.from(data), encoding, callback });
      this.earlyLength += data.length;
      if (this.earlyLength > HEAD_LIMIT) this.release();
      return true;
    }
    const done = callback === nop || typeof callback !== 'function' ? null : callback;
    if (this.upgraded || this.raw) return this.writeOpaque(data, encoding, done);
    if (typeof data === 'string') {
      if (data.length === 0 && this.headSent) { // the genuine class calls back with it
        if (done !== null) this.accepted(done);
        return !this.loop.out.blocked;
      }
      if (encoding === undefined || encoding === null || encoding === 'utf8' || encoding === 'utf-8') encoding = 'utf8';
      else if (encoding === 'latin1' || encoding === 'binary' || encoding === 'ascii') encoding = 'latin1';
      else data = Buffer.from(data, encoding);
    }
    if (this.headSent) return this.chunk < 0 ? this.body(data, encoding, done) : this.writeChunked(data, encoding, done);

    // The genuine class writes its head first, alone or with what follows. To compare
    // the two would cost more than all else: strings that were put together are
    // written as the pieces that they are.
    const message = this.socket._httpMessage;
    if (message !== null && message !== undefined && message._headerSent && typeof data === 'string' &&
      data.length >= message._header.length) {
      return this.writeHead(message, message._header, data, encoding, done);
    }
    if (typeof data === 'string' && /^HTTP\/1\.1 1(?!01)\d\d .*\r\n\r\n$/s.test(data)) {
      this.informational(data);
      if (done !== null) this.accepted(done);
      return true;
    }
    this.raw = true;
    return this.writeOpaque(data, encoding, done);
  }

  accepted(callback) {
    const { out } = this.loop;
    if (out.blocked) out.complete(callback);
    else process.nextTick(completed, this, callback);
  }

  writeHead(message, head, data, encoding, callback) {
    if (head.charCodeAt(9) === 0x31 && !head.startsWith('01', 10)) return this.refuseStatus(head.slice(9, 12)); // 1xx, not 101
    if (settings.cacheDuration !== undefined) {
      const field = cacheField(message, this.socket);
      if (field !== '') {
        data = head.slice(0, -2) + field + data.slice(head.length - 2);
        head = head.slice(0, -2) + field + head.slice(-2);
      }
    }
    if (!message.chunkedEncoding) {
      if (message._removedContLen && this.endsItself(message)) {
        this.raw = true;
        return this.writeOpaque(data, encoding, callback);
      }
      return this.respondText(data, encoding, head.length, callback);
    }
    this.chunk = SIZE;
    this.respondText(head, encoding, head.length, null);
    return data.length === head.length ? this.body('', 'latin1', callback)
      : this.writeChunked(data.slice(head.length), encoding, callback);
  }

  // refuseStatus: nothing may follow a 1xx but another head (RFC 9110 section 15.2), and this
  // program has taken it for its answer.
  refuseStatus(status) {
    if (this.over) return false;
    refused(`${status} is no final status`);
    this.cancel(0);
    process.nextTick(destroy, this.socket);
    return false;
  }

  // endsItself: the program has taken everything out of the head that says where the
  // body ends. Then the end of the connection does, and the daemon adds nothing.
  endsItself(message) {
    return message._removedTE && message._removedConnection && message._last && this.complete && !this.broken && this.version < 20;
  }

  // writeChunked takes the framing away that the genuine class has put around the
  // body: the daemon frames by itself. The class writes size, line end, data and
  // line end with calls of their own, and that is all that is understood here.
  writeChunked(data, encoding, callback) {
    if (data.length === 0) return this.body('', 'latin1', callback);
    switch (this.chunk) {
      case SIZE:
        if (typeof data !== 'string') break;
        if (data.startsWith('0\r\n')) {
          this.trailerText = data.slice(3, -2);
          this.chunk = CHUNK_END;
        } else {
          this.chunkLeft = Number.parseInt(data, 16);
          if (!(this.chunkLeft > 0)) break;
          this.chunk = SIZE_END;
          this.separate();
        }
        return this.body('', 'latin1', callback);
      case SIZE_END:
        if (data.length !== 2) break;
        this.chunk = CHUNK;
        return this.body('', 'latin1', callback);
      case CHUNK:
        this.chunkLeft -= typeof data === 'string' ? Buffer.byteLength(data, encoding) : data.byteLength;
        if (this.chunkLeft < 0) break;
        if (this.chunkLeft === 0) this.chunk = CHUNK_END;
        return this.body(data, encoding, callback);
      default:
        if (data.length !== 2 || this.trailerText !== null) break;
        this.chunk = SIZE;
        return this.body('', 'latin1', callback);
    }
    // The program has written to the socket in the middle of a chunked response.
    this.socket.destroy();
    return false;
  }

  // separate: each chunk that the program writes is one for the client, who may take
  // it for a message (RFC 9112 7.1 forbids that, and programs do it). The daemon makes
  // one of each frame. Where fragments are used, a short response stays one frame: the
  // daemon then sees all of it before it sends any.
  separate() {
    if (this.chunks++ > 0 && !this.loop.owner.pieces) this.frameGeneration = -1;
  }

  // finished is called when the genuine response has written its last byte.
  finished() {
    if (this.answered || this.over || this.upgraded) return;
    this.answered = true;
    this.release();
    if (!this.headSent || this.raw) return;
    if (!this.complete && isRead(this.req)) return; // the program goes on reading the body: bodyEnd ends the stream
    this.conclude();
    if (!this.complete) { // we drop the rest of the body, and so does the daemon
      this.unwanted = true;
      process.nextTick(dropBody, this.req);
    }
  }

  writable() {
    if (this.socket === null || this.socket.destroyed) return;
    if (this.whenSent !== null) {
      this.whenSent();
      return;
    }
    if (this.opaque) return; // the Duplex counts for itself
    this.resource.runInAsyncScope(drain, null, this.socket);
  }

  // ---- upgrade, CONNECT, and programs that write to the socket themselves ----

  upgrade() {
    const { socket, req, listener } = this;
    this.release();
    const { server } = listener;
    strip(socket);
    socket[kRest] = null;
    socket.readableFlowing = null;
    socket._writableState.corked = 0;
    socket[kOpaque] = true;
    this.upgraded = true;
    const event = req.method === 'CONNECT' ? 'connect' : 'upgrade';
    if (server.listenerCount(event) > 0) server.emit(event, req, socket, NO_HEAD);
    else socket.destroy();
  }

  // writeOpaque takes bytes that are meant for the client as they are. What comes
  // before opaque mode is a response head; 101, and 2xx to CONNECT, go to the
  // daemon as such, so that it knows what the stream becomes.
  writeOpaque(data, encoding, callback) {
    if (this.over) {
      if (callback) process.nextTick(callback, reset('the connection is closed'));
      return false;
    }
    if (this.opaque || this.headSent) return this.body(data, encoding === 'buffer' ? null : encoding || 'utf8', callback);
    const bytes = typeof data === 'string' ? Buffer.from(data, encoding || 'utf8') : data;
    const all = this.pendingHead === null ? bytes : Buffer.concat([this.pendingHead, bytes]);
    const end = all.indexOf('\r\n\r\n');
    if (end < 0 && all.length < HEAD_LIMIT && startsLikeHead(all)) {
      this.pendingHead = Buffer.from(all);
      if (callback) this.loop.out.complete(callback);
      return true;
    }
    this.pendingHead = null;
    const head = end < 0 ? '' : all.latin1Slice(0, end + 4);
    const status = soundHead(head);
    let rest = all;
    if (this.upgraded && (this.req.method === 'CONNECT' ? status >= 200 && status < 300 : status === 101)) {
      this.turnOpaque(all.subarray(0, end + 4), status);
      rest = all.subarray(end + 4);
    } else if (this.complete && !this.broken && this.version < 20) {
      this.turnOpaque(EMPTY, 0);
    } else if (status >= 200 && !/\r\ntransfer-encoding:/i.test(head)) {
      // The request is not complete: an ordinary response, and the connection
      // ends after it.
      this.respondBytes(Buffer.from(`${head.slice(0, -2)}Connection: close\r\n\r\n`, 'latin1'), Flag.TEXT, 0, 0);
      rest = all.subarray(end + 4);
    } else {
      this.socket.destroy();
      return false;
    }
    if (rest.length > 0 || callback) return this.body(rest, null, callback || null);
    return true;
  }

  // flushHead sends what was kept as the beginning of a head that did not end.
  flushHead() {
    if (this.headSent || this.over) return;
    const kept = this.pendingHead;
    this.pendingHead = null;
    if (this.complete && !this.broken && this.version < 20) {
      this.turnOpaque(EMPTY, 0);
      if (kept !== null) this.body(kept, null, null);
    }
  }

  // socketEnded: the program has ended its side of the socket.
  socketEnded() {
    this.release();
    if (this.upgraded) {
      this.flushHead();
      if (this.opaque) this.end();
    }
  }

  // socketDestroyed: there is no socket any more.
  socketDestroyed(hard) {
    if (this.over) return;
    this.release();
    if (this.gone) {
      this.cancel(this.headSent ? 0 : 1);
    } else if (this.opaque || this.upgraded) {
      this.flushHead();
      this.dropHeld();
      this.cancel(hard || !this.opaque ? 0 : 1);
    } else if (!hard && (this.answered || (this.raw && this.headSent))) {
      this.last = true;
      this.endAnswer();
    } else {
      this.abort(hard);
    }
  }

  // hangUp: the program has closed a connection between two requests.
  hangUp() {
    if (this.version < 20) this.loop.hangUp(this.connection);
  }

  // abort closes the client's connection without an answer, as Node does when a
  // socket is destroyed; an answer that was begun is cut.
  abort(hard) {
    this.dropHeld();
    if (!hard && !this.headSent) {
      this.cancel(1);
      return;
    }
    if (hard && !this.headSent && this.complete && !this.broken && this.version < 20) this.turnOpaque(EMPTY, 0);
    this.cancel(0);
  }
}

// strip takes everything away that the genuine listener has attached, and frees
// the parser; nothing is in flight on the connection.
function strip(socket) {
  const genuine = socket[kGenuine];
  genuine.close.call(socket);
  for (const name of Object.keys(genuine)) if (genuine[name]) socket.removeListener(name, genuine[name]);
  socket.removeListener('close', closeResponse);
  socket[kServes] = false;
  for (const name of ['on', 'addListener', 'prependListener', 'setEncoding']) delete socket[name];
}

// connect makes the socket of a connection that is new to the server, or that has
// waited without one, or closes one that is too many. loop is where it was announced
// before it had a request, else null.
function connect(listener, key, facts, client, local, loop) {
  const { server } = listener;
  const peer = listener.peerOf(client);
  const here = listener.peerOf(local);
  const known = typeof key === 'number' && listener.idle.revive(key);
  if (typeof key === 'number' && facts !== undefined && facts.dropped === true) return null; // its first request was on the way
  if (!known && server.maxConnections != null && server._connections >= server.maxConnections) {
    const socket = createSocket(null, false, undefined, peer, here, () => {});
    if (loop !== null) facts.dropped = true;
    server.emit('drop', {
      localAddress: socket.localAddress, localPort: socket.localPort, localFamily: socket.localFamily,
      remoteAddress: socket.remoteAddress, remotePort: socket.remotePort, remoteFamily: socket.remoteFamily,
    });
    return null;
  }
  const socket = createSocket(server, listener.secure, facts, peer, here, () => gone(listener, key, socket, facts, loop));
  if (loop !== null) loop.hold();
  if (facts !== undefined && typeof key === 'number') keep(facts, socket, listener.idle);
  if (!known) {
    server._connections++;
    listener.look();
  }
  if (listener.secure && server.requestCert === true && server.rejectUnauthorized !== false && !socket.authorized) {
    // As Node does: the client is told nothing.
    socket.on('error', () => {});
    server.emit('tlsClientError', coded(Error, 'ECONNRESET', 'socket hang up'), socket);
    socket.destroy();
    return null;
  }
  listener.sockets.set(key, socket);
  if (known) {
    http._connectionListener.call(server, socket);
  } else if (listener.secure) {
    if (server.listenerCount('connection') > 1) emitConnection(server, socket);
    server.emit('secureConnection', socket);
  } else {
    server.emit('connection', socket);
  }
  if (socket.parser) {
    // The genuine server watches its parsers for heads that come slowly; the
    // daemon does that.
    socket.parser.remove();
    // What the genuine listener has attached, to be called or taken away. Its
    // listeners are the first ones, but for net's own 'end'.
    socket[kGenuine] = {
      data: nth(socket, 'data', 0),
      close: nth(socket, 'close', 0),
      drain: nth(socket, 'drain', 0),
      error: nth(socket, 'error', 0),
      timeout: nth(socket, 'timeout', 0),
      end: nth(socket, 'end', 1),
      resume: nth(socket, 'resume', 0),
      pause: nth(socket, 'pause', 0),
    };
    socket.on('close', closeResponse);
    socket[kServes] = true;
    if (typeof key === 'number') {
      learn(listener, socket);
      listener.idle.added();
    }
  }
  return socket;
}

// emitConnection is 'connection' of an https server, but not for the genuine
// listener, which would begin a handshake.
const handshake = https.createServer().listeners('connection')[0];
function emitConnection(server, socket) {
  for (const listener of server.rawListeners('connection')) {
    if (listener !== handshake) Reflect.apply(listener, server, [socket]);
  }
}

// accepted is told of a connection that has come to a program that listens to
// that.
function accepted(listener, loop, facts, client, local) {
  listener.resource.runInAsyncScope(() => {
    const socket = connect(listener, facts.number, facts, client, local, loop);
    if (socket === null) loop.hangUp(facts.number, true);
  });
}

// Rest stands for the last exchange of a connection after its end: there is one for
// each socket, so that requests and responses do not live as long as their sockets.
class Rest {
  constructor(loop, connection) {
    this.loop = loop;
    this.connection = connection;
    this.began = 0;
  }

  get facts() { return this.loop.connections.get(this.connection); }
  hangUp() { this.loop.hangUp(this.connection); }
  finished() {}
  readMore() {}
}
Object.assign(Rest.prototype, { over: true, answered: true, gone: false, holding: false, heldBytes: 0 });

// keep remembers a socket until its connection ends. Requests of one connection
// may come to several servers, and to each it is a socket of its own, or, while it
// rests, one of its IdleConnections.
function keep(facts, socket, idle) {
  if (facts.socket === undefined || facts.socket === idle) facts.socket = socket;
  else facts.socket = [].concat(facts.socket, socket);
}

// gone lets go of a socket that was destroyed; its connection may go on.
function gone(listener, key, socket, facts, loop) {
  listener.forget(key, socket);
  if (loop !== null) {
    loop.release();
    if (socket[kExchange] === null) loop.hangUp(key, true); // it had no request yet, and shall have none
  }
  if (facts === undefined || facts.socket === undefined) return;
  const rest = [].concat(facts.socket).filter((s) => s !== socket);
  facts.socket = rest.length === 0 ? undefined : rest;
}

// disconnected ends the sockets of a connection that has ended.
function disconnected(facts) {
  for (const s of [].concat(facts.socket || [])) {
    if (s instanceof IdleConnections) s.ended(facts.number);
    else s.destroy();
  }
}

// nth is a listener of a socket.
function nth(socket, name, i) {
  const all = socket._events[name];
  if (typeof all === 'function') return i === 0 ? all : undefined;
  return all === undefined ? undefined : all[i];
}

// ---- functions that run in the context of a request ----

function enter(x) {
  x.resource = new AsyncResource('HTTPINCOMINGMESSAGE');
  x.resource.runInAsyncScope(x.start, x);
}

// readAhead turns a request that is still not answered into bytes.
function readAhead(x) {
  if (!mayLeave(x)) {
    x.release();
    return;
  }
  // The parser has been taken from those that the server watches, and Node 24 has
  // such a one ignore what it reads. It begins anew, and unwatched: this request was
  // read in time.
  const { server } = x.listener;
  const { parser } = x.socket;
  const { REQUEST, kLenientAll, kLenientNone } = parser.constructor;
  const lenient = server.insecureHTTPParser === undefined ? INSECURE : server.insecureHTTPParser;
  parser.initialize(REQUEST, x.resource, server.maxHeaderSize || 0, lenient ? kLenientAll : kLenientNone);
  x.leaveFrames();
  x.release();
}

// mayLeave: nothing is answered yet, and nothing is left of the request.
function mayLeave(x) {
  if (x.over || x.headSent || x.upgraded || x.raw || x.gone || x.broken || !x.complete || x.pendingHead !== null) return false;
  return x.socket !== null && !x.socket.destroyed && Boolean(x.socket.parser);
}

function pause(socket) {
  socket.pause();
}

// showData is for those who look at what comes over the socket, to count it for
// instance: they see the content of the request's body, and as in Node after the
// parser has.
function showData(socket, bytes) {
  process.nextTick(emitData, socket, bytes);
}

function emitData(socket, bytes) {
  for (const listener of socket.rawListeners('data')) {
    if (listener !== socket[kGenuine]?.data) Reflect.apply(listener, socket, [bytes]);
  }
}

function push(stream, bytes) {
  return stream.push(bytes);
}

function finishBody(x, trailers) {
  if (x.upgraded) {
    endOfClient(x.socket);
    return;
  }
  const { req } = x;
  x.completeIn = x.loop.batches;
  req.complete = true;
  if (trailers !== null) {
    req._addHeaderLines(trailers, trailers.length);
    consumed(req);
  }
  if (req.destroyed) return;
  const state = req._readableState;
  // Where nobody reads and nobody listens, push would only note the end.
  if (req._eventsCount === 0 && state.length === 0 && state.flowing === null && !state.reading && !state.decoder) state.ended = true;
  else req.push(null);
}

// completed calls back for what the genuine response has written. With the last
// of it the request is over, too.
function completed(x, callback) {
  if (x.answered) settle(x.req);
  callback();
}

// settle takes a request that nobody has read and nobody listens to into the state
// that it would come to by and by: dumped, ended and closed.
function settle(req) {
  const state = req._readableState;
  if (req._eventsCount !== 0 || req._consuming || req._dumped || !req.complete || !state.ended || state.length > 0 ||
    state.flowing !== null || state.destroyed || state.errored) return;
  req._dumped = true;
  state.flowing = true;
  state.endEmitted = true;
  state.destroyed = true;
  state.closed = true;
  state.closeEmitted = true;
}

// endOfClient: the client has closed its side of an upgraded connection. As in
// net, 'end' comes to those who do not read, too, if nothing is left to read.
function endOfClient(socket) {
  socket.push(null);
  socket.read(0);
}

function dropBody(req) {
  if (req.destroyed) return;
  req.complete = true;
  req.push(null);
}

// isRead says whether the program reads the body, or is about to.
function isRead(req) {
  const { resumeScheduled, readableListening } = req._readableState;
  return !req.destroyed && !req._dumped && (req._consuming || resumeScheduled || readableListening);
}

// consumed: in Node, a program that has begun to read is asked for more before its parser
// passes the next piece of a body on; here they may come in one turn.
function consumed(req) {
  if (!req._consuming && isRead(req)) req._consuming = true;
}

function drain(socket) {
  socket.emit('drain');
}

function destroy(socket) {
  socket.destroy();
}

function hangUp(x) {
  x.hangUp();
}

function cancelled(x, reason) {
  const { socket } = x;
  if (socket === null) {
    x.cancel(0);
    return;
  }
  switch (reason) {
    case Cancel.BODY: {
      // As if Node's parser had met it: 'clientError', or 400 and the end; 408
      // where the program's time for a request is over.
      x.complete = true;
      x.broken = true;
      const genuine = socket[kGenuine];
      const { requestTimeout } = x.listener.server;
      const late = requestTimeout > 0 && x.loop.now - x.began >= requestTimeout;
      const err = late ? coded(Error, 'ERR_HTTP_REQUEST_TIMEOUT', 'Request timeout')
        : coded(Error, 'HPE_INVALID_EOF_STATE', 'Parse Error: the request body did not arrive in full');
      err.bytesParsed = 0;
      err.rawPacket = EMPTY;
      if (genuine !== null && genuine.error && !x.upgraded) genuine.error.call(socket, err);
      else socket.destroy();
      return;
    }
    case Cancel.HALF_CLOSED:
      if (x.upgraded) {
        endOfClient(socket);
        return;
      }
      if (x.listener.server.httpAllowHalfOpen || x.answered) return;
      if (x.completeIn === x.loop.batches) { // it came with the request's end; Node reads it in a turn of its own
        setImmediate(clientEnded, x);
        return;
      }
      break;
    default:
  }
  clientGone(x);
}

// clientEnded: Node takes a client that has closed its side, and has no answer yet, for
// one that has left.
function clientEnded(x) {
  if (x.over || x.answered || x.upgraded || x.gone) return;
  x.resource.runInAsyncScope(clientGone, null, x);
}

function clientGone(x) {
  const { socket } = x;
  x.gone = true;
  socket.destroy(); // and a client that still reads gets nothing
  if (!x.over) x.cancel(0);
}

// cacheField is what tells the daemon how long it may answer by itself: the
// response's cacheDuration, the socket's, where the old module looked, or that of the
// process. The daemon takes the field away.
function cacheField(message, socket) {
  let seconds = message.cacheDuration;
  if (seconds === undefined) seconds = socket.cacheDuration;
  if (seconds === undefined) seconds = settings.cacheDuration;
  seconds = Math.floor(Number(seconds));
  return seconds > 0 ? `Httpsys-Cache-Control: max-age=${Math.min(seconds, 0x7fffffff)}\r\n` : '';
}

// ---- text ----

const HEAD = /^HTTP\/1\.[01] ([1-9]\d\d)(?: [\t\x20-\x7e\x80-\xff]*)?\r\n(?:[!#$%&'*+\-.^_`|~\w]+:[\t\x20-\x7e\x80-\xff]*\r\n)*\r\n$/;

// soundHead gives the status of a head that keeps to the grammar, else 0.
function soundHead(head) {
  const m = HEAD.exec(head);
  return m === null ? 0 : Number(m[1]);
}

function startsLikeHead(bytes) {
  return 'HTTP/1.'.startsWith(bytes.latin1Slice(0, Math.min(7, bytes.length)));
}

// Fields that say how a message is framed or routed are refused as trailers.
const NO_TRAILER = new Set(['content-length', 'transfer-encoding', 'host', 'trailer', 'connection', 'keep-alive', 'upgrade', 'te',
  'content-encoding', 'content-type', 'content-range', 'proxy-connection', 'expect', 'max-forwards', 'authorization', 'cache-control',
  'set-cookie']);

function trailerList(text) {
  const list = [];
  for (const line of text.split('\r\n')) {
    const colon = line.indexOf(': ');
    if (colon <= 0) continue;
    const name = line.slice(0, colon);
    if (!NO_TRAILER.has(name.toLowerCase())) list.push(name, line.slice(colon + 2).trim());
  }
  return list;
}

module.exports = { HttpExchange, accepted, disconnected, kInfo };
