'use strict';

// ServerWebSocket is the server's end of a WebSocket: the interface of the
// browsers' class (onopen, onmessage, addEventListener, send, close …) over an
// exchange in opaque mode.

const crypto = require('crypto');
const { TEXT, BINARY, PONG, PING, WebSocketError, Receiver, encode, encodeClose } = require('./frame');

const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'; // RFC 6455 section 1.3
const CLOSE_TIMEOUT = 10000; // how long the client may take to answer a close frame
const MAX_PAYLOAD = 16 << 20;
const TOKEN = /^[!#$%&'*+\-.^_`|~\w]+$/;

const CONNECTING = 0;
const OPEN = 1;
const CLOSING = 2;
const CLOSED = 3;

class MessageEvent extends Event {
  constructor(data) {
    super('message');
    this.data = data;
    this.origin = '';
    this.lastEventId = '';
    this.source = null;
    this.ports = [];
  }
}

class CloseEvent extends Event {
  constructor(code, reason, wasClean) {
    super('close');
    this.code = code;
    this.reason = reason;
    this.wasClean = wasClean;
  }
}

class ErrorEvent extends Event {
  constructor(error) {
    super('error');
    this.error = error;
    this.message = error.message;
  }
}

class ServerWebSocket extends EventTarget {
  constructor(url, protocol, maxPayload) {
    super();
    this.url = url;
    this.protocol = protocol;
    this.extensions = '';
    this.binaryType = 'blob';
    this.readyState = CONNECTING;
    this.x = null;
    this.receiver = new Receiver(this, maxPayload);
    this.queue = null; // frames, and the Blob that they wait for
    this.sentClose = false;
    this.timer = null;
    this.handlers = { open: null, message: null, error: null, close: null };
    for (const name of ['x', 'receiver', 'queue', 'sentClose', 'timer', 'handlers']) {
      Object.defineProperty(this, name, { enumerable: false });
    }
  }

  get bufferedAmount() {
    let n = this.x === null ? 0 : this.x.heldBytes;
    if (this.queue !== null) for (const frame of this.queue) n += frame instanceof Blob ? frame.size : frame.length;
    return n;
  }

  send(data) {
    if (this.readyState === CONNECTING) throw new DOMException('the WebSocket is not open yet', 'InvalidStateError');
    if (this.readyState !== OPEN) return;
    if (typeof data === 'string') this.write(encode(TEXT, Buffer.from(data, 'utf8')));
    else if (ArrayBuffer.isView(data)) this.write(encode(BINARY, Buffer.from(data.buffer, data.byteOffset, data.byteLength)));
    else if (data instanceof ArrayBuffer) this.write(encode(BINARY, Buffer.from(data)));
    else if (data instanceof Blob) this.write(data);
    else this.write(encode(TEXT, Buffer.from(String(data), 'utf8')));
  }

  // ping asks for a sign of life; browsers answer by themselves.
  ping(data = '') {
    if (this.readyState === OPEN) this.write(encode(PING, Buffer.from(data).subarray(0, 125)));
  }

  close(code, reason = '') {
    if (code !== undefined && code !== 1000 && !(code >= 3000 && code <= 4999)) {
      throw new DOMException(`close code ${code} is not 1000 or between 3000 and 4999`, 'InvalidAccessError');
    }
    if (Buffer.byteLength(reason) > 123) throw new DOMException('the reason is longer than 123 bytes', 'SyntaxError');
    if (this.readyState === CONNECTING) throw new DOMException('the WebSocket is not open yet', 'InvalidStateError');
    if (this.readyState !== OPEN) return;
    this.sayClose(code === undefined && reason !== '' ? 1000 : code, reason);
  }

  sayClose(code, reason) {
    this.readyState = CLOSING;
    this.sentClose = true;
    this.write(encodeClose(code, reason));
    this.timer = setTimeout(() => this.over(1006, '', false), CLOSE_TIMEOUT);
    this.timer.unref();
  }

  // goingAway closes with the code for a server that goes down.
  goingAway() {
    if (this.readyState === OPEN) this.sayClose(1001, '');
  }

  // write sends a frame, or a message of what is in a Blob, which has to be read
  // first: all that is written meanwhile waits behind it.
  write(frame) {
    if (this.queue !== null) {
      this.queue.push(frame);
    } else if (frame instanceof Blob) {
      this.queue = [frame];
      this.readBlobs();
    } else {
      this.x.body(frame, null, null);
    }
  }

  async readBlobs() {
    const { queue } = this;
    try {
      while (queue.length > 0) {
        const [first] = queue;
        const frame = first instanceof Blob ? encode(BINARY, Buffer.from(await first.arrayBuffer())) : first;
        if (this.readyState === CLOSED) break;
        this.x.body(frame, null, null);
        queue.shift();
      }
      this.queue = null;
    } catch (err) { // such as a file that has changed
      this.broken(err, 1011, '');
    }
  }

  // broken ends it for an error, of which the client is told a code and a reason.
  broken(err, code, reason) {
    if (this.readyState === CLOSED) return;
    this.dispatchEvent(new ErrorEvent(err));
    this.queue = null;
    if (!this.sentClose) this.write(encodeClose(code, reason));
    this.over(1006, '', false);
  }

  // ---- called by the exchange ----

  opened(x) {
    this.x = x;
    this.readyState = OPEN;
    this.dispatchEvent(new Event('open'));
  }

  received(bytes) {
    if (this.readyState === CLOSED) return;
    try {
      this.receiver.push(bytes);
    } catch (err) {
      if (!(err instanceof WebSocketError)) throw err;
      this.receiver.done = true;
      this.broken(err, err.status, err.message.slice(0, 120));
    }
  }

  gone() { this.over(1006, '', false); }

  // ---- called by the receiver ----

  message(bytes, isText) {
    if (this.readyState !== OPEN) return;
    let data = bytes;
    if (isText) data = bytes.toString('utf8');
    else if (this.binaryType === 'arraybuffer') data = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length);
    else if (this.binaryType === 'blob') data = new Blob([bytes]);
    this.dispatchEvent(new MessageEvent(data));
  }

  pinged(bytes) {
    if (this.readyState === OPEN) this.write(encode(PONG, bytes));
  }

  ponged() {}

  closed(code, reason) {
    this.queue = null; // the client takes nothing any more
    if (!this.sentClose) this.write(encodeClose(code === 1005 ? undefined : code, ''));
    this.over(code, reason, true);
  }

  over(code, reason, clean) {
    if (this.readyState === CLOSED) return;
    this.readyState = CLOSED;
    clearTimeout(this.timer);
    if (this.x !== null && !this.x.over) this.x.closeOpaque();
    this.dispatchEvent(new CloseEvent(code, reason, clean));
  }
}

for (const [name, value] of Object.entries({ CONNECTING, OPEN, CLOSING, CLOSED })) {
  Object.defineProperty(ServerWebSocket, name, { value });
  Object.defineProperty(ServerWebSocket.prototype, name, { value });
}
for (const name of ['open', 'message', 'error', 'close']) {
  Object.defineProperty(ServerWebSocket.prototype, `on${name}`, {
    configurable: true,
    get() { return this.handlers[name]; },
    set(handler) {
      if (this.handlers[name] !== null) this.removeEventListener(name, this.handlers[name]);
      this.handlers[name] = typeof handler === 'function' ? handler : null;
      if (this.handlers[name] !== null) this.addEventListener(name, handler);
    },
  });
}

// handshake checks a request (RFC 6455 section 4.2.1) and makes the head of the
// answer, without the empty line. header(name) gives a field of the request, or null.
function handshake(method, header, protocol) {
  if (method !== 'GET') throw new TypeError('a WebSocket begins with GET');
  if ((header('upgrade') || '').toLowerCase() !== 'websocket') throw new TypeError('the request does not ask for a WebSocket');
  if (header('sec-websocket-version') !== '13') throw new TypeError('the request asks for another version of WebSocket than 13');
  const key = header('sec-websocket-key') || '';
  if (!/^[A-Za-z0-9+/]{22}==$/.test(key)) throw new TypeError('Sec-WebSocket-Key is not 16 bytes in base64');
  const offered = (header('sec-websocket-protocol') || '').split(',').map((s) => s.trim());
  if (protocol !== undefined && protocol !== '' && !(TOKEN.test(protocol) && offered.includes(protocol))) {
    throw new TypeError(`the client does not offer the protocol ${protocol}`);
  }
  const accept = crypto.createHash('sha1').update(key + GUID).digest('base64');
  return `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n${
    protocol ? `Sec-WebSocket-Protocol: ${protocol}\r\n` : ''}`;
}

module.exports = { ServerWebSocket, handshake, MAX_PAYLOAD };
