'use strict';

// Writer gathers the frames for one socket in a slab of memory and writes them
// with one call for each batch.
//
// A frame in the slab can still be changed as long as `generation` is what it
// was when the frame was put there: its flags can be completed, and if it is the
// last one it can grow. That is how an answer that a program makes in several
// calls becomes one frame.

const { HEADER, putHeader } = require('./frame');

const SLAB = 65536;
// Above this a Buffer is handed to the socket as it is, instead of being copied.
const COPY_LIMIT = 8192;

class Writer {
  constructor(socket, beforeFlush) {
    this.socket = socket;
    this.slab = Buffer.allocUnsafeSlow(SLAB);
    this.at = 0;
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

  // through flushes and then writes a Buffer that is not copied: the last bytes
  // of the frame whose header is the last thing in the slab. The callback comes
  // when the memory is the program's again.
  through(bytes, callback) {
    const { socket } = this;
    if (this.closed) return;
    socket.cork();
    this.flush();
    this.sent(socket.write(bytes, callback));
    socket.uncork();
    if (socket.writableLength > 0) this.renew();
  }

  flush() {
    if (this.at === 0 || this.closed) return;
    const { socket } = this;
    this.generation++;
    const used = this.slab.subarray(0, this.at);
    this.at = 0;
    this.sent(socket.write(used));
    // If the kernel has not taken it all, the slab is still in use.
    if (socket.writableLength > 0) this.renew();
  }

  renew() {
    this.generation++;
    const unsent = this.at;
    const old = this.slab;
    this.slab = Buffer.allocUnsafeSlow(SLAB);
    if (unsent > 0) old.copy(this.slab, 0, 0, unsent);
  }

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
    this.generation++;
    this.waiting = [];
    this.stalled.clear();
  }
}

module.exports = { Writer, SLAB, COPY_LIMIT };
