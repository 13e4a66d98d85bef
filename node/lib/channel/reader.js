'use strict';

// Reader cuts what a socket delivers into frames: one pass for each delivery, no
// copy but for a frame that lies across two of them.
//
// The receiver is an object with frame(type, flags, stream, value, bytes, start,
// end), which returns false to be given the frame once more after proceed. The bytes are valid during the call only: the next read overwrites
// them, so what is kept must be copied.

const { HEADER, checkHeader, u16, u32 } = require('./frame');

class Reader {
  constructor(receiver) {
    this.receiver = receiver;
    this.rest = null; // the beginning of a frame whose end has not come
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
      while (end - at >= HEADER) {
        checkHeader(b, at);
        const start = at + HEADER;
        const next = start + u32(b, at);
        if (next > end) break;
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
      if (!whole && this.rest !== null) this.again = setImmediate(resume, this);
    }
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
    if (this.again !== null) clearImmediate(this.again);
    this.again = null;
  }
}

function resume(reader) {
  reader.again = null;
  const b = reader.rest;
  reader.rest = null;
  if (b !== null) reader.receiver.resumed(() => reader.run(b));
}

module.exports = { Reader };
