'use strict';

// Fragments: bytes that a program stores at the daemon by a name of its own, and puts into responses without sending
// them again. Servers get addFragment, readFragment and deleteFragment; ServerResponse gets writeFragment.

const front = require('./front');
const { coded } = require('./errors');
const { MAX_FRAGMENT_NAME, MAX_FRAGMENT_TAGS } = require('./channel/frame');

const READ = 131072; // the most that one answer holds

// nameOf gives the whole name for one that may begin with a path: then it is at the place of the first prefix.
function nameOf(name, urls) {
  if (typeof name !== 'string' && !(name instanceof URL)) throw coded(TypeError, 'ERR_INVALID_ARG_TYPE', 'the name of a fragment is a string: a URL below a prefix of the server, or a path');
  let text = String(name);
  if (text.startsWith('/')) {
    if (urls === undefined || urls.length === 0) throw coded(Error, 'ERR_SERVER_NOT_RUNNING', 'a fragment with a path as its name needs a server that listens at the daemon');
    text = /^[a-z]+:\/\/[^/]+/.exec(urls[0])[0] + text;
  }
  const bytes = Buffer.from(text);
  if (bytes.length === 0 || bytes.length > MAX_FRAGMENT_NAME) throw coded(RangeError, 'ERR_OUT_OF_RANGE', `the name of a fragment has 1 to ${MAX_FRAGMENT_NAME} bytes`);
  return bytes;
}

function session(server) {
  const s = front.current();
  if (s === null || s.over || server.urls === undefined) throw coded(Error, 'ERR_SERVER_NOT_RUNNING', 'the server does not listen at the daemon (yet, or any more)');
  if (!s.capabilities.includes('fragments')) throw coded(Error, 'ERR_FEATURE_UNAVAILABLE_ON_PLATFORM', 'this daemon keeps no fragments');
  s.pieces = true;
  return s;
}

function bytesOf(data) {
  if (typeof data === 'string') return Buffer.from(data);
  if (ArrayBuffer.isView(data)) return Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  if (data instanceof ArrayBuffer) return Buffer.from(data);
  throw coded(TypeError, 'ERR_INVALID_ARG_TYPE', 'a fragment is a string, a Buffer or another view of bytes');
}

const methods = {
  // addFragment resolves with the canonical name. ttl: seconds; 0 or undefined: until it is flushed.
  async addFragment(name, data, { ttl = 0, tags = [] } = {}) {
    const s = session(this);
    if (!(ttl === 0 || (ttl >= 1 && ttl <= Number.MAX_SAFE_INTEGER / 1000))) throw coded(RangeError, 'ERR_OUT_OF_RANGE', `ttl is ${ttl}: want seconds, 1 or more, or 0 for a fragment that is kept until it is flushed`);
    const list = Buffer.from([].concat(tags).join(' '));
    if (list.length > MAX_FRAGMENT_TAGS) throw coded(RangeError, 'ERR_OUT_OF_RANGE', `a fragment has at most ${MAX_FRAGMENT_TAGS} bytes of tags`);
    return (await s.putFragment(Math.floor(ttl) * 1000, nameOf(name, this.urls), list, bytesOf(data))).url;
  },

  // readFragment resolves with a Buffer, or undefined if it is not there (any more).
  async readFragment(name) {
    const s = session(this);
    const url = nameOf(name, this.urls).toString();
    try {
      for (let parts = [], at = 0, size = -1; ;) {
        const part = await s.call('read_fragment', { url, offset: at, length: READ });
        if (size >= 0 && part.size !== size) { // somebody has replaced it meanwhile
          parts = [];
          at = 0;
          size = -1;
          continue;
        }
        const bytes = Buffer.from(part.data, 'base64');
        parts.push(bytes);
        at += bytes.length;
        size = part.size;
        if (at >= size || bytes.length === 0) return Buffer.concat(parts);
      }
    } catch (err) {
      if (err.daemonCode === 'not_found') return undefined;
      throw err;
    }
  },

  // deleteFragment resolves with whether it was there.
  async deleteFragment(name) {
    try {
      await session(this).call('delete_fragment', { url: nameOf(name, this.urls).toString() });
      return true;
    } catch (err) {
      if (err.daemonCode === 'not_found') return false;
      throw err;
    }
  },

  // flush removes what is stored for a URL, with recursive all below it as well, or what has a tag: responses and
  // fragments. It resolves with how many there were.
  async flush({ url, recursive, tag } = {}) {
    const params = {};
    if (url !== undefined) params.url = nameOf(url, this.urls).toString();
    if (recursive) params.recursive = true;
    if (tag !== undefined) params.tag = String(tag);
    return (await session(this).call('flush', params)).flushed;
  },
};

// install gives servers the methods.
function install(prototype) {
  for (const [name, value] of Object.entries(methods)) {
    if (name in prototype) continue;
    Object.defineProperty(prototype, name, { value, writable: true, configurable: true, enumerable: false });
  }
}

// installResponse gives ServerResponse its method. exchangeOf finds the exchange of a response, if it has one here.
function installResponse(prototype, exchangeOf) {
  Object.defineProperty(prototype, 'writeFragment', {
    configurable: true,
    writable: true,
    enumerable: false,
    // writeFragment writes a fragment as if its bytes were written. It returns what write returns.
    value(name, { offset = 0, length = -1 } = {}) {
      const x = exchangeOf(this);
      if (x === undefined) throw coded(Error, 'ERR_FEATURE_UNAVAILABLE_ON_PLATFORM', 'writeFragment is for responses of servers that listen at the daemon');
      const bytes = nameOf(name, x.listener.server.urls);
      if (!Number.isSafeInteger(offset) || offset < 0 || !Number.isSafeInteger(length) || length < -1) {
        throw coded(RangeError, 'ERR_OUT_OF_RANGE', `offset ${offset} and length ${length} of a fragment: want whole numbers from 0 on, and -1 for all the rest`);
      }
      x.loop.owner.pieces = true;
      if (this.writableEnded) throw coded(Error, 'ERR_STREAM_WRITE_AFTER_END', 'write after end');
      const corked = this.writableCorked;
      for (let i = 0; i < corked; i++) this.uncork(); // what was written before comes before
      if (!this.headersSent) this.flushHeaders();
      for (let i = 0; i < corked; i++) this.cork();
      x.release();
      if (!this._hasBody || !x.headSent || x.raw) return true;
      return x.fragment(bytes, offset, length);
    },
  });
}

module.exports = { install, installResponse };
