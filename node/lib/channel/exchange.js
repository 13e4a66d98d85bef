'use strict';

// Exchange is one request on its loop connection as the channel sees it: what
// may be sent in each direction, and how it ends. What a request means is the
// business of the classes that extend it; they override
//
//   bodyChunk(buffer)     bytes of the request body; false: no more for now
//   bodyEnd(trailers)     the request is complete; trailers: [name, value, …]
//   cancelled(reason)     CANCEL from the daemon
//   ahead()               the client sends more, and has no answer yet
//   lost()                the connection to the daemon is gone
//   writable()            held writes went out: more may be written
//
// The request body is granted by the window: what bodyChunk took is given back,
// what it held is not until readMore is called.

const { HEADER, MAX_PAYLOAD, MAX_WINDOW, RESPONSE_FIXED, REQUEST_FIXED, PIECE_COST, Type, Flag, ProtocolError, u32,
  requestStrings, pieceOf } = require('./frame');
const { COPY_LIMIT } = require('./writer');
const { refused } = require('../errors');

const SMALL = 16384; // a string that is certainly shorter is written straight into the slab
const WIDEN = 3; // windows that are added to that of a body which is read quickly
const EMPTY = Buffer.alloc(0);

class Exchange {
  constructor(loop, id, flags, b, start, end) {
    this.loop = loop;
    this.id = id;

    const text = requestStrings(b, start, end);
    this.text = text; // method, target, authority, client, local, name, value, …
    this.version = b[start + 7];
    this.registration = u32(b, start + 8);
    this.requestFlags = u32(b, start + 12);
    this.connection = u32(b, start + 16) + u32(b, start + 20) * 0x100000000;
    this.length = u32(b, start + 28) === 0xffffffff ? -1 : u32(b, start + 24) + u32(b, start + 28) * 0x100000000;
    const body = start + REQUEST_FIXED + u32(b, start);
    this.first = body < end ? Buffer.from(b.subarray(body, end)) : null;

    // The request direction.
    this.complete = (flags & Flag.END) !== 0;
    this.granted = loop.bodyWindow - (end - body); // what the daemon may still send
    this.taken = 0; // bytes taken and not granted again
    this.holding = false;
    this.unwanted = false; // what still comes is dropped
    this.widened = 0; // see grant
    if (this.granted < 0) throw new ProtocolError('payload', 'more body than the window allows');

    // The response direction.
    this.window = loop.window;
    this.headSent = false;
    this.opaque = false;
    this.over = false; // our last frame was sent: the number may be another's now
    this.epoch = loop.epoch; // see Loop.credit
    this.frameAt = 0; // our last frame with a body in the slab,
    this.frameGeneration = -1; // of this generation,
    this.frameLength = 0; // with this payload
    this.frameEnd = 0;
    this.piecesAt = 0; // which has PIECES if it is the one at this place
    this.piecesGeneration = -2; // of this generation
    this.pieceAt = 0; // and this last piece of bytes
    this.held = null; // [{ bytes, callback }], or with a piece, that wait for the window
    this.heldBytes = 0;
    this.ending = 0; // what follows the held bytes: END, or CANCEL
    this.endTrailers = null;
  }

  // facts is what the daemon knows of the client's connection; undefined if it
  // was not asked to tell.
  get facts() { return this.loop.connections.get(this.connection); }

  // ---- the request body ----

  data(b, start, end, flags) {
    if (this.complete) throw new ProtocolError('payload', 'body bytes after the end');
    const n = end - start;
    this.granted -= n;
    if (this.granted < 0) throw new ProtocolError('payload', 'more body than the window allows');
    if ((flags & Flag.END) !== 0) this.complete = true;
    if (this.unwanted) return;
    if (n > 0) this.deliver(Buffer.from(b.subarray(start, end)));
    if (this.complete) this.bodyEnd(null);
  }

  // deliver hands bytes on and accounts for them.
  deliver(bytes) {
    this.taken += bytes.length;
    if (this.bodyChunk(bytes) === false) this.holding = true;
    this.grant();
  }

  // readMore says that the program wants more of the body.
  readMore() {
    if (!this.holding) return;
    this.holding = false;
    this.grant();
  }

  // grant gives back what was taken, half a window at a time: so the daemon
  // always has something to send, and one frame goes out for many reads. Who reads as
  // fast as it comes gets a larger window.
  grant() {
    const { loop } = this;
    if (this.holding || this.over || this.complete || this.unwanted || this.taken < (loop.bodyWindow * (1 + this.widened)) >>> 1) return;
    let more = 0;
    if (this.widened < WIDEN) {
      this.widened++;
      more = loop.bodyWindow;
    }
    loop.out.small(Type.WINDOW, 0, this.id, 0, this.taken + more);
    this.frameGeneration = -1; // our end, which nothing may follow, has to come behind this
    this.granted += this.taken + more;
    this.taken = 0;
  }

  // ---- the response ----

  // informational sends a 1xx head in text form.
  informational(text) {
    if (this.over || this.headSent) return;
    const { out } = this.loop;
    out.room(HEADER + RESPONSE_FIXED + text.length);
    this.putTextHead(out, text, 'latin1', text.length, 0, 0);
    this.frameGeneration = -1; // no body goes into this frame
    out.soon();
  }

  // putTextHead puts a RESPONSE frame with `string`, of which the first `head`
  // characters are the head, and the rest is body. There is room for it.
  putTextHead(out, string, encoding, head, status, flags) {
    const frame = out.at;
    const text = frame + HEADER + RESPONSE_FIXED;
    const b = out.slab;
    const n = encoding === 'latin1' ? b.latin1Write(string, text) : b.utf8Write(string, text);
    let headBytes = head;
    if (n !== string.length && head !== string.length) {
      headBytes = Buffer.byteLength(string.slice(0, head)); // characters beyond ASCII somewhere
    } else if (n !== string.length) {
      headBytes = n;
    }
    out.header(RESPONSE_FIXED + n, this.id, Type.RESPONSE, Flag.TEXT | flags, status);
    putHeadLength(b, frame + HEADER, headBytes, 0);
    out.at = text + n;
    this.note(out, frame, RESPONSE_FIXED + n);
    return n - headBytes;
  }

  // note remembers our last frame, which may still grow.
  note(out, frame, length) {
    this.frameAt = frame;
    this.frameLength = length;
    this.frameEnd = out.at;
    this.frameGeneration = out.generation;
  }

  // respondText sends the head of the response, and what follows it in the same
  // string. It returns what body returns.
  respondText(string, encoding, head, callback) {
    const { loop } = this;
    const { out } = loop;
    const most = encoding === 'latin1' ? string.length : string.length * 3;
    this.headSent = true;
    if (most <= SMALL && most <= this.window) {
      out.room(HEADER + RESPONSE_FIXED + most);
      const body = this.putTextHead(out, string, encoding, head, 0, 0);
      this.window -= body;
      out.soon();
      if (callback !== null) this.accepted(callback);
      return !out.blocked || this.stall();
    }
    this.respondBytes(Buffer.from(string.slice(0, head), encoding), Flag.TEXT, 0, 0);
    return this.body(Buffer.from(string.slice(head), encoding), null, callback);
  }

  // respondBytes sends a head that is bytes already, in either form.
  respondBytes(head, flags, status, fields) {
    const { out } = this.loop;
    const length = RESPONSE_FIXED + head.length;
    if (length > MAX_PAYLOAD) {
      refused(`its head has ${head.length} bytes`);
      this.cancel(0);
      return;
    }
    this.headSent = true;
    if (length <= SMALL) {
      out.room(HEADER + length);
      const frame = out.at;
      out.header(length, this.id, Type.RESPONSE, flags, status);
      putHeadLength(out.slab, out.at, head.length, fields);
      head.copy(out.slab, out.at + RESPONSE_FIXED);
      out.at += length;
      this.note(out, frame, length);
      out.soon();
      return;
    }
    out.room(HEADER + RESPONSE_FIXED);
    out.header(length, this.id, Type.RESPONSE, flags, status);
    putHeadLength(out.slab, out.at, head.length, fields);
    out.at += RESPONSE_FIXED;
    out.through(head, undefined);
    this.frameGeneration = -1;
  }

  // respondFields sends a head in binary form. list: [name, value, …], as
  // strings of one character for each byte, which have been checked.
  respondFields(status, reason, list) {
    let text = `${reason}\0`;
    for (let i = 0; i < list.length; i++) text += `${list[i]}\0`;
    const { out } = this.loop;
    const length = RESPONSE_FIXED + text.length;
    if (length > SMALL) {
      this.respondBytes(Buffer.from(text, 'latin1'), 0, status, list.length >>> 1);
      return;
    }
    this.headSent = true;
    out.room(HEADER + length);
    const frame = out.at;
    out.header(length, this.id, Type.RESPONSE, 0, status);
    putHeadLength(out.slab, out.at, text.length, list.length >>> 1);
    out.slab.latin1Write(text, out.at + RESPONSE_FIXED);
    out.at += length;
    this.note(out, frame, length);
    out.soon();
  }

  // body sends body bytes, or holds what the window does not allow. The callback
  // comes when all has been accepted; false says that more should wait for writable.
  body(data, encoding, callback) {
    if (this.over) return false;
    const { out } = this.loop;
    let bytes = data;
    if (typeof data === 'string') {
      const most = encoding === 'latin1' ? data.length : data.length * 3;
      if (this.held === null && most <= SMALL && most <= this.window && (encoding === 'latin1' || encoding === 'utf8')) {
        if (data.length > 0) {
          const at = this.open(out, most);
          this.grow(out, encoding === 'latin1' ? out.slab.latin1Write(data, at) : out.slab.utf8Write(data, at));
        }
        if (callback !== null) this.accepted(callback);
        return !out.blocked || this.stall();
      }
      bytes = Buffer.from(data, encoding);
    }
    if (this.held !== null || bytes.length > this.window) return this.hold(bytes, callback);
    this.send(bytes, callback);
    return !out.blocked || this.stall();
  }

  // accepted calls back when the socket keeps up.
  accepted(callback) { this.loop.out.complete(callback); }

  // stall says that the daemon does not keep up: writable is called when it does.
  stall() {
    this.loop.out.stalled.add(this);
    return false;
  }

  // open makes room for `most` body bytes: in our last frame if nothing came
  // after it, else in a new DATA frame. It says where they go.
  open(out, most) {
    out.room(HEADER + most + 4);
    if (!this.opened(out, most + 4)) {
      const frame = out.at;
      out.header(0, this.id, Type.DATA, 0, 0);
      this.note(out, frame, 0);
    } else if (this.inPieces()) {
      this.pieceAt = this.extend(out, 4);
    }
    return out.at;
  }

  // opened says whether our last frame can grow by n bytes.
  opened(out, n) {
    return this.frameGeneration === out.generation && this.frameEnd === out.at && this.frameLength + n <= MAX_PAYLOAD;
  }

  // inPieces says whether the body of our last frame is made of pieces.
  inPieces() { return this.piecesGeneration === this.frameGeneration && this.piecesAt === this.frameAt; }

  // extend makes our last frame n bytes longer, and says where they are; `more` of its
  // bytes come behind them and are not in the slab.
  extend(out, n, more = 0) {
    const at = out.at;
    out.at += n;
    this.frameEnd = out.at;
    this.frameLength += n + more;
    out.slab.writeUInt32LE(this.frameLength, this.frameAt);
    return at;
  }

  // fragment puts a fragment of the daemon's behind what was written; name is a Buffer. It returns what body returns.
  fragment(name, offset, length) {
    if (this.over) return false;
    const { out } = this.loop;
    const piece = pieceOf(name, offset, length);
    if (this.held !== null || this.window < PIECE_COST) {
      if (this.held === null) this.held = [];
      this.held.push({ bytes: EMPTY, callback: null, piece });
      return false;
    }
    this.putPiece(out, piece);
    return !out.blocked || this.stall();
  }

  // putPiece appends a piece that names a fragment: to our last frame, whose bytes so far become a piece if they are none, so that
  // the daemon sees the whole of a short response before it sends any of it.
  putPiece(out, piece) {
    out.room(HEADER + 8 + piece.length);
    if (!this.opened(out, 8 + piece.length)) {
      const frame = out.at;
      out.header(0, this.id, Type.DATA, Flag.PIECES, 0);
      this.note(out, frame, 0);
    } else if (!this.inPieces()) {
      const b = out.slab;
      b[this.frameAt + 9] |= Flag.PIECES;
      let start = this.frameAt + HEADER;
      if (b[this.frameAt + 8] === Type.RESPONSE) start += RESPONSE_FIXED + u32(b, start);
      const n = this.frameEnd - start;
      if (n > 0) {
        this.extend(out, 4);
        b.copyWithin(start + 4, start, start + n);
        b.writeUInt32LE(n, start);
      }
    }
    this.piecesAt = this.frameAt;
    this.piecesGeneration = this.frameGeneration;
    const at = this.extend(out, piece.length);
    piece.copy(out.slab, at);
    this.window -= PIECE_COST;
    out.soon();
  }

  // grow counts n bytes that were put there.
  grow(out, n) {
    const b = out.slab;
    const at = this.frameAt;
    const length = this.frameLength += n;
    if (this.inPieces()) b.writeUInt32LE(n, this.pieceAt);
    b[at] = length; b[at + 1] = length >>> 8; b[at + 2] = length >>> 16; b[at + 3] = length >>> 24;
    out.at += n;
    this.frameEnd = out.at;
    this.window -= n;
    out.soon();
  }

  // send sends bytes that the window allows.
  send(bytes, callback) {
    const { out } = this.loop;
    const total = bytes.length;
    if (total <= COPY_LIMIT) {
      if (total > 0) {
        const at = this.open(out, total);
        copyBytes(bytes, out.slab, at);
        this.grow(out, total);
      }
      if (callback !== null) this.accepted(callback);
      return;
    }
    // Frames as long as may be: the daemon does not wait for the whole of one, and each is two Buffers more to write.
    for (let at = 0; at < total; at += MAX_PAYLOAD) {
      const end = Math.min(at + MAX_PAYLOAD, total);
      out.room(HEADER);
      if (this.opened(out, end - at) && !this.inPieces()) { // the head is still here
        this.extend(out, 0, end - at);
      } else {
        const frame = out.at;
        out.header(end - at, this.id, Type.DATA, 0, 0);
        this.note(out, frame, end - at);
      }
      this.frameEnd = -1; // nothing can go behind bytes that are not in the slab; flags can still be added
      out.through(bytes.subarray(at, end), end === total && callback !== null ? callback : undefined);
    }
    this.window -= total;
  }

  hold(bytes, callback) {
    let rest = bytes;
    if (this.held === null) {
      this.held = [];
      if (this.window > 0) {
        rest = bytes.subarray(this.window);
        this.send(bytes.subarray(0, this.window), null);
      }
    }
    this.held.push({ bytes: rest, callback });
    this.heldBytes += rest.length;
    return false;
  }

  // widen takes a WINDOW frame and sends what it allows.
  widen(n) {
    this.window += n;
    if (this.window > MAX_WINDOW) throw new ProtocolError('payload', 'a window above 2^31-1');
    const { held } = this;
    if (held === null) return;
    while (held.length > 0 && this.window > 0) {
      const first = held[0];
      if (first.piece !== undefined) {
        if (this.window < PIECE_COST) return;
        held.shift();
        this.putPiece(this.loop.out, first.piece);
        continue;
      }
      if (first.bytes.length > this.window) {
        const part = first.bytes.subarray(0, this.window);
        first.bytes = first.bytes.subarray(this.window);
        this.heldBytes -= part.length;
        this.send(part, null);
        return;
      }
      held.shift();
      this.heldBytes -= first.bytes.length;
      this.send(first.bytes, first.callback);
    }
    if (held.length > 0) return;
    this.held = null;
    if (this.ending !== 0) this.settle();
    else this.writable();
  }

  // end completes the response.
  end() {
    if (this.over || this.ending !== 0) return;
    this.ending = Type.DATA;
    if (this.held === null) this.settle();
  }

  // endWithTrailers completes it with a field section. list: [name, value, …].
  endWithTrailers(list) {
    if (this.over || this.ending !== 0) return;
    this.ending = Type.TRAILERS;
    this.endTrailers = list;
    if (this.held === null) this.settle();
  }

  // closeOpaque ends a stream in opaque mode after what was written.
  closeOpaque() {
    if (this.over || this.ending === Type.CANCEL) return;
    this.ending = Type.CANCEL;
    if (this.held === null) this.settle();
  }

  // settle sends what comes after the last byte.
  settle() {
    const { out } = this.loop;
    if (this.opaque) {
      if (this.ending === Type.CANCEL) {
        this.cancel(1);
      } else {
        this.ending = 0; // a half-close: END, and the stream goes on
        this.put(out, Flag.END);
        this.writable();
      }
      return;
    }
    if (this.ending === Type.TRAILERS) {
      const text = this.endTrailers.length === 0 ? '' : `${this.endTrailers.join('\0')}\0`;
      if (text.length <= SMALL) {
        const n = this.endTrailers.length >>> 1;
        out.room(HEADER + 4 + text.length);
        out.header(4 + text.length, this.id, Type.TRAILERS, this.finish(), 0);
        const b = out.slab;
        b[out.at] = n; b[out.at + 1] = n >>> 8; b[out.at + 2] = 0; b[out.at + 3] = 0;
        b.latin1Write(text, out.at + 4);
        out.at += 4 + text.length;
        out.soon();
        return;
      }
      // Nobody reads trailers of that size; the body is what counts.
    }
    this.put(out, Flag.END | this.finish());
  }

  // put adds flags to our last frame if it is still here, else sends a frame that
  // carries them. END does not belong on the head that turns to opaque mode.
  put(out, flags) {
    if (this.frameGeneration === out.generation && !(this.opaque && out.slab[this.frameAt + 8] === Type.RESPONSE)) {
      out.slab[this.frameAt + 9] |= flags;
      out.soon();
    } else {
      out.small(Type.DATA, flags, this.id, 0, 0);
    }
  }

  // cancel ends the stream without an orderly end; in opaque mode 1 closes it
  // and 0 aborts it.
  cancel(value) {
    if (this.over) return;
    this.loop.out.small(Type.CANCEL, this.finish(), this.id, value, 0);
    this.dropHeld();
  }

  // finish frees the number, and says whether the credit goes back with it.
  finish() {
    this.over = true;
    return this.loop.ended(this) ? Flag.CREDIT : 0;
  }

  // turnOpaque sends the head that makes this a stream of bytes. Without a head
  // the program writes the client's bytes from the first on.
  turnOpaque(head, status) {
    if (this.over) return; // the number may be another's now
    this.opaque = true;
    this.complete = false; // the request direction is open again
    this.respondBytes(head, Flag.OPAQUE | (head.length > 0 ? Flag.TEXT : 0), status, 0);
  }

  dropHeld() {
    this.held = null;
    this.heldBytes = 0;
  }

  // ---- for classes that extend this ----

  bodyChunk() { return true; }
  bodyEnd() {}
  cancelled() { this.cancel(0); }
  ahead() {}
  lost() {}
  writable() {}
}

function putHeadLength(b, at, length, fields) {
  b[at] = length; b[at + 1] = length >>> 8; b[at + 2] = length >>> 16; b[at + 3] = length >>> 24;
  b[at + 4] = fields; b[at + 5] = fields >>> 8; b[at + 6] = 0; b[at + 7] = 0;
}

function copyBytes(from, to, at) {
  if (typeof from.copy === 'function') from.copy(to, at);
  else to.set(from, at);
}

module.exports = { Exchange, EMPTY };
