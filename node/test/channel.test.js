'use strict';

// The channel against the recorded vectors: what the daemon sends is read as the
// words say, what this side sends has the recorded bytes, and what must be
// refused is refused.

const test = require('node:test');
const assert = require('node:assert');
const { EventEmitter } = require('node:events');
const frame = require('../lib/channel/frame');
const { Reader } = require('../lib/channel/reader');
const { Writer } = require('../lib/channel/writer');
const { Exchange } = require('../lib/channel/exchange');
const { Loop } = require('../lib/channel/loop');
const vectors = require('./support/vectors');

const { Type, Flag, HEADER } = frame;
const { bytes, text } = vectors;

const flagNames = (bits) => Object.keys(Flag).filter((name) => (bits & Flag[name]) !== 0).sort();
const pairs = (list) => list.filter((_, i) => i % 2 === 0).map((name, i) => [name, list[2 * i + 1]]);
const typeName = (n) => Object.keys(Type).find((name) => Type[name] === n);

// words describes a frame that the daemon sends, with the module's own functions.
function words(type, flags, stream, value, b, start, end) {
  const w = { type: typeName(type), stream, flags: flagNames(flags), value };
  switch (type) {
    case Type.WELCOME:
    case Type.REPLY:
      w.json = frame.json(b, start, end);
      break;
    case Type.REQUEST: {
      const x = new Exchange({ bodyWindow: frame.MAX_WINDOW, window: 0, epoch: 0 }, stream, flags, b, start, end);
      w.method = x.text[0];
      w.method_number = b[start + 6];
      [, w.target, w.authority, w.client, w.local] = x.text;
      w.version = x.version;
      w.registration = x.registration;
      w.request_flags = Object.keys(frame.RequestFlag).filter((name) => (x.requestFlags & frame.RequestFlag[name]) !== 0).sort();
      w.connection = x.connection;
      w.content_length = x.length;
      w.fields = pairs(x.text.slice(5));
      w.body = x.first === null ? '' : x.first.latin1Slice();
      break;
    }
    case Type.DATA:
      w.body = b.latin1Slice(start, end);
      break;
    case Type.TRAILERS:
      w.fields = pairs(frame.trailerStrings(b, start, end));
      break;
    case Type.CANCEL:
      if (end > start) w.body = frame.reason(value, b, start, end);
      break;
    case Type.WINDOW:
      w.increment = frame.increment(b, start, end);
      break;
    case Type.DISCONNECTION:
      w.connection = frame.disconnection(b, start, end);
      break;
    case Type.CONNECTION: {
      const facts = frame.connectionFacts(b, start, end);
      const bytesOf = (s) => Buffer.from(s).latin1Slice();
      w.connection = facts.number;
      w.connection_flags = Object.keys(frame.ConnectionFlag).filter((name) => (facts.flags & frame.ConnectionFlag[name]) !== 0).sort();
      const rest = {
        tls_version: facts.version, cipher_suite: facts.cipherSuite, group: facts.group,
        verdict: facts.verdict, verdict_code: facts.verdictCode, presented: facts.presented,
        server_name: bytesOf(facts.serverName), protocol: bytesOf(facts.protocol),
        verdict_name: bytesOf(facts.verdictName), verdict_text: bytesOf(facts.verdictText),
        registration: facts.registration, client: facts.client, local: facts.local,
        certificates: facts.certificates.map((der) => der.latin1Slice()), chains: facts.chains,
      };
      for (const [key, value] of Object.entries(rest)) if (value && value.length !== 0) w[key] = value;
      break;
    }
    default:
  }
  return w;
}

// expected brings the recorded words into the same shape.
function expected(recorded) {
  const w = { ...recorded, flags: [...recorded.flags].sort() };
  for (const key of ['request_flags', 'connection_flags']) if (w[key]) w[key] = [...w[key]].sort();
  for (const key of ['body', 'method', 'target', 'authority', 'client', 'local']) if (key in w) w[key] = text(w[key]);
  if (w.fields) w.fields = w.fields.map(([name, value]) => [text(name), text(value)]);
  // JavaScript's numbers hold 2^53; the highest numbers of the vectors are rounded on both sides.
  for (const key of ['connection', 'content_length']) if (key in w) w[key] = Number(w[key]);
  return w;
}

const fromDaemon = new Set(['WELCOME', 'REPLY', 'REQUEST', 'DATA', 'TRAILERS', 'WINDOW', 'CANCEL', 'GOAWAY',
  'CONNECTION', 'DISCONNECTION', 'AHEAD']);

function collector() {
  const got = [];
  return { got, frame(...args) { got.push(words(...args)); }, resumed(run) { run(); } };
}

test('frames of the daemon are read as their words say', async (t) => {
  for (const v of vectors.frames) {
    const parts = v.frame.flags.includes('MORE') || (v.frame.type === 'REPLY' && 'text' in v.frame);
    if (!fromDaemon.has(v.frame.type) || parts) continue;
    if (v.frame.flags.includes('CREDIT') || v.frame.flags.includes('PIECES')) continue; // only applications send that
    await t.test(v.name, () => {
      const receiver = collector();
      new Reader(receiver).push(bytes(v.hex));
      assert.deepStrictEqual(receiver.got, [expected(v.frame)]);
    });
  }
});

test('frames may be cut and joined at any byte', () => {
  const list = vectors.frames.filter((v) => ['REQUEST', 'DATA', 'WINDOW', 'CANCEL'].includes(v.frame.type) && bytes(v.hex).length < 400 &&
    !v.frame.flags.includes('CREDIT') && !v.frame.flags.includes('PIECES'));
  const all = Buffer.concat(list.map((v) => bytes(v.hex)));
  const want = list.map((v) => expected(v.frame));
  for (let cut = 0; cut <= all.length; cut++) {
    const receiver = collector();
    const reader = new Reader(receiver);
    reader.push(all.subarray(0, cut));
    reader.push(all.subarray(cut));
    assert.deepStrictEqual(receiver.got, want, `cut at ${cut}`);
  }
  const receiver = collector();
  const reader = new Reader(receiver);
  for (let i = 0; i < all.length; i++) reader.push(all.subarray(i, i + 1));
  assert.deepStrictEqual(receiver.got, want, 'byte by byte');
});

test('what must be refused is refused', async (t) => {
  for (const v of vectors.invalid) {
    const b = bytes(v.hex);
    const headerOnly = ['too_long', 'type', 'flags', 'stream', 'value'].includes(v.error);
    if (!headerOnly && (!fromDaemon.has(typeName(b[8])) || (b[9] & Flag.PIECES) !== 0)) continue;
    await t.test(v.name, () => {
      const loop = quietLoop();
      const reader = new Reader({ frame: (...args) => { words(...args); loop.frame(...args); }, resumed() {} });
      assert.throws(() => {
        if (headerOnly) frame.checkHeader(b, 0);
        else reader.push(b);
      }, { code: 'ERR_HTTPSYS_PROTOCOL', kind: v.error });
      reader.stop();
    });
  }
});

// A socket that keeps what is written.
class Memory extends EventEmitter {
  constructor() {
    super();
    this.chunks = [];
    this.corked = 0;
    this.writes = 0; // that a socket would have made
    this.writableLength = 0;
    this.writableHighWaterMark = 16384;
  }

  write(b, callback) {
    this.chunks.push(Buffer.from(b));
    if (this.corked > 0) this.writableLength += b.length;
    else this.writes++;
    if (callback) process.nextTick(callback);
    return b.length < this.writableHighWaterMark;
  }

  cork() { this.corked++; }
  uncork() { this.corked--; this.writableLength = 0; this.writes++; }
  destroy() {}
}

// quietLoop is a loop without a daemon.
function quietLoop() {
  const loop = Object.create(Loop.prototype);
  const socket = new Memory();
  Object.assign(loop, { owner: { loopFailed() {} }, bodyWindow: 65536, window: frame.MAX_WINDOW, streams: [], connections: new Map(), open: 0, owed: 0, epoch: 1,
    ready: true, dead: false, socket });
  loop.out = new Writer(socket, () => loop.payCredit());
  loop.written = () => { loop.out.flush(); return Buffer.concat(socket.chunks); };
  return loop;
}

// putPieces writes a body that is made of pieces.
function putPieces(x, w) {
  for (const p of w.pieces || []) {
    if ('fragment' in p) x.fragment(Buffer.from(p.fragment, 'latin1'), Number(p.offset), Number(p.length));
    else x.body(text(p.bytes), 'latin1', null);
  }
}

// request is one in HTTP/1.1 without fields; method is its number on the channel.
function request(loop, stream, flags, method) {
  const head = Buffer.alloc(32 + 5);
  head[0] = 5;
  head[6] = method;
  head[7] = 11;
  return new Exchange(loop, stream, flags, head, 0, head.length);
}

// begin opens a stream as the daemon would; credited says whether its end gives
// the credit back.
function begin(loop, stream, credited) {
  const x = request(loop, stream, Flag.END, 1);
  x.epoch = credited ? loop.epoch : -1;
  loop.streams[stream] = x;
  return x;
}

test('what this side sends has the recorded bytes', async (t) => {
  const send = {
    HELLO: (w) => frame.encodeJSON(Type.HELLO, 0, w.json),
    CALL: (w) => frame.encodeJSON(Type.CALL, w.stream, w.json),
    RESPONSE(w) {
      const loop = quietLoop();
      const x = begin(loop, w.stream, w.flags.includes('CREDIT'));
      const body = Buffer.from(text(w.body || ''), 'latin1');
      const fields = (w.fields || []).flat();
      if (w.flags.includes('OPAQUE')) x.turnOpaque(Buffer.from(w.text || ''), w.value);
      else if ('text' in w && w.value === 0) x.respondText(w.text, 'latin1', w.text.length, null);
      else if ('text' in w) x.respondBytes(Buffer.from(w.text), Flag.TEXT, w.value, 0);
      else x.respondFields(w.value, w.reason, fields);
      if (body.length > 0) x.body(body, null, null);
      putPieces(x, w);
      if (w.flags.includes('END')) x.end();
      return loop.written();
    },
    TRAILERS(w) {
      const loop = quietLoop();
      const x = begin(loop, w.stream, w.flags.includes('CREDIT'));
      x.endWithTrailers(w.fields.flat());
      return loop.written();
    },
    DATA(w) {
      const loop = quietLoop();
      const x = begin(loop, w.stream, w.flags.includes('CREDIT'));
      if (w.body) x.body(text(w.body), 'latin1', null);
      putPieces(x, w);
      if (w.flags.includes('END')) x.end();
      return loop.written();
    },
    WINDOW(w) {
      const loop = quietLoop();
      loop.out.small(Type.WINDOW, 0, w.stream, 0, w.increment);
      return loop.written();
    },
    CREDIT(w) {
      const loop = quietLoop();
      loop.owed = w.increment;
      loop.payCredit();
      return loop.written();
    },
    CANCEL(w) {
      const loop = quietLoop();
      begin(loop, w.stream, w.flags.includes('CREDIT')).cancel(w.value);
      return loop.written();
    },
    GOAWAY: () => frame.encode(Type.GOAWAY, 0, 0, 0, Buffer.alloc(0)),
  };
  for (const v of vectors.frames) {
    const w = v.frame;
    if (!(w.type in send)) continue;
    if (w.type === 'CANCEL' && w.value > 1 || w.type === 'GOAWAY' && w.value > 0) continue; // only the daemon says that
    if (w.flags.includes('SOCKET')) continue; // this side cannot receive descriptors
    // This side sends no pieces without need, no empty ones, and no numbers beyond 2^53.
    if ('pieces' in w && (w.pieces.length === 0 || w.pieces.some((p) => p.bytes === '' || Number(p.offset) > Number.MAX_SAFE_INTEGER))) continue;
    if (w.type === 'RESPONSE' && w.flags.includes('OPAQUE') && !('text' in w) && w.value !== 0) continue; // this side uses text there
    if (w.type === 'RESPONSE' && w.flags.includes('OPAQUE') && w.flags.includes('CREDIT')) continue;
    if (text(w.body || '').length > 65536) continue; // longer bodies are cut into pieces
    await t.test(v.name, () => {
      const got = send[w.type](w);
      if ('json' in w) {
        const [a, b] = [got, bytes(v.hex)].map((x) => [x.subarray(4, HEADER), JSON.parse(x.subarray(HEADER))]);
        assert.deepStrictEqual(a, b);
      } else {
        assert.strictEqual(got.toString('hex'), bytes(v.hex).toString('hex'));
      }
    });
  }
});

test('a fragment is brought in the recorded frames', () => {
  const name = Buffer.from('http://+:8080/app/menu');
  const frames = frame.encodeFragment(3, 60000, name, Buffer.from('red blue'), Buffer.from('<ul></ul>'));
  const recorded = vectors.frames.find((v) => v.name === 'fragment');
  assert.strictEqual(Buffer.concat(frames).toString('hex'), bytes(recorded.hex).toString('hex'));
  const long = frame.encodeFragment(3, 0, name, Buffer.alloc(0), Buffer.alloc(600000, 'x'));
  assert.deepStrictEqual(long.map((b) => b[9] & Flag.MORE), [Flag.MORE, Flag.MORE, 0]);
  for (const b of long) frame.checkHeader(b, 0);
});

test('a response of pieces keeps to its window', () => {
  const loop = quietLoop();
  loop.window = 300;
  const x = begin(loop, 1, true);
  x.respondText('HTTP/1.1 200 OK\r\n\r\nab', 'latin1', 19, null);
  const name = Buffer.from('n');
  assert.strictEqual(x.fragment(name, 0, -1), true);
  assert.strictEqual(x.fragment(name, 0, -1), false, 'held');
  x.body('cd', 'latin1', null);
  x.end();
  const first = loop.written().length;
  x.widen(255);
  const second = loop.written();
  assert.strictEqual(x.over, true);
  const bodies = [];
  new Reader({ frame: (type, flags, _st, _v, b, s, e) => bodies.push([typeName(type), flagNames(flags), b.latin1Slice(type === Type.RESPONSE ? s + 27 : s, e)]) }).push(second);
  const ref = frame.pieceOf(name, 0, -1).latin1Slice();
  assert.strictEqual(first < second.length, true);
  assert.deepStrictEqual(bodies, [
    ['RESPONSE', ['PIECES', 'TEXT'], `\x02\0\0\0ab${ref}`],
    ['DATA', ['CREDIT', 'END', 'PIECES'], `${ref}\x02\0\0\0cd`],
  ]);
});

test('the end of an answer stays behind what was granted before it', () => {
  const loop = quietLoop();
  loop.bodyWindow = 100;
  const x = request(loop, 1, 0, 3);
  loop.streams[1] = x;
  loop.open = 2;
  loop.owed = 1;
  x.respondText('HTTP/1.1 200 OK\r\n\r\nab', 'utf8', 19, null);
  x.data(Buffer.alloc(60), 0, 60, 0); // of which half a window is granted again
  x.data(Buffer.alloc(0), 0, 0, Flag.END);
  x.end();
  const frames = [];
  new Reader({ frame: (type, flags) => frames.push([typeName(type), flagNames(flags).join()]) }).push(loop.written());
  assert.deepStrictEqual(frames, [['RESPONSE', 'TEXT'], ['WINDOW', ''], ['DATA', 'CREDIT,END']]);
});

test('an answer made in several calls is one frame while nothing lies behind it', () => {
  const loop = quietLoop();
  const x = begin(loop, 1, true);
  x.respondText('HTTP/1.1 200 OK\r\n\r\nab', 'utf8', 19, null);
  x.body('cd', 'utf8', null);
  x.body(Buffer.from('ef'), null, null);
  const y = begin(loop, 2, true);
  y.respondText('HTTP/1.1 204 No Content\r\n\r\n', 'latin1', 27, null);
  x.end(); // still in the slab: only its flags change
  y.end();
  const b = loop.written();
  const types = [];
  new Reader({ frame: (type, flags, stream, _value, bb, s, e) => types.push([typeName(type), stream, flagNames(flags), bb.latin1Slice(s + 8, e).slice(-6)]) }).push(b);
  assert.deepStrictEqual(types, [
    ['RESPONSE', 1, ['CREDIT', 'END', 'TEXT'], 'abcdef'],
    ['RESPONSE', 2, ['CREDIT', 'END', 'TEXT'], 'nt\r\n\r\n'],
  ]);
});

test('a response never overdraws its window', () => {
  const loop = quietLoop();
  loop.window = 10;
  const x = begin(loop, 1, true);
  let accepted = 0;
  x.respondText('HTTP/1.1 200 OK\r\n\r\n', 'latin1', 19, null);
  assert.strictEqual(x.body('0123456', 'latin1', null), true);
  assert.strictEqual(x.body(Buffer.from('789abcdef'), null, () => accepted++), false);
  assert.strictEqual(x.body('ghi', 'latin1', null), false);
  x.end();
  const seen = [];
  const look = () => {
    const b = loop.written();
    seen.length = 0;
    new Reader({ frame: (type, flags, _st, _v, bb, s, e) => seen.push([typeName(type), bb.latin1Slice(type === Type.RESPONSE ? s + 27 : s, e), flags & Flag.END]) }).push(b);
    return seen;
  };
  assert.deepStrictEqual(look(), [['RESPONSE', '0123456789', 0]]);
  x.widen(4);
  assert.deepStrictEqual(look()[1], ['DATA', 'abcd', 0]);
  x.widen(100);
  assert.deepStrictEqual(look().slice(2), [['DATA', 'efghi', 1]]);
  assert.strictEqual(x.over, true);
});

test('request bytes are granted again by half windows, and not while they are held', () => {
  const loop = quietLoop();
  loop.bodyWindow = 100;
  const x = request(loop, 1, 0, 3);
  x.epoch = -1;
  let take = true;
  x.bodyChunk = () => take;
  const piece = Buffer.alloc(40);
  x.data(piece, 0, 40, 0);
  assert.strictEqual(loop.written().length, 0);
  take = false;
  x.data(piece, 0, 40, 0);
  assert.strictEqual(loop.written().length, 0, 'held: nothing is granted');
  assert.throws(() => x.data(piece, 0, 21, 0), { code: 'ERR_HTTPSYS_PROTOCOL' });
  x.readMore();
  // What was taken, and the first of three windows more.
  assert.strictEqual(loop.written().toString('hex'), '040000000100000015000000' + 'b4000000');
  take = true;
  x.data(piece, 0, 40, 0);
  x.data(piece, 0, 40, 0);
  x.data(piece, 0, 40, 0); // half of 200
  assert.strictEqual(loop.written().toString('hex').slice(32), '040000000100000015000000' + 'dc000000');
});

test('a long body frame is handed on as it comes', () => {
  const body = Buffer.alloc(40000, 'abcdefg');
  const all = Buffer.concat([frame.encode(Type.DATA, Flag.END, 7, 0, body), frame.encode(Type.WINDOW, 0, 7, 0, Buffer.from([1, 0, 0, 0]))]);
  for (const size of [1, 11, 12, 13, 999, 16384, 40011, 40012, 40013]) {
    const pieces = [];
    const others = [];
    const ends = [];
    const reader = new Reader({
      frame(type, flags, stream, value, b, start, end) {
        assert.strictEqual(stream, 7);
        if (type !== Type.DATA) {
          others.push(type);
          return;
        }
        pieces.push(Buffer.from(b.subarray(start, end)));
        ends.push((flags & Flag.END) !== 0);
      },
      resumed(run) { run(); },
    });
    for (let at = 0; at < all.length; at += size) reader.push(all.subarray(at, at + size));
    assert.ok(Buffer.concat(pieces).equals(body), `cut every ${size} bytes`);
    assert.deepStrictEqual(ends, ends.map((_, i) => i === ends.length - 1));
    assert.deepStrictEqual(others, [Type.WINDOW]);
    reader.stop();
  }
});

// framesOf cuts what was written: [type, flags, length, bytes].
function framesOf(b) {
  const list = [];
  for (let at = 0; at < b.length;) {
    const length = b.readUInt32LE(at);
    list.push([typeName(b[at + 8]), flagNames(b[at + 9]), length, b.subarray(at + HEADER, at + HEADER + length)]);
    at += HEADER + length;
  }
  return list;
}

test('a long body is one write, in the frame of its head', async () => {
  const loop = quietLoop();
  const { out, socket } = loop;
  const { slab } = out;
  const x = begin(loop, 1, false);
  const head = 'HTTP/1.1 200 OK\r\n\r\n';
  const body = Buffer.alloc(150000, 'abcdefg');
  x.respondText(head, 'latin1', head.length, null);
  let taken = 0;
  assert.strictEqual(x.body(body, null, () => { taken++; }), false, 'more should wait');
  x.end();
  const other = begin(loop, 2, false); // a short answer in the same batch
  other.respondText(`${head}x`, 'latin1', head.length, null);
  other.end();
  assert.strictEqual(socket.chunks.length, 0, 'all of it waits for the end of the batch');
  const frames = framesOf(loop.written());
  assert.deepStrictEqual(frames.map(([type, flags, length]) => [type, flags.includes('END'), length]), [
    ['RESPONSE', true, 8 + head.length + 150000], ['RESPONSE', true, 8 + head.length + 1]]);
  assert.ok(frames[0][3].subarray(8 + head.length).equals(body));
  assert.strictEqual(socket.writes, 1);
  assert.strictEqual(out.slab, slab, 'the slab can be used again');
  await new Promise(setImmediate);
  assert.strictEqual(taken, 1);
});

test('what is more than the socket takes at once does not wait', () => {
  const loop = quietLoop();
  const x = begin(loop, 1, false);
  const head = 'HTTP/1.1 200 OK\r\n\r\n';
  x.respondText(head, 'latin1', head.length, null);
  const body = Buffer.alloc(300000, 'abcdefg');
  x.body(body, null, null);
  assert.ok(loop.socket.chunks.length > 0);
  x.body(Buffer.from('and'), null, null);
  x.body(Buffer.alloc(9000, 'y'), null, null);
  x.body(Buffer.from('end'), null, null); // not behind bytes that are not in the slab
  x.end();
  const frames = framesOf(loop.written());
  const all = Buffer.concat(frames.map(([type, , , b]) => (type === 'RESPONSE' ? b.subarray(8 + head.length) : b)));
  assert.ok(all.equals(Buffer.concat([body, Buffer.from('and'), Buffer.alloc(9000, 'y'), Buffer.from('end')])));
  assert.deepStrictEqual(frames.map(([, flags]) => flags.includes('END')), frames.map((_, i) => i === frames.length - 1));
});

test('what was gathered for a daemon that is gone is dropped', () => {
  const loop = quietLoop();
  const x = begin(loop, 1, false);
  x.respondText('HTTP/1.1 200 OK\r\n\r\n', 'latin1', 19, null);
  x.body(Buffer.alloc(100000), null, null);
  loop.out.close();
  x.body(Buffer.alloc(100000), null, null);
  x.end();
  assert.strictEqual(loop.written().length, 0);
});

test('a receiver that throws does not cost the frames behind it', async () => {
  const seen = [];
  let broken = true;
  const receiver = {
    frame(type, flags, stream) {
      seen.push(stream);
      if (stream === 2 && broken) { broken = false; throw new Error('listener'); }
    },
    resumed(run) { run(); },
  };
  const reader = new Reader(receiver);
  const cancel = (n) => frame.encode(Type.CANCEL, 0, n, 0, Buffer.alloc(0));
  assert.throws(() => reader.push(Buffer.concat([cancel(1), cancel(2), cancel(3)])), /listener/);
  reader.push(cancel(4));
  assert.deepStrictEqual(seen, [1, 2]);
  await new Promise(setImmediate);
  assert.deepStrictEqual(seen, [1, 2, 3, 4], 'in order');
});

test('an exchange that is over does not turn opaque: its number may be another\'s', () => {
  const x = Object.create(Exchange.prototype);
  x.over = true;
  x.respondBytes = () => assert.fail('a frame for a stream that is not there');
  x.turnOpaque(Buffer.alloc(0), 0);
});
