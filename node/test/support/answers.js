'use strict';

// AnswerReader reads the responses of one connection out of its bytes: as a client
// would, but for the date and how chunks are cut.

class AnswerReader {
  constructor(methods) {
    this.methods = methods;
    this.bytes = Buffer.alloc(0);
    this.all = []; // { status, fields, body, trailers, whole }, and those with a status of 1xx
    this.done = 0; // final ones that are whole
    this.interim = 0; // others, since the last of these
    this.rest = '';
    this.open = null; // the one whose body is being read
  }

  push(bytes) {
    this.bytes = Buffer.concat([this.bytes, bytes]);
    while (this.open === null ? this.head() : this.body());
  }

  head() {
    const end = this.bytes.indexOf('\r\n\r\n');
    if (end < 0) return false;
    const [first, ...lines] = this.bytes.latin1Slice(0, end).split('\r\n');
    const status = Number(first.split(' ')[1]);
    this.bytes = this.bytes.subarray(end + 4);
    const answer = { first, fields: lines.filter((line) => !/^date:/i.test(line)), size: 0, sum: 0, trailers: [], whole: false };
    this.all.push(answer);
    if (status >= 100 && status < 200 && status !== 101) {
      answer.whole = true;
      this.interim++;
      return true;
    }
    const value = (name) => lines.filter((line) => line.toLowerCase().startsWith(`${name}:`)).map((line) => line.slice(name.length + 1).trim())[0];
    // RFC 9110 8.6: no length in a 204, and the daemon sends none.
    if (status === 204) answer.fields = answer.fields.filter((line) => !/^content-length:/i.test(line));
    this.open = answer;
    this.chunked = false;
    this.left = Infinity;
    if (this.methods[this.done] === 'HEAD' || status === 204 || status === 304) this.left = 0;
    else if (/chunked/i.test(value('transfer-encoding'))) this.chunked = true;
    else if (value('content-length') !== undefined) this.left = Number(value('content-length'));
    return true;
  }

  take(n) {
    const part = this.bytes.subarray(0, n);
    this.bytes = this.bytes.subarray(n);
    this.open.size += part.length;
    let { sum } = this.open;
    for (let i = 0; i < part.length; i++) sum = (sum * 31 + part[i]) >>> 0;
    this.open.sum = sum;
  }

  body() {
    if (this.chunked) return this.chunk();
    const n = Math.min(this.left, this.bytes.length);
    this.take(n);
    this.left -= n;
    return this.left === 0 && this.whole();
  }

  chunk() {
    const line = this.bytes.indexOf('\r\n');
    if (line < 0) return false;
    const size = Number.parseInt(this.bytes.latin1Slice(0, line), 16);
    if (size === 0) {
      const end = this.bytes.indexOf('\r\n\r\n', line);
      if (end < 0) return false;
      if (end > line) this.open.trailers = this.bytes.latin1Slice(line + 2, end).split('\r\n');
      this.bytes = this.bytes.subarray(end + 4);
      return this.whole();
    }
    if (this.bytes.length < line + 2 + size + 2) return false;
    this.bytes = this.bytes.subarray(line + 2);
    this.take(size);
    this.bytes = this.bytes.subarray(2);
    return true;
  }

  whole() {
    this.open.whole = true;
    this.open = null;
    this.done++;
    this.interim = 0;
    return true;
  }

  // close: nothing more comes.
  close() {
    if (this.open !== null && !this.chunked && this.left === Infinity) {
      this.open.untilEnd = true;
      this.whole();
    } else if (this.open !== null && this.chunked) { // a part of a chunk has come, too
      const line = this.bytes.indexOf('\r\n');
      if (line >= 0) {
        this.bytes = this.bytes.subarray(line + 2);
        this.take(this.bytes.length);
      }
    }
    this.rest = this.bytes.subarray(0, 100).toString('latin1');
  }
}

module.exports = { AnswerReader };
