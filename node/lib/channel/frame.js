'use strict';

// Frames of the channel as docs/channel.md defines them: numbers, the layout of
// the header, and the checks that every received frame must pass. No I/O.

const VERSION = 1;
const HEADER = 12;
const MAX_PAYLOAD = 262144;
const MAX_WINDOW = 0x7fffffff;
const REQUEST_FIXED = 32;
const RESPONSE_FIXED = 8;
const CONNECTION_FIXED = 32;
const FRAGMENT_FIXED = 16;
const MAX_FRAGMENT_NAME = 4096;
const MAX_FRAGMENT_TAGS = 16384;
const PIECE_COST = 256; // what a piece that names a fragment takes from the window

const Type = Object.freeze({
  HELLO: 0x01, WELCOME: 0x02, CALL: 0x03, REPLY: 0x04,
  REQUEST: 0x10, RESPONSE: 0x11, DATA: 0x12, TRAILERS: 0x13, FILE: 0x14,
  WINDOW: 0x15, CANCEL: 0x16, CREDIT: 0x17, GOAWAY: 0x18,
  CONNECTION: 0x19, DISCONNECTION: 0x1a,
  SOCKET: 0x1b, FRAGMENT: 0x1c, AHEAD: 0x1d,
});

const Flag = Object.freeze({ END: 0x01, TEXT: 0x02, OPAQUE: 0x04, MORE: 0x08, SOCKET: 0x10, PIECES: 0x20, CREDIT: 0x80 });

// RequestFlag are the bits of the request flags (docs/channel.md section 4).
const RequestFlag = Object.freeze({ TLS: 1, CONTINUE: 2, UPGRADE: 4, RAW: 8, AHEAD: 16 });

// ConnectionFlag are the flags of a CONNECTION (section 4.1).
const ConnectionFlag = Object.freeze({ RESUMED: 1, ASKED: 2, TRUNCATED: 4, ACCEPTED: 8, PROGRAM: 16 });

// Cancel are the reasons of a CANCEL from the daemon (section 7).
const Cancel = Object.freeze({ ABORT: 0, GONE: 1, HALF_CLOSED: 2, BODY: 3, REFUSED: 4 });

const METHODS = Object.freeze([
  '', 'GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH',
]);

// rules[type]: the flags that the type defines, whether its stream must be 0
// (-1), must not be 0 (1) or may be either (0), and the highest value.
const rules = [];
const rule = (type, flags, stream, value) => { rules[type] = { flags, stream, value }; };
rule(Type.HELLO, 0, -1, 0);
rule(Type.WELCOME, 0, -1, 0);
rule(Type.CALL, 0, 1, 0);
rule(Type.REPLY, Flag.MORE, 0, 0);
rule(Type.REQUEST, Flag.END, 1, 0);
rule(Type.RESPONSE, Flag.END | Flag.TEXT | Flag.OPAQUE | Flag.SOCKET | Flag.PIECES | Flag.CREDIT, 1, 999);
rule(Type.DATA, Flag.END | Flag.PIECES | Flag.CREDIT, 1, 0);
rule(Type.TRAILERS, Flag.CREDIT, 1, 0);
rule(Type.FILE, Flag.END | Flag.CREDIT, 1, 0);
rule(Type.WINDOW, 0, 1, 0);
rule(Type.CANCEL, Flag.CREDIT, 1, Cancel.REFUSED);
rule(Type.CREDIT, 0, -1, 0);
rule(Type.GOAWAY, 0, -1, 1);
rule(Type.CONNECTION, 0, -1, 0);
rule(Type.DISCONNECTION, 0, -1, 1);
rule(Type.SOCKET, 0, 1, 1);
rule(Type.AHEAD, 0, 1, 0);
rule(Type.FRAGMENT, Flag.MORE, 1, 0);

// A ProtocolError is the peer's fault and ends the connection. `kind` is one of
// the words of the test vectors.
class ProtocolError extends Error {
  constructor(kind, message) {
    super(`httpsys channel: ${message}`);
    this.name = 'ProtocolError';
    this.code = 'ERR_HTTPSYS_PROTOCOL';
    this.kind = kind;
  }
}

function u16(b, i) { return b[i] | b[i + 1] << 8; }
function u32(b, i) { return (b[i] | b[i + 1] << 8 | b[i + 2] << 16 | b[i + 3] << 24) >>> 0; }

// checkHeader refuses a header that no sender may send, in the order of
// section 10: length, type, flags, stream, value.
function checkHeader(b, at) {
  if (u32(b, at) > MAX_PAYLOAD) throw new ProtocolError('too_long', `a frame is longer than ${MAX_PAYLOAD} bytes`);
  const type = b[at + 8];
  const r = rules[type];
  if (r === undefined) throw new ProtocolError('type', `there is no frame type ${type}`);
  const flags = b[at + 9];
  if ((flags & ~r.flags) !== 0 || (flags & (Flag.SOCKET | Flag.OPAQUE)) === Flag.SOCKET ||
    (flags & (Flag.PIECES | Flag.OPAQUE)) === (Flag.PIECES | Flag.OPAQUE)) throw new ProtocolError('flags', `frame type ${type} with flags ${flags}`);
  if (r.stream !== 0) {
    const zero = (b[at + 4] | b[at + 5] | b[at + 6] | b[at + 7]) === 0;
    if (zero !== (r.stream === -1)) throw new ProtocolError('stream', `frame type ${type} on the wrong stream`);
  }
  const value = u16(b, at + 10);
  if (value > r.value) throw new ProtocolError('value', `frame type ${type} with value ${value}`);
  if (type === Type.RESPONSE && value < 100 && !(value === 0 && (flags & (Flag.TEXT | Flag.OPAQUE)) !== 0)) {
    throw new ProtocolError('value', `status ${value}`);
  }
}

function putHeader(b, at, length, stream, type, flags, value) {
  b[at] = length; b[at + 1] = length >>> 8; b[at + 2] = length >>> 16; b[at + 3] = length >>> 24;
  b[at + 4] = stream; b[at + 5] = stream >>> 8; b[at + 6] = stream >>> 16; b[at + 7] = stream >>> 24;
  b[at + 8] = type; b[at + 9] = flags; b[at + 10] = value; b[at + 11] = value >>> 8;
}

// encode makes one frame; for what is rare.
function encode(type, flags, stream, value, payload) {
  const b = Buffer.allocUnsafe(HEADER + payload.length);
  putHeader(b, 0, payload.length, stream, type, flags, value);
  payload.copy(b, HEADER);
  return b;
}

function encodeJSON(type, stream, message) {
  return encode(type, 0, stream, 0, Buffer.from(JSON.stringify(message)));
}

// increment reads the payload of WINDOW and CREDIT.
function increment(b, start, end) {
  if (end - start !== 4) throw new ProtocolError('payload', 'a number of the wrong size');
  const n = u32(b, start);
  if (n === 0 || n > MAX_WINDOW) throw new ProtocolError('payload', `an increment of ${n}`);
  return n;
}

// encodeFragment makes the frames of a fragment (docs/channel.md section 3.5). ttl is in milliseconds; name and tags are Buffers.
function encodeFragment(stream, ttl, name, tags, data) {
  const head = Buffer.alloc(FRAGMENT_FIXED);
  head.writeBigUInt64LE(BigInt(ttl));
  head.writeUInt32LE(name.length, 8);
  head.writeUInt32LE(tags.length, 12);
  const all = Buffer.concat([head, name, tags, data]);
  const frames = [];
  for (let at = 0; at === 0 || at < all.length; at += MAX_PAYLOAD) {
    const part = all.subarray(at, at + MAX_PAYLOAD);
    frames.push(encode(Type.FRAGMENT, at + MAX_PAYLOAD < all.length ? Flag.MORE : 0, stream, 0, part));
  }
  return frames;
}

// pieceOf is the piece of a body that names a fragment (section 5.1). length -1: to its end.
function pieceOf(name, offset, length) {
  const b = Buffer.allocUnsafe(20 + name.length);
  b.writeUInt32LE((16 + name.length | 0x80000000) >>> 0);
  b.writeBigInt64LE(BigInt(offset), 4);
  b.writeBigInt64LE(BigInt(length), 12);
  name.copy(b, 20);
  return b;
}

// MAX_REASON is how long the text of a refusal may be.
const MAX_REASON = 255;

// reason reads the payload of CANCEL: why a response was refused, else nothing.
function reason(value, b, start, end) {
  if (end > start && (value !== Cancel.REFUSED || end - start > MAX_REASON)) throw new ProtocolError('payload', 'CANCEL with a payload');
  return b.utf8Slice(start, end);
}

// strings cuts a block of `count` strings, each ended by a NUL byte.
function strings(b, start, end, count) {
  if (count === 0 && start === end) return [];
  if (start === end || b[end - 1] !== 0) throw new ProtocolError('field', 'the last string of a block does not end');
  const list = b.latin1Slice(start, end - 1).split('\0');
  if (list.length !== count) throw new ProtocolError('field', `${list.length} strings where ${count} were announced`);
  return list;
}

// requestStrings checks the head of a REQUEST and returns its text: method,
// target, authority, client, local address, then names and values.
function requestStrings(b, start, end) {
  if (end - start < REQUEST_FIXED) throw new ProtocolError('payload', 'a request shorter than its fixed part');
  const length = u32(b, start);
  if (length > end - start - REQUEST_FIXED) throw new ProtocolError('payload', 'a request head longer than its frame');
  if (b[start + 6] >= METHODS.length) throw new ProtocolError('payload', `method number ${b[start + 6]}`);
  if ((b[start + 31] & 0x80) !== 0 && !isMinusOne(b, start + 24)) {
    throw new ProtocolError('payload', 'a negative content length');
  }
  const text = start + REQUEST_FIXED;
  return strings(b, text, text + length, 5 + 2 * u16(b, start + 4));
}

function isMinusOne(b, at) {
  for (let i = 0; i < 8; i++) if (b[at + i] !== 0xff) return false;
  return true;
}

// trailerStrings reads the payload of TRAILERS.
function trailerStrings(b, start, end) {
  if (end - start < 4 || b[start + 2] !== 0 || b[start + 3] !== 0) {
    throw new ProtocolError('payload', 'trailers without their fixed part');
  }
  return strings(b, start + 4, end, 2 * u16(b, start));
}

// number reads 64 bits. JavaScript's numbers hold 53 of them exactly, which no
// daemon lives long enough to count beyond.
function number(b, at) { return u32(b, at) + u32(b, at + 4) * 0x100000000; }

// disconnection reads the payload of DISCONNECTION: the number of a connection.
function disconnection(b, start, end) {
  if (end - start !== 8) throw new ProtocolError('payload', 'DISCONNECTION of the wrong size');
  return number(b, start);
}

// The bounds of a CONNECTION.
const MAX_TEXT = 4096;
const MAX_CERTIFICATES = 64;
const MAX_CHAINS = 16;
const MAX_CHAIN = 32;

// connectionFacts reads the payload of CONNECTION: what the daemon knows of a
// client's connection. version 0 is a plain one. An accepted one has just come, to
// `registration`, between the addresses `client` and `local`. certificates are Buffers with
// DER: the first `presented` are the client's, its own first; chains, lists of
// indices of certificates, lead from it to an authority that is trusted.
function connectionFacts(b, start, end) {
  const bad = (message) => new ProtocolError('payload', `CONNECTION with ${message}`);
  if (end - start < CONNECTION_FIXED) throw bad('less than its fixed part');
  const length = u32(b, start + 20);
  const count = b[start + 24];
  const presented = b[start + 25];
  const chainCount = b[start + 26];
  let at = start + CONNECTION_FIXED;
  if (length > MAX_TEXT || length > end - at || presented > count) throw bad('numbers that do not fit');
  const accepted = (b[start + 14] & ConnectionFlag.ACCEPTED) !== 0;
  const registration = u32(b, start + 28);
  if (b[start + 27] !== 0 || (registration !== 0 && !accepted)) throw bad('bytes that are not used');
  strings(b, at, at + length, accepted ? 6 : 4); // as bytes: UTF-8 has no NUL in other characters
  const [serverName, protocol, verdictName, verdictText, client, local] = b.utf8Slice(at, at + length).split('\0');
  at += length;
  if (count > MAX_CERTIFICATES || chainCount > MAX_CHAINS) throw bad('too many certificates or chains');
  const certificates = [];
  for (let i = 0; i < count; i++) {
    if (end - at < 4 || u32(b, at) > end - at - 4) throw bad('a certificate that is cut off');
    const next = at + 4 + u32(b, at);
    certificates.push(Buffer.from(b.subarray(at + 4, next)));
    at = next;
  }
  const chains = [];
  for (let i = 0; i < chainCount; i++) {
    const n = at < end ? b[at] : 0;
    if (n === 0 || n > MAX_CHAIN || n > end - at - 1) throw bad('a chain that is cut off');
    const chain = Array.from(b.subarray(at + 1, at + 1 + n));
    if (chain.some((index) => index >= count)) throw bad('a chain to nowhere');
    chains.push(chain);
    at += 1 + n;
  }
  if (at !== end) throw bad('bytes behind its end');
  return {
    number: number(b, start), version: u16(b, start + 8), cipherSuite: u16(b, start + 10), group: u16(b, start + 12),
    flags: b[start + 14], verdict: b[start + 15], verdictCode: u32(b, start + 16),
    serverName, protocol, verdictName, verdictText, certificates, presented, chains,
    accepted, registration, client, local,
  };
}

function json(b, start, end) {
  try {
    const v = JSON.parse(b.utf8Slice(start, end));
    if (v !== null && typeof v === 'object') return v;
  } catch { /* said below */ }
  throw new ProtocolError('payload', 'a payload that is not a JSON object');
}

module.exports = {
  VERSION, HEADER, MAX_PAYLOAD, MAX_WINDOW, REQUEST_FIXED, RESPONSE_FIXED, MAX_FRAGMENT_NAME, MAX_FRAGMENT_TAGS, PIECE_COST, Type, Flag, RequestFlag, ConnectionFlag,
  Cancel, METHODS,
  ProtocolError, u16, u32, checkHeader, putHeader, encode, encodeJSON, encodeFragment, pieceOf, increment, reason, strings, requestStrings,
  trailerStrings, json, connectionFacts, disconnection,
};
