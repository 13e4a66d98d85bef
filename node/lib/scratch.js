'use strict';

// For people who learn how servers work: InboundTcpSocket gives the bytes that
// clients send and takes those that they are to get; HTTPServer does the same one
// step further up, with requests that are parsed. Both call one function,
// (request, response, error).

const { AsyncResource } = require('async_hooks');
const front = require('./front');
const { Exchange, EMPTY } = require('./channel/exchange');
const { Cancel, RequestFlag } = require('./channel/frame');
const { listenError, coded, reset } = require('./errors');
const { place } = require('./socket');
const { placeOf } = require('./prefix');
const { queueName, tellPrimary } = require('./workers');
const { serve } = require('./fetch/server');

// prefixOf makes the prefix of a host and a port.
function prefixOf(scheme, host, port) {
  const n = Number(port);
  if (!Number.isInteger(n) || n < 0 || n > 65535) throw coded(RangeError, 'ERR_SOCKET_BAD_PORT', `port ${port} is not between 0 and 65535`);
  const any = host === undefined || host === null || host === '' || host === '*' || host === '0.0.0.0' || host === '::';
  const name = any ? '+' : String(host);
  return `${scheme}://${name.includes(':') && name[0] !== '[' ? `[${name}]` : name}:${n}/`;
}

function check(bytes) {
  if (typeof bytes !== 'string' && !(bytes instanceof Uint8Array)) {
    throw coded(TypeError, 'ERR_INVALID_ARG_TYPE', 'write() takes a string or a Uint8Array');
  }
}

// soon resolves for a loop that writes to a client who has left and only waits for
// drained(): it must not keep everything else from running.
function soon() {
  return new Promise((resolve) => { setImmediate(resolve); });
}

function notRunning() {
  return coded(Error, 'ERR_SERVER_NOT_RUNNING', 'close() was called before listen()');
}

function listensAlready() {
  return coded(Error, 'ERR_SERVER_ALREADY_LISTEN', 'listen() was called before');
}

// TcpExchange is one client's connection.
class TcpExchange extends Exchange {
  constructor(loop, id, flags, b, start, end, registration) {
    super(loop, id, flags, b, start, end);
    this.server = registration.listener;
    this.resource = null;
    this.response = null;
    this.done = false; // the program has heard of the end
  }

  begin() {
    this.resource = new AsyncResource('HTTPSYSTCP');
    if ((this.requestFlags & RequestFlag.RAW) === 0) { // cannot be on a tcp prefix
      this.cancel(0);
      return;
    }
    this.turnOpaque(EMPTY, 0);
    this.response = new TcpResponse(this);
    this.server.connections.add(this);
  }

  // bodyChunk holds further bytes back while what the program wrote has not gone:
  // a program that answers everything it gets needs no more memory than that.
  bodyChunk(bytes) {
    this.tell(bytes, null);
    return this.held === null;
  }

  writable() {
    this.readMore();
    this.response.resume();
  }

  bodyEnd() {
    this.finished(null);
    if (!this.over) this.closeOpaque();
  }

  cancelled(reason) {
    if (reason === Cancel.HALF_CLOSED) {
      this.bodyEnd();
      return;
    }
    if (!this.over) this.cancel(0);
    this.finished(reset('the client has gone'));
  }

  lost() {
    this.finished(reset('the daemon has gone'));
  }

  // finished tells the program, once, that no more bytes come.
  finished(err) {
    this.server.connections.delete(this);
    if (this.done || this.response === null) return;
    this.done = true;
    this.response.resume();
    this.tell(null, err);
  }

  tell(bytes, err) {
    this.resource.runInAsyncScope(this.server.handler, this.server, bytes, this.response, err);
  }
}

// TcpResponse is what goes to one client. It is the same object for all pieces
// that the client sends.
class TcpResponse {
  #x;

  #waiting = null;

  constructor(x) {
    this.#x = x;
    // Free for the program: what it knows of this client.
    this.state = undefined;
  }

  get remoteAddress() { return place(this.#x.text[3]).address; }
  get remotePort() { return place(this.#x.text[3]).port; }
  get localAddress() { return place(this.#x.text[4]).address; }
  get localPort() { return place(this.#x.text[4]).port; }
  get closed() { return this.#x.over; }

  // write sends bytes, or text as UTF-8. It returns false if more should wait for
  // drained().
  write(bytes) {
    check(bytes);
    if (this.#x.over || bytes.length === 0) return !this.#x.over;
    return this.#x.body(bytes, 'utf8', null);
  }

  // drained resolves when more may be written.
  drained() {
    if (this.#x.over) return soon();
    if (this.#x.held === null) return Promise.resolve();
    if (this.#waiting === null) {
      this.#waiting = {};
      this.#waiting.promise = new Promise((resolve) => { this.#waiting.resolve = resolve; });
    }
    return this.#waiting.promise;
  }

  // end closes the connection when everything has been sent.
  end(bytes) {
    if (bytes !== undefined) this.write(bytes);
    this.#x.done = true;
    this.#x.server.connections.delete(this.#x);
    this.#x.closeOpaque();
  }

  // destroy closes it at once.
  destroy() {
    this.#x.done = true;
    this.#x.server.connections.delete(this.#x);
    if (!this.#x.over) this.#x.cancel(0);
  }

  resume() {
    const waiting = this.#waiting;
    this.#waiting = null;
    if (waiting !== null) waiting.resolve();
  }
}

class InboundTcpSocket {
  constructor(host, port) {
    this.prefix = prefixOf('tcp', host, port);
    this.connections = new Set();
    this.handler = null;
    this.registration = null;
    this.ready = null;
    this.url = undefined;
    this.port = undefined;
  }

  // listen calls handler(request, response, error) for each piece of bytes that a
  // client has sent: request is a Buffer, response the way back to that client. When
  // the client has said everything, request is null; when it is lost, error says so,
  // too. `ready` resolves when the port is open; without anybody who looks at it, a
  // failure ends the process.
  listen(handler) {
    if (typeof handler !== 'function') throw coded(TypeError, 'ERR_INVALID_ARG_TYPE', 'listen() takes a function (request, response, error)');
    if (this.registration !== null) throw listensAlready();
    this.handler = handler;
    const url = this.prefix;
    this.registration = {
      url,
      queue: queueName(url),
      exchange: TcpExchange,
      listener: this,
      referenced: true,
      refused: (err) => { throw listenError(err, { url }); },
    };
    this.ready = front.register(this.registration).then((result) => {
      this.url = result.url;
      this.port = placeOf(result.url).port;
      tellPrimary(null, this.port, 6);
      return this;
    }, (err) => { throw listenError(err, { url }); });
    return this;
  }

  stop() { this.close(); }

  // close takes no more clients and closes the connections of those that are there.
  async close() {
    if (this.handler === null) throw notRunning();
    const { registration } = this;
    if (registration === null) return;
    this.registration = null;
    await front.unregister(registration);
    for (const x of [...this.connections]) x.response.end();
  }
}

// HTTPResponse is what goes to the client of one request: `status` and `headers`
// until the first write, then bytes or text.
class HTTPResponse {
  #answer; // { resolve, reject } of what serve() waits for

  #controller = null;

  #pulled = null;

  #over = false;

  constructor(answer) {
    this.#answer = answer;
    this.status = 200;
    this.headers = new Headers();
  }

  // closed: it was ended, or cut because the client has left.
  get closed() { return this.#over; }

  // write sends a piece of the body; the first one sends the head before it. It
  // returns false if more should wait for drained().
  write(bytes) {
    check(bytes);
    if (this.#over) return false;
    const controller = this.#begin();
    controller.enqueue(typeof bytes === 'string' ? Buffer.from(bytes, 'utf8') : bytes);
    return controller.desiredSize > 0;
  }

  drained() {
    if (this.#over) return soon();
    return this.#begin().desiredSize > 0 ? Promise.resolve() : new Promise((resolve) => { this.#pulled = resolve; });
  }

  // end completes the response.
  end(bytes) {
    if (this.#over) return;
    if (this.#controller === null) {
      this.respondWith(new Response(bytes === undefined ? null : bytes, { status: this.status, headers: this.headers }));
      return;
    }
    if (bytes !== undefined) this.write(bytes);
    this.#over = true;
    this.#controller.close();
  }

  // respondWith answers with a Response of the web's standard.
  respondWith(response) {
    this.#over = true;
    this.#answer.resolve(response);
  }

  // failed: the handler threw. What was begun is cut.
  failed(err) {
    if (this.#over) {
      console.error(err);
      return;
    }
    this.#over = true;
    if (this.#controller === null) this.#answer.reject(err);
    else this.#controller.error(err);
  }

  #begin() {
    if (this.#controller === null) {
      const pulled = () => {
        const resolve = this.#pulled;
        this.#pulled = null;
        if (resolve !== null) resolve();
      };
      const body = new ReadableStream({
        start: (controller) => { this.#controller = controller; },
        pull: pulled,
        cancel: () => {
          this.#over = true;
          pulled();
        },
      }, { size: (piece) => piece.length, highWaterMark: 65536 });
      this.#answer.resolve(new Response(body, { status: this.status, headers: this.headers }));
    }
    return this.#controller;
  }
}

class HTTPServer {
  #server = null;

  #closed = false;

  constructor(host, port) {
    this.prefix = prefixOf('http', host, port);
    this.ready = null;
  }

  // listen calls handler(request, response, error): request is a Request of the web's
  // standard. error is set when the client has left, and, with null for request and
  // response, if there is no server.
  listen(handler) {
    if (typeof handler !== 'function') throw coded(TypeError, 'ERR_INVALID_ARG_TYPE', 'listen() takes a function (request, response, error)');
    if (this.#server !== null && !this.#closed) throw listensAlready();
    this.#closed = false;
    this.#server = serve({
      url: this.prefix,
      fetch: (request) => new Promise((resolve, reject) => {
        const response = new HTTPResponse({ resolve, reject });
        const call = async (err) => {
          try {
            const returned = await handler(request, response, err);
            if (returned instanceof Response) response.respondWith(returned);
          } catch (thrown) {
            response.failed(thrown);
          }
        };
        request.signal.addEventListener('abort', () => call(request.signal.reason));
        call(null);
      }),
    });
    this.ready = this.#server.ready;
    this.ready.catch((err) => handler(null, null, err));
    return this;
  }

  get url() { return this.#server === null ? undefined : this.#server.url; }
  get port() { return this.#server === null ? undefined : this.#server.port; }

  async close(force) {
    if (this.#server === null) throw notRunning();
    this.#closed = true;
    await this.#server.close(force);
  }
}

module.exports = { InboundTcpSocket, HTTPServer };
