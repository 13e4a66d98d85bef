'use strict';

// FetchExchange brings one request to the handler of serve(), and its Response
// back.

const { AsyncResource } = require('async_hooks');
const { STATUS_CODES } = require('http');
const { Exchange } = require('../channel/exchange');
const { Cancel, RequestFlag } = require('../channel/frame');
const { LightRequest, native, originOf, urlOf, kNative } = require('./request');
const { LightResponse, NativeResponse, kLight } = require('./response');
const { Info, kUpgrade } = require('./info');

const NO_BODY = Buffer.alloc(0);
const PLAIN_TEXT = 'text/plain;charset=UTF-8';
// A longer body goes with its length, since it may not fit into the frame of its
// head; a shorter one gets its length from the daemon.
const IN_ONE_FRAME = 4096;
// For so long, in ms, a stream may have nothing to say to a client that has closed
// its side: most have left altogether, and a stream that waits for an event would
// never find out. Node's own server cuts at once.
const LAST_WORDS = 500;
// How long a handler that has answered may leave the rest of the body unread, in
// milliseconds: who works on a piece of it meanwhile reads on.
const READS_ON = 2000;

// Fields of a 101 that are the module's own.
const OF_HANDSHAKE = /^(?:connection|upgrade|content-length|transfer-encoding|sec-websocket-.*)$/;

class FetchExchange extends Exchange {
  constructor(loop, id, flags, b, start, end, registration) {
    super(loop, id, flags, b, start, end);
    this.server = registration.listener;
    this.resource = null;
    this.request = null;
    this.aborter = null; // the AbortController, if anybody asked for the signal
    this.disconnected = false; // the client has left, as far as one can see
    this.gone = false; // nobody waits for the answer
    this.halfClosed = false; // the client has said all that it will say
    this.socket = null; // the WebSocket that this has become
    this.accepted = null; // the one that the handler has accepted

    // The request body.
    this.pieces = []; // came, and were not read
    this.sink = null; // who reads: { chunk(bytes), end(), error(err) }
    this.bodyUsed = false;
    this.bodyError = null;

    // The response.
    this.pending = null; // the head that waits for the first bytes
    this.reader = null; // of the body's stream
    this.proceed = null; // resolves when more may be written
    this.lastWords = null; // the timer of a stream whose client has closed its side
    this.answered = false;
    this.reading = null; // see awaitReader
    this.asks = 0; // how often more of the body was asked for
    this.erred = false; // the program's handler of errors was asked
  }

  begin() {
    this.server.begun(this);
    this.resource = new AsyncResource('HTTPSYSREQUEST');
    this.resource.runInAsyncScope(handle, null, this);
  }

  get secure() { return (this.requestFlags & RequestFlag.TLS) !== 0; }

  // ---- the request body ----

  bodyChunk(bytes) {
    if (this.socket !== null) {
      this.resource.runInAsyncScope(received, null, this, bytes);
      return true;
    }
    if (this.sink !== null) return this.sink.chunk(bytes);
    this.pieces.push(bytes);
    return false;
  }

  bodyEnd() {
    if (this.socket !== null) { // the client has closed its side
      this.resource.runInAsyncScope(goneSocket, null, this);
      return;
    }
    if (this.sink !== null) this.sink.end();
    if (this.answered) this.end();
  }

  readMore() {
    this.asks++;
    super.readMore();
  }

  breakBody(err) {
    this.bodyError = err;
    const { sink } = this;
    this.sink = null;
    if (sink !== null) sink.error(err);
  }

  // read hands the body to a sink, from its first byte on.
  read(sink) {
    this.bodyUsed = true;
    this.askForBody();
    const { pieces } = this;
    this.pieces = [];
    this.sink = sink;
    let more = true;
    for (const piece of pieces) more = sink.chunk(piece) !== false;
    if (this.bodyError !== null) {
      this.sink = null;
      sink.error(this.bodyError);
    } else if (this.complete) {
      sink.end();
    } else if (this.over) {
      sink.error(new TypeError('the request is over'));
    } else if (more) {
      this.readMore();
    }
  }

  // askForBody sends the 100 that the client may wait for.
  askForBody() {
    if ((this.requestFlags & RequestFlag.CONTINUE) !== 0 && !this.complete) this.informational('HTTP/1.1 100 Continue\r\n\r\n');
  }

  // collect reads the whole body and resolves with what convert makes of it.
  collect(convert) {
    if (this.complete && this.bodyError === null) { // nothing to wait for
      this.bodyUsed = true;
      const { pieces } = this;
      this.pieces = [];
      try {
        return Promise.resolve(convert(join(pieces)));
      } catch (err) {
        return Promise.reject(err);
      }
    }
    return new Promise((resolve, reject) => {
      const all = [];
      this.read({
        chunk(bytes) { all.push(bytes); return true; },
        end() {
          try {
            resolve(convert(join(all)));
          } catch (err) {
            reject(err);
          }
        },
        error: reject,
      });
    });
  }

  // stream gives the body as a ReadableStream that holds what is not read.
  stream() {
    const x = this;
    let controller;
    let ended = false;
    const sink = {
      chunk(bytes) {
        if (ended) return true;
        controller.enqueue(new Uint8Array(bytes)); // with memory of its own: it may be transferred
        return controller.desiredSize > 0;
      },
      end() {
        if (!ended) controller.close();
        ended = true;
      },
      error(err) {
        if (!ended) controller.error(err);
        ended = true;
      },
    };
    return new ReadableStream({
      start(c) { controller = c; },
      pull() {
        if (x.sink !== sink) x.read(sink);
        else x.readMore();
      },
      cancel() { // what still comes is dropped
        ended = true;
        x.readMore();
      },
    }, { highWaterMark: 0 });
  }

  // signal is that of the request.
  signal() {
    if (this.aborter === null) {
      this.aborter = new AbortController();
      if (this.disconnected) this.aborter.abort(disconnected());
    }
    return this.aborter.signal;
  }

  // ---- what happens to it ----

  cancelled(reason) {
    if (reason === Cancel.BODY) {
      this.complete = true;
      this.breakBody(new TypeError('the request body did not arrive in full'));
      this.abortSignal();
      return;
    }
    if (reason === Cancel.HALF_CLOSED) {
      // A client that left looks the same as one that only says no more: the
      // handler is told, and what it answers is sent. If nobody is there, that
      // shows then, or the stream is cancelled when it says nothing.
      this.halfClosed = true;
      this.abortSignal();
      if (this.reader !== null) this.awaitLastWords();
      if (this.socket !== null) this.resource.runInAsyncScope(goneSocket, null, this);
      return;
    }
    this.cancel(0);
    this.abandoned();
  }

  awaitLastWords() {
    this.lastWords = setTimeout(silent, LAST_WORDS, this);
    this.lastWords.unref();
  }

  abortSignal() {
    this.resource.runInAsyncScope(abortSignal, null, this);
  }

  lost() {
    this.server.left(this);
    this.abandoned();
  }

  // abandoned: nobody waits for the answer any more.
  abandoned() {
    if (this.gone) return;
    this.gone = true;
    this.resource.runInAsyncScope(abandon, null, this);
  }

  writable() {
    const { proceed } = this;
    if (proceed === null) return;
    this.proceed = null;
    proceed();
  }

  finish() {
    if (this.reading !== null) clearTimeout(this.reading);
    this.server.left(this);
    return super.finish();
  }

  // ---- the response ----

  // answer sends what the handler returned.
  answer(response) {
    if (this.over || this.headSent) { // nobody waits, or an error was sent
      discard(response);
      return;
    }
    const light = response !== null && typeof response === 'object' ? response[kLight] : undefined;
    const upgrade = light !== undefined ? response[kUpgrade] : undefined;
    if (upgrade !== undefined) {
      this.becomeWebSocket(upgrade, light);
    } else if (this.accepted !== null && response instanceof NativeResponse && response.ok) { // middleware makes new ones at times
      this.failed(new TypeError('the handler accepted a WebSocket: it must return the response of upgradeWebSocket() itself'));
    } else if (light !== undefined && light.native === null) {
      this.answerLight(light);
    } else if (response instanceof NativeResponse) {
      this.answerNative(light === undefined ? response : light.native);
    } else {
      this.failed(new TypeError('the handler of serve() must return a Response'));
    }
  }

  answerLight(light) {
    const { body } = light;
    let list = light.list === null ? [] : light.list;
    if (light.headers !== null) list = flat(light.headers);
    else if (typeof body === 'string' && !has(list, 'content-type')) list = [...list, 'content-type', PLAIN_TEXT];
    if (body !== null && body.length > IN_ONE_FRAME && !has(list, 'content-length')) {
      list = [...list, 'content-length', String(bytesOf(body))];
    } else if (body !== null && list.length > 0 && this.text[0] !== 'HEAD') {
      const said = lengthOf(list);
      if (said >= 0 && said !== bytesOf(body)) throw disagrees(said, bytesOf(body));
    }
    this.head(light.status, light.statusText, list);
    if (body !== null && body.length > 0) this.body(body, 'utf8', null);
    this.respondEnd();
  }

  answerNative(response) {
    if (response.type === 'error') {
      this.failed(new TypeError('the handler of serve() returned Response.error()'));
      return;
    }
    if (response.bodyUsed) {
      this.failed(new TypeError('the body of the Response was read already'));
      return;
    }
    const list = flat(response.headers);
    const stream = response.body;
    if (stream !== null && response.url !== '') decoded(list);
    if (stream === null) {
      this.head(response.status, response.statusText, list);
      this.respondEnd();
      return;
    }
    if (this.text[0] === 'HEAD') {
      this.head(response.status, response.statusText, list);
      this.respondEnd();
      stream.cancel().catch(() => {});
      return;
    }
    // The head waits for what is there at once, so that a short body is in the
    // same frame.
    this.pending = { status: response.status, reason: response.statusText, list };
    setImmediate(sendHead, this);
    this.pump(stream, lengthOf(list)).catch((err) => this.failed(err));
  }

  // pump sends a stream. said is how long the response says that it is, or -1.
  async pump(stream, said) {
    let n = 0;
    const reader = stream.getReader();
    this.reader = reader;
    if (this.halfClosed) this.awaitLastWords();
    for (;;) {
      const { done, value } = await reader.read();
      if (this.lastWords !== null) this.lastWords.refresh();
      if (this.over) {
        if (!done) reader.cancel().catch(() => {});
        return;
      }
      if (said >= 0) {
        if (!done) n += value.length;
        if (done ? n < said : n > said) {
          if (!done) reader.cancel().catch(() => {});
          throw disagrees(said, n);
        }
      }
      if (this.pending !== null) sendHead(this);
      if (done) break;
      if (!(value instanceof Uint8Array)) throw new TypeError('the body of the Response gives something that is not a Uint8Array');
      if (value.length > 0 && this.body(value, null, null) === false && !this.over) {
        await new Promise((resolve) => { this.proceed = resolve; });
      }
    }
    this.reader = null;
    clearTimeout(this.lastWords);
    this.respondEnd();
  }

  head(status, reason, list) {
    const { cacheDuration } = this.server.options;
    if (cacheDuration > 0 && !has(list, 'httpsys-cache-control')) {
      list = [...list, 'httpsys-cache-control', `max-age=${Math.floor(cacheDuration)}`];
    }
    this.respondFields(status, reason === (STATUS_CODES[status] || '') ? '' : reason, list);
  }

  // respondEnd ends the response, and waits for the rest of the body if the
  // handler still reads it.
  respondEnd() {
    if (this.sink === null || this.complete) {
      this.end();
      return;
    }
    this.answered = true;
    this.awaitReader();
  }

  // awaitReader ends the response when nobody reads the body on.
  awaitReader() {
    this.reading = setTimeout(leftUnread, READS_ON, this, this.asks);
    this.reading.unref();
  }

  // plain answers without the handler.
  plain(status) {
    this.head(status, '', ['content-type', PLAIN_TEXT]);
    this.body(`${STATUS_CODES[status]}\n`, 'latin1', null);
    this.end();
  }

  // failed: the handler threw, or gave something that cannot be sent.
  failed(err) {
    if (this.over) return;
    this.pending = null;
    if (this.headSent) {
      report(err);
      this.cancel(0); // so that nobody takes it for complete
      return;
    }
    const { error } = this.server.options;
    if (typeof error !== 'function' || this.erred) {
      report(err);
      this.plain(500);
      return;
    }
    this.erred = true; // the next error is its own
    settle(this, () => error(err, this.request));
  }

  // ---- WebSocket ----

  daemonStops() {
    if (this.socket !== null) this.resource.runInAsyncScope(goingAway, null, this);
  }

  // becomeWebSocket accepts with what the program has put into the response besides.
  becomeWebSocket({ head, socket }, light) {
    this.socket = socket;
    const early = this.pieces;
    this.pieces = [];
    const list = light.native !== null ? flat(light.native.headers) : light.headers !== null ? flat(light.headers) : [];
    let more = '';
    for (let i = 0; i < list.length; i += 2) if (!OF_HANDSHAKE.test(list[i])) more += `${list[i]}: ${list[i + 1]}\r\n`;
    this.turnOpaque(Buffer.from(`${head}${more}\r\n`, 'latin1'), 101);
    socket.opened(this);
    for (const piece of early) socket.received(piece);
  }
}

// handle runs the handler, in the context of the request.
function handle(x) {
  const { text, server } = x;
  const method = text[0];
  if (x.first !== null) {
    const { first } = x;
    x.first = null;
    x.deliver(first);
  }
  if (method === 'CONNECT' || method === 'TRACE' || method === 'TRACK') { // a Request cannot have them
    x.plain(method === 'CONNECT' ? 501 : 405);
    return;
  }
  const origin = originOf(x.secure, text[2]);
  const target = text[1];
  if (origin === null || (target[0] !== '/' && urlOf(origin, target) === null)) {
    x.plain(400);
    return;
  }
  const request = x.request = new LightRequest(x, origin);
  settle(x, () => {
    const info = new Info(x);
    return server.options.fetch(request, info, info);
  });
}

// settle answers with what a function of the program returns, now or later.
function settle(x, run) {
  let result;
  try {
    result = run();
  } catch (err) {
    x.failed(err);
    return;
  }
  if (result !== null && typeof result === 'object' && typeof result.then === 'function') {
    result.then((response) => answer(x, response), (err) => x.failed(err));
  } else {
    answer(x, result);
  }
}

function answer(x, response) {
  try {
    x.answer(response);
  } catch (err) {
    x.failed(err);
  }
}

// sendHead sends the head that waited, if it still does.
function sendHead(x) {
  const { pending } = x;
  if (pending === null || x.over) return;
  x.pending = null;
  x.head(pending.status, pending.reason, pending.list);
}

// silent: the stream has had its time.
function silent(x) {
  if (x.over || x.reader === null) return;
  if (x.proceed !== null) { // it is the client that is slow
    x.lastWords.refresh();
    return;
  }
  x.cancel(0);
  x.abandoned();
}

// leftUnread: the handler has not asked for more of the body since it answered, or since
// this was looked at before.
function leftUnread(x, asks) {
  if (x.over || x.complete) return;
  if (!x.holding || x.asks !== asks) {
    x.awaitReader();
    return;
  }
  x.end();
  x.breakBody(new TypeError('the request is over: its body was left unread behind the response'));
}

function abandon(x) {
  clearTimeout(x.lastWords);
  x.breakBody(disconnected());
  if (x.socket !== null) x.socket.gone();
  abortSignal(x);
  if (x.reader !== null) x.reader.cancel(disconnected()).catch(() => {});
  x.writable();
}

function abortSignal(x) {
  x.disconnected = true;
  if (x.aborter !== null) x.aborter.abort(disconnected());
}

function received(x, bytes) {
  x.socket.received(bytes);
}

function goneSocket(x) {
  x.socket.gone();
}

function goingAway(x) {
  x.socket.goingAway();
}

// discard tells the source of a body that nobody will read it.
function discard(response) {
  if (!(response instanceof NativeResponse)) return;
  const light = response[kLight];
  const native = light === undefined ? response : light.native;
  if (native !== null && native.body !== null && !native.body.locked) native.body.cancel(disconnected()).catch(() => {});
}

function disconnected() {
  return new DOMException('The client has disconnected', 'AbortError');
}

function report(err) {
  console.error(err);
}

function join(pieces) {
  if (pieces.length === 0) return NO_BODY;
  return pieces.length === 1 ? pieces[0] : Buffer.concat(pieces);
}

function bytesOf(body) { return typeof body === 'string' ? Buffer.byteLength(body) : body.length; }

// lengthOf is the Content-Length among header fields; -1 if there is none.
function lengthOf(list) {
  const at = find(list, 'content-length');
  return at < 0 ? -1 : Number(list[at + 1]);
}

function disagrees(said, n) {
  return new TypeError(`the Response says Content-Length: ${said}, and its body has ${n < said ? 'only' : 'more:'} ${n} bytes`);
}

// decoded takes from the fields of a response that fetch() has got what is true of
// the bytes that came, but not of the body, which is decoded.
const DECODED = /^(?:x-gzip|gzip|deflate|br)$/;
function decoded(list) {
  const at = find(list, 'content-encoding');
  if (at < 0 || !list[at + 1].toLowerCase().split(',').every((coding) => DECODED.test(coding.trim()))) return;
  list.splice(at, 2);
  const length = find(list, 'content-length');
  if (length >= 0) list.splice(length, 2);
}

// find is where a field begins in a list of names and values; -1 if it is not there.
function find(list, name) {
  for (let i = 0; i < list.length; i += 2) if (list[i].length === name.length && list[i].toLowerCase() === name) return i;
  return -1;
}

function has(list, name) { return find(list, name) >= 0; }

// flat lists header fields; each Set-Cookie is one of its own.
function flat(headers) {
  const list = [];
  for (const [name, value] of headers) if (name !== 'set-cookie') list.push(name, value);
  for (const value of headers.getSetCookie()) list.push('set-cookie', value);
  return list;
}

module.exports = { FetchExchange, LightRequest, LightResponse, native, kNative };
