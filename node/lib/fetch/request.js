'use strict';

// LightRequest is the Request of a handler. It is one to `instanceof`, and has all
// of its members; but a native Request costs more than the rest of a request
// together, so it is made only when a member is asked for that needs it: `body`,
// `clone`, `formData`, `signal`, `blob` …

const kExchange = Symbol('httpsys exchange');
const kHeaders = Symbol('httpsys headers');
const kNative = Symbol('httpsys native request');
const kOrigin = Symbol('httpsys origin');

const NativeRequest = globalThis.Request;
const NativeHeaders = globalThis.Headers;

// A target in which nothing would be written differently in a URL: no dot
// segment, no backslash, nothing to be escaped.
const PLAIN = /^\/(?!\.)(?:[A-Za-z0-9\-_~!$&()*+,;=:@%?]|\.|\/(?!\.))*$/;
const DOTS = /%2e/i;

// urlOf is the URL of a request, as the URL class would write it; null if there
// is none. origin is what originOf gives.
function urlOf(origin, target) {
  if (PLAIN.test(target) && !DOTS.test(target)) return origin + target;
  try {
    if (target[0] === '/') return new URL(origin + target).href;
    if (target === '*') return `${origin}/*`;
    const url = new URL(target); // the absolute form
    url.username = '';
    url.password = '';
    url.hash = '';
    return url.href;
  } catch {
    return null;
  }
}

// originOf is scheme and host of a request, null if the host is not one. The
// answers are kept: a server has few names, and clients who invent names do not
// fill the memory.
const origins = new Map();
const MOST_ORIGINS = 256;
function originOf(secure, authority) {
  const key = secure ? `s${authority}` : authority;
  let origin = origins.get(key);
  if (origin === undefined) {
    origin = null;
    if (authority !== '' && !/[/?#@\\]/.test(authority)) {
      try {
        origin = new URL(`${secure ? 'https' : 'http'}://${authority}/`).origin;
      } catch { /* not a host */ }
    }
    if (origins.size >= MOST_ORIGINS) origins.clear();
    origins.set(key, origin);
  }
  return origin;
}

class LightRequest {
  constructor(x, origin) {
    this[kExchange] = x;
    this[kOrigin] = origin;
    this[kHeaders] = null;
    this[kNative] = null;
  }

  get method() { return this[kExchange].text[0]; }

  get url() {
    const url = urlOf(this[kOrigin], this[kExchange].text[1]);
    Object.defineProperty(this, 'url', { value: url, configurable: true, enumerable: true });
    return url;
  }

  get headers() {
    let headers = this[kHeaders];
    if (headers === null) {
      headers = this[kHeaders] = new NativeHeaders();
      const { text, version } = this[kExchange];
      for (let i = 5; i < text.length; i += 2) if (text[i][0] !== ':') headers.append(text[i], text[i + 1]);
      if (version >= 20 && !headers.has('host')) headers.set('host', text[2]);
    }
    return headers;
  }

  get bodyUsed() {
    return this[kExchange].bodyUsed || (this[kNative] !== null && this[kNative].bodyUsed);
  }

  text() { return this.#read(textOf, 'text'); }
  json() { return this.#read(jsonOf, 'json'); }
  arrayBuffer() { return this.#read(arrayBufferOf, 'arrayBuffer'); }
  bytes() { return this.#read(bytesOf, 'bytes'); }

  // Whoever has taken the native body gets everything from there.
  #read(convert, name) {
    const native = this[kNative];
    if (native !== null && native.body !== null) {
      return name === 'bytes' ? native.arrayBuffer().then((b) => new Uint8Array(b)) : native[name]();
    }
    const x = this[kExchange];
    if (x.bodyUsed) return Promise.reject(new TypeError('Body is unusable: Body has already been read'));
    return x.collect(convert);
  }

  get [Symbol.toStringTag]() { return 'Request'; }
}

function textOf(b) {
  return b.length >= 3 && b[0] === 0xef && b[1] === 0xbb && b[2] === 0xbf ? b.utf8Slice(3) : b.utf8Slice();
}
function jsonOf(b) { return JSON.parse(textOf(b)); }
function bytesOf(b) { return new Uint8Array(b); }
function arrayBufferOf(b) { return bytesOf(b).buffer; }

// native makes the native Request of a light one.
function native(request) {
  let made = request[kNative];
  if (made !== null) return made;
  const x = request[kExchange];
  const { method } = request;
  const init = { method, headers: request.headers, signal: x.signal() };
  if (method !== 'GET' && method !== 'HEAD' && !x.bodyUsed && (!x.complete || x.pieces.length > 0)) {
    init.body = x.stream();
    init.duplex = 'half';
  }
  made = request[kNative] = new NativeRequest(request.url, init);
  return made;
}

// All other members of Request, and what its own code keeps in instances, come
// from the native one.
function delegate(names, from) {
  for (const name of names) {
    if (name in LightRequest.prototype && Object.prototype.hasOwnProperty.call(LightRequest.prototype, name)) continue;
    const d = Object.getOwnPropertyDescriptor(from, name);
    const method = d !== undefined && typeof d.value === 'function';
    Object.defineProperty(LightRequest.prototype, name, {
      configurable: true,
      enumerable: false,
      ...(method ? { value(...args) { return native(this)[name](...args); }, writable: true } : { get() { return native(this)[name]; } }),
    });
  }
}
delegate(Reflect.ownKeys(NativeRequest.prototype), NativeRequest.prototype);
delegate(Object.getOwnPropertySymbols(new NativeRequest('http://localhost/')), {});
Object.setPrototypeOf(LightRequest.prototype, NativeRequest.prototype);

module.exports = { LightRequest, native, originOf, urlOf, kNative };
