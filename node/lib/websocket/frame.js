'use strict';

// Frames of WebSocket (RFC 6455 section 5), as a server sees them. No I/O.

const { isUtf8 } = require('buffer');

const CONTINUATION = 0;
const TEXT = 1;
const BINARY = 2;
const CLOSE = 8;
const PING = 9;
const PONG = 10;
const MAX_CONTROL = 125; // section 5.5
const EMPTY = Buffer.alloc(0);

// A WebSocketError is the client's fault; `status` is the code of the close
// frame that tells it (section 7.4.1).
class WebSocketError extends Error {
  constructor(status, message) {
    super(message);
    this.name = 'WebSocketError';
    this.status = status;
  }
}

// encode makes one frame. A server does not mask (section 5.1).
function encode(opcode, payload) {
  const n = payload.length;
  const head = n < 126 ? 2 : n < 65536 ? 4 : 10;
  const b = Buffer.allocUnsafe(head + n);
  b[0] = 0x80 | opcode;
  if (head === 2) {
    b[1] = n;
  } else if (head === 4) {
    b[1] = 126;
    b.writeUInt16BE(n, 2);
  } else {
    b[1] = 127;
    b.writeUInt32BE(Math.floor(n / 0x100000000), 2);
    b.writeUInt32BE(n >>> 0, 6);
  }
  b.set(payload, head);
  return b;
}

// validCode says whether a code may come in a close frame (section 7.4).
function validCode(code) {
  return (code >= 1000 && code <= 1014 && code !== 1004 && code !== 1005 && code !== 1006) || (code >= 3000 && code <= 4999);
}

// encodeClose makes a close frame; without a code its payload is empty.
function encodeClose(code, reason) {
  if (code === undefined) return encode(CLOSE, Buffer.alloc(0));
  const text = Buffer.from(reason, 'utf8');
  const payload = Buffer.allocUnsafe(2 + text.length);
  payload.writeUInt16BE(code, 0);
  text.copy(payload, 2);
  return encode(CLOSE, payload);
}

// Receiver takes bytes in pieces of any size and tells its owner of
// message(bytes, isText), pinged(bytes), ponged(bytes) and closed(code, reason). It
// throws a WebSocketError, and takes nothing after that. A message longer than
// maxPayload bytes is refused when its length is known, before it is kept.
class Receiver {
  constructor(owner, maxPayload) {
    this.owner = owner;
    this.maxPayload = maxPayload;
    this.input = new Bytes(); // received and not used
    this.fragments = new Bytes(); // of the message that is not complete
    this.opcode = 0; // of the first fragment; 0: none
    this.done = false; // a close frame has come
  }

  // push takes bytes whose memory is the receiver's from now on.
  push(bytes) {
    if (this.done) return;
    this.input.append(bytes);
    while (!this.done && this.frame());
    this.input.settle();
  }

  // frame handles one frame if all of it is here.
  frame() {
    const first = this.input.rest();
    if (first.length < 2) return false;
    const opcode = first[0] & 0x0f;
    const final = (first[0] & 0x80) !== 0;
    if ((first[0] & 0x70) !== 0) throw new WebSocketError(1002, 'a reserved bit is set');
    if ((first[1] & 0x80) === 0) throw new WebSocketError(1002, 'a frame of a client is not masked');
    let length = first[1] & 0x7f;
    const control = opcode >= CLOSE;
    if (control ? opcode > PONG : opcode > BINARY) throw new WebSocketError(1002, `opcode ${opcode} is not known`);
    if (control && (!final || length > MAX_CONTROL)) throw new WebSocketError(1002, 'a control frame is fragmented or too long');
    if (!control && (opcode === CONTINUATION) !== (this.opcode !== 0)) throw new WebSocketError(1002, 'fragments are out of order');
    let head = 6;
    if (length === 126) {
      if (first.length < 4) return false;
      length = first.readUInt16BE(2);
      head = 8;
    } else if (length === 127) {
      if (first.length < 10) return false;
      length = first.readUInt32BE(2) * 0x100000000 + first.readUInt32BE(6);
      head = 14;
    }
    if (!control && length + this.fragments.length > this.maxPayload) throw new WebSocketError(1009, `a message is longer than ${this.maxPayload} bytes`);
    if (first.length < head + length) return false;
    const payload = first.subarray(head, head + length);
    this.input.skip(head + length);
    unmask(payload, first.subarray(head - 4, head));
    if (control) this.control(opcode, payload);
    else this.data(opcode, final, payload);
    return true;
  }

  data(opcode, final, payload) {
    if (opcode !== CONTINUATION) this.opcode = opcode;
    if (!final || this.fragments.length > 0) this.fragments.append(payload);
    if (!final) return;
    const message = this.fragments.length > 0 ? this.fragments.rest() : payload;
    const text = this.opcode === TEXT;
    this.fragments = new Bytes();
    this.opcode = 0;
    if (text && !isUtf8(message)) throw new WebSocketError(1007, 'a text message is not UTF-8');
    this.owner.message(message, text);
  }

  control(opcode, payload) {
    if (opcode === PING) {
      this.owner.pinged(payload);
    } else if (opcode === PONG) {
      this.owner.ponged(payload);
    } else {
      if (payload.length === 1) throw new WebSocketError(1002, 'a close frame has half a code');
      const code = payload.length === 0 ? 1005 : payload.readUInt16BE(0);
      const reason = payload.subarray(2);
      if (payload.length > 0 && !validCode(code)) throw new WebSocketError(1002, `close code ${code} is not valid`);
      if (!isUtf8(reason)) throw new WebSocketError(1007, 'a close reason is not UTF-8');
      this.done = true;
      this.owner.closed(code, reason.toString('utf8'));
    }
  }
}

// Bytes grows by doubling, so that neither time nor memory depends on how many
// pieces the bytes come in. The first piece is not copied.
class Bytes {
  constructor() {
    this.b = EMPTY;
    this.from = 0;
    this.to = 0;
  }

  get length() { return this.to - this.from; }
  rest() { return this.b.subarray(this.from, this.to); }
  skip(n) { this.from += n; }

  append(bytes) {
    const have = this.length;
    if (have === 0) {
      this.b = bytes;
      this.from = 0;
      this.to = bytes.length;
      return;
    }
    if (this.to + bytes.length > this.b.length) {
      const grown = Buffer.allocUnsafeSlow(2 * (have + bytes.length));
      this.b.copy(grown, 0, this.from, this.to);
      this.b = grown;
      this.from = 0;
      this.to = have;
    }
    bytes.copy(this.b, this.to);
    this.to += bytes.length;
  }

  // settle lets go of memory that is used up.
  settle() {
    if (this.length === 0) this.b = EMPTY;
  }
}

function unmask(b, key) {
  const [k0, k1, k2, k3] = key;
  let i = 0;
  for (const end = b.length - 3; i < end; i += 4) {
    b[i] ^= k0; b[i + 1] ^= k1; b[i + 2] ^= k2; b[i + 3] ^= k3;
  }
  for (let k = 0; i < b.length; i++, k++) b[i] ^= key[k];
}

module.exports = { TEXT, BINARY, CLOSE, PING, PONG, WebSocketError, Receiver, encode, encodeClose, validCode };
