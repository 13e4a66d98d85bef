'use strict';

// Reader cuts what a socket delivers into frames: one pass for each delivery, no
// copy but for a frame that lies across two of them. A long DATA frame is handed on as it
// comes, in as many pieces as it came in.
//
// The receiver is an object with frame(type, flags, stream, value, bytes, start,
// end), which returns false to be given the frame once more after proceed. The bytes
// are valid during the call only: what is kept must be copied.

const { HEADER, Type, Flag, checkHeader, u16, u32 } = require('./frame');

const LONG = 16384; // bytes of DATA that are worth it

class Reader {
  constructor(receiver) {
    this.receiver = receiver;
    this.rest = null; // the beginning of a frame whose end has not come
    this.left = 0; // bytes of a DATA frame that have not come, and what it says
    this.stream = 0;
    this.flags = 0;
    this.stalled = false; // the receiver does not want the next frame yet
    this.again = null; // the immediate that goes on after a receiver threw
  }

  // push handles all frames that are complete with these bytes. If the
  // receiver throws, the frames behind are handled in a turn of their own: a
  // program whose listener throws, and that survives it, owes an answer to
  // all other requests of the batch too.
  push(bytes) {
    let b = bytes;
    if (this.rest !== null) {
      b = Buffer.concat([this.rest, bytes]);
      this.rest = null;
      if (this.again !== null || this.stalled) { // keep the order
        this.rest = b;
        return;
      }
    }
    this.run(b);
  }

  run(b) {
    let at = 0;
    const end = b.length;
    let whole = false;
    try {
      if (this.left > 0 && end > 0) {
        at = Math.min(this.left, end);
        this.left -= at;
        this.part(b, 0, at);
      }
      while (end - at >= HEADER) {
        checkHeader(b, at);
        const start = at + HEADER;
        const next = start + u32(b, at);
        if (next > end) {
          if (b[at + 8] !== Type.DATA || next - start < LONG || start === end) break;
          this.left = next - end;
          this.stream = u32(b, at + 4);
          this.flags = b[at + 9];
          at = end;
          this.part(b, start, end);
          break;
        }
        const from = at;
        at = next; // before the call: a frame whose receiver throws is done with
        if (this.receiver.frame(b[from + 8], b[from + 9], u32(b, from + 4), u16(b, from + 10), b, start, next) === false) {
          at = from;
          this.stalled = true;
          break;
        }
      }
      whole = true;
    } finally {
      if (at < end) this.rest = Buffer.from(b.subarray(at, end));
      if (!whole && this.rest !== null) this.again = later(this);
    }
  }

  // part hands on a piece of a DATA frame; its flags come with the last.
  part(b, start, end) {
    this.receiver.frame(Type.DATA, this.left > 0 ? this.flags & ~Flag.END : this.flags, this.stream, 0, b, start, end);
  }

  // proceed goes on after a frame that was not wanted.
  proceed() {
    if (!this.stalled) return;
    this.stalled = false;
    if (this.again === null) resume(this);
  }

  // stop forgets what is left.
  stop() {
    this.rest = null;
    this.left = 0;
    if (this.again !== null) clearImmediate(this.again);
    this.again = null;
  }
}

// later asks for a turn of its own, outside of the domain that a program's listener
// has entered and, by throwing, not left.
function later(reader) {
  const { domain } = process;
  if (!domain) return setImmediate(resume, reader);
  process.domain = null;
  const immediate = setImmediate(resume, reader);
  process.domain = domain;
  return immediate;
}

function resume(reader) {
  reader.again = null;
  const b = reader.rest;
  reader.rest = null;
  if (b !== null) reader.receiver.resumed(() => reader.run(b));
}

module.exports = { Reader };
