'use strict';

// Writer gathers the frames for one socket in a slab of memory and writes them
// with one call for each batch. Long bodies are not copied into the slab: their Buffers
// are gathered too, between pieces of the slab with the headers, and one call writes all.
//
// A frame in the slab can still be changed as long as `generation` is what it
// was when the frame was put there: its flags can be completed, and if it is the
// last one it can grow. That is how an answer that a program makes in several
// calls becomes one frame.

const { HEADER, putHeader } = require('./frame');

const SLAB = 65536;
// Above this a Buffer is handed to the socket as it is, instead of being copied.
const COPY_LIMIT = 8192;
// From so many bytes of such Buffers on nothing waits for the end of the batch: it is as
// much as the socket takes at once.
const GATHER = 262144;

class Writer {
  constructor(socket, beforeFlush) {
    this.socket = socket;
    this.slab = Buffer.allocUnsafeSlow(SLAB);
    this.at = 0;
    this.from = 0; // where the slab begins that is not among the parts
    this.parts = []; // [{ bytes, callback }]: what comes before it
    this.gathered = 0; // bytes of programs' Buffers among them
    this.generation = 0;
    this.batch = false; // a batch of frames is being handled: its end flushes
    this.scheduled = false;
    this.blocked = false; // the socket has not taken what it was given
    this.closed = false;
    this.waiting = []; // completions that wait for the socket
    this.stalled = new Set(); // exchanges that were told to stop writing
    this.beforeFlush = beforeFlush;
    this.paused = 0;
    this.turn = () => {
      this.scheduled = false;
      if (this.paused > 0) return;
      this.beforeFlush();
      this.flush();
    };
    socket.on('drain', () => this.drained());
  }

  // room makes sure that n bytes fit into the slab.
  room(n) {
    if (this.at + n > SLAB) this.flush();
  }

  // soon asks for a flush when everything that is ready now has run.
  soon() {
    if (this.batch || this.scheduled) return;
    this.scheduled = true;
    setImmediate(this.turn);
  }

  // pause keeps back what fits into the slab until resume is called as often: no
  // answer overtakes what the daemon is being told on another connection.
  pause() { this.paused++; }
  resume() { if (--this.paused === 0) this.turn(); }

  // endBatch flushes what a batch has left.
  endBatch() {
    this.batch = false;
    if (this.paused === 0) this.flush();
  }

  // frame puts a header; the payload of `length` bytes is the caller's, who has
  // asked for room for both.
  header(length, stream, type, flags, value) {
    putHeader(this.slab, this.at, length, stream, type, flags, value);
    this.at += HEADER;
  }

  // small puts a frame with no payload or, if n is not 0, with a number.
  small(type, flags, stream, value, n) {
    this.room(HEADER + 4);
    this.header(n === 0 ? 0 : 4, stream, type, flags, value);
    if (n !== 0) {
      const b = this.slab;
      const at = this.at;
      b[at] = n; b[at + 1] = n >>> 8; b[at + 2] = n >>> 16; b[at + 3] = n >>> 24;
      this.at = at + 4;
    }
    this.soon();
  }

  // complete calls back when the socket keeps up.
  complete(callback) {
    if (this.blocked) this.waiting.push(callback);
    else process.nextTick(callback);
  }

  // through appends a Buffer that is not copied: the last bytes of the frame whose
  // header is the last thing in the slab. The callback comes when the memory is the
  // program's again.
  through(bytes, callback) {
    if (this.closed) return;
    this.cut();
    this.parts.push({ bytes, callback });
    this.gathered += bytes.length;
    // What the socket will say of so much, and it says later that it has drained.
    if (this.gathered >= this.socket.writableHighWaterMark) this.blocked = true;
    if (this.gathered >= GATHER) this.flush();
    else this.soon();
  }

  // cut puts the slab up to here among the parts. Flags in it can still be completed.
  cut() {
    if (this.at === this.from) return;
    this.parts.push({ bytes: this.slab.subarray(this.from, this.at), callback: undefined });
    this.from = this.at;
  }

  flush() {
    if (this.closed || (this.at === 0 && this.parts.length === 0)) return;
    const { socket } = this;
    this.generation++;
    if (this.parts.length === 0) {
      const used = this.slab.subarray(0, this.at);
      this.at = 0;
      this.sent(socket.write(used));
    } else {
      this.cut();
      const { parts } = this;
      this.parts = [];
      this.gathered = 0;
      this.at = 0;
      this.from = 0;
      socket.cork();
      for (const { bytes, callback } of parts) this.sent(socket.write(bytes, callback));
      socket.uncork();
    }
    // If the kernel has not taken it all, the slab is still in use.
    if (socket.writableLength > 0) this.renew();
  }

  // renew takes another slab; flush has emptied this one, and callbacks run later.
  renew() { this.slab = Buffer.allocUnsafeSlow(SLAB); }

  sent(ok) {
    if (!ok) this.blocked = true;
  }

  drained() {
    this.blocked = false;
    const { waiting } = this;
    this.waiting = [];
    for (const callback of waiting) process.nextTick(callback);
    const { stalled } = this;
    if (stalled.size === 0) return;
    this.stalled = new Set();
    for (const exchange of stalled) if (!exchange.over && exchange.held === null) exchange.writable();
  }

  // close drops what was not sent.
  close() {
    this.closed = true;
    this.at = 0;
    this.from = 0;
    this.parts = [];
    this.gathered = 0;
    this.generation++;
    this.waiting = [];
    this.stalled.clear();
  }
}

module.exports = { Writer, SLAB, COPY_LIMIT };
