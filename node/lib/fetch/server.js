'use strict';

// serve(): a server for a function from Request to Response.

const front = require('../front');
const fragments = require('../fragments');
const { certificateOf } = require('../tls');
const { listenError, coded } = require('../errors');
const { placeOf } = require('../prefix');
const { queueName, tellPrimary } = require('../workers');
const { FetchExchange, LightRequest, LightResponse, native } = require('./exchange');

class FetchServer {
  constructor(options) {
    this.options = options;
    this.exchanges = new Set();
    this.promises = new Set(); // of waitUntil
    this.registrations = [];
    this.results = [];
    this.closing = null;
    this.claimed = false; // somebody will hear of a failure
    this.opened = this.open(prefixesOf(options));
    this.ended = new Promise((resolve, reject) => {
      this.resolveEnded = resolve;
      this.rejectEnded = reject;
    });
    this.ended.catch(() => {});
    this.opened.then(() => {}, (err) => this.broken(err));
    const { signal } = options;
    if (signal) {
      const stop = () => this.close();
      if (signal.aborted) stop();
      else signal.addEventListener('abort', stop, { once: true });
    }
  }

  async open(urls) {
    this.registrations = urls.map((url) => ({
      url,
      queue: this.options.queue === undefined ? queueName(url) : this.options.queue,
      affinity: this.options.affinity,
      compress: this.options.compress,
      certificate: /^https:/i.test(url) ? () => certificateOf(this.options) : undefined,
      exchange: FetchExchange,
      listener: this,
      referenced: true,
      refused: (err) => this.broken(listenError(err, { url })),
    }));
    for (const r of this.registrations) {
      try {
        this.results.push(await front.register(r));
      } catch (err) {
        throw listenError(err, { url: r.url });
      }
    }
    for (const { url } of this.results) {
      const { host, port, version } = placeOf(url);
      tellPrimary(version === 0 ? null : host, port, version === 4 ? 4 : 6);
    }
    if (typeof this.options.onListen === 'function' && this.closing === null) this.options.onListen(this.handle);
    return this.handle;
  }

  // broken: there is no server, or none any more.
  broken(err) {
    this.release();
    this.rejectEnded(err);
    if (!this.claimed) process.nextTick(() => { throw err; });
  }

  release() {
    const all = this.registrations;
    this.registrations = [];
    return Promise.all(all.map((r) => front.unregister(r).catch(() => {})));
  }

  begun(x) { this.exchanges.add(x); }

  left(x) {
    this.exchanges.delete(x);
    if (this.closing !== null && this.exchanges.size === 0) this.closing();
  }

  stop() { this.close(); }

  // daemonStops: WebSockets end with the daemon, so they end in order now.
  daemonStops() {
    const { onDaemonStop } = this.options;
    if (typeof onDaemonStop === 'function') onDaemonStop(this.handle);
    for (const x of [...this.exchanges]) x.daemonStops();
  }

  waitUntil(promise) {
    const p = Promise.resolve(promise).catch((err) => { console.error(err); }).finally(() => this.promises.delete(p));
    this.promises.add(p);
  }

  // close takes no more requests, and resolves when those that were begun are
  // answered. With force they are cut.
  close(force = false) {
    if (this.closing === null) {
      const idle = new Promise((resolve) => { this.closing = resolve; });
      (async () => {
        await this.opened.catch(() => {});
        await this.release();
        if (this.exchanges.size > 0) await idle;
        while (this.promises.size > 0) await Promise.all(this.promises);
        this.resolveEnded();
      })();
    }
    if (force) {
      for (const x of [...this.exchanges]) {
        x.cancel(0);
        x.abandoned();
      }
    }
    this.claimed = true;
    return this.ended;
  }

  setReferenced(referenced) {
    for (const r of this.registrations) r.referenced = referenced;
    front.updateRef();
  }
}

// Handle is what the program gets.
class Handle {
  #server;

  constructor(server) { this.#server = server; }

  // The first URL, and all of them: known when `ready` has resolved.
  get url() { return this.urls[0]; }
  get urls() { return this.#server.results.map((r) => r.url); }
  get port() { return this.url === undefined ? undefined : placeOf(this.url).port; }

  get ready() {
    this.#server.claimed = true;
    return this.#server.opened;
  }

  get finished() {
    this.#server.claimed = true;
    return this.#server.ended;
  }

  close(force) { return this.#server.close(force); }
  shutdown() { return this.#server.close(); }
  ref() { this.#server.setReferenced(true); return this; }
  unref() { this.#server.setReferenced(false); return this; }
}
fragments.install(Handle.prototype);
if (Symbol.asyncDispose) Handle.prototype[Symbol.asyncDispose] = Handle.prototype.close;

// prefixesOf gives the URL prefixes that the options name.
function prefixesOf({ url, urls, port, hostname, cert }) {
  const named = [].concat(url === undefined ? [] : url, urls === undefined ? [] : urls).map(prefixOf);
  if (named.length > 0) return named;
  if (port === undefined) throw coded(TypeError, 'ERR_INVALID_ARG_VALUE', 'serve() needs url, a URL prefix such as http://*:8080/app/, or port');
  const n = Number(port);
  if (!Number.isInteger(n) || n < 0 || n > 65535) throw coded(RangeError, 'ERR_SOCKET_BAD_PORT', `port ${port} is not between 0 and 65535`);
  const host = hostname === undefined || hostname === '0.0.0.0' || hostname === '::' ? '*' : hostname;
  const scheme = cert === undefined ? 'http' : 'https';
  return [`${scheme}://${host.includes(':') ? `[${host}]` : host}:${n}/`];
}

// prefixOf writes a URL as a prefix, which always has a port.
function prefixOf(url) {
  if (!(url instanceof URL) || url.port !== '') return String(url);
  return `${url.protocol}//${url.hostname}:${url.protocol === 'https:' ? 443 : 80}${url.pathname}`;
}

// check finds what would only fail when the server listens already.
function check({ fetch, error, signal, onListen, onDaemonStop, queue, affinity }) {
  if (typeof fetch !== 'function') throw invalid('serve() needs fetch, a function from Request to Response');
  for (const [name, f] of Object.entries({ error, onListen, onDaemonStop })) {
    if (f !== undefined && f !== null && typeof f !== 'function') throw invalid(`${name} of serve() is a function`);
  }
  if (signal !== undefined && signal !== null && typeof signal.addEventListener !== 'function') throw invalid('signal of serve() is an AbortSignal');
  if (queue !== undefined && typeof queue !== 'string') throw invalid('queue of serve() is the name of a queue');
  if (affinity !== undefined && typeof affinity !== 'object') throw invalid('affinity of serve() is an object such as { cookie: "id" }');
}

function invalid(message) { return coded(TypeError, 'ERR_INVALID_ARG_TYPE', message); }

function serve(options, handler) {
  let o = options;
  if (typeof o === 'function') o = { ...handler, fetch: options };
  else if (typeof handler === 'function') o = { ...options, fetch: handler };
  check(o === null || typeof o !== 'object' ? {} : o);
  if (o.overrideGlobalObjects === true) overrideGlobals();
  const server = new FetchServer(o);
  server.handle = new Handle(server);
  return server.handle;
}

let overridden = false;
// overrideGlobals makes what programs build with `new Response` light, and lets
// `new Request(request)` take a light one.
function overrideGlobals() {
  if (overridden) return;
  overridden = true;
  const Native = globalThis.Request;
  class Request extends Native {
    constructor(input, init) {
      super(input instanceof LightRequest ? native(input) : input, init);
    }

    static [Symbol.hasInstance](object) {
      return this === Request ? object instanceof Native : Function.prototype[Symbol.hasInstance].call(this, object);
    }
  }
  const replace = (name, value) => Object.defineProperty(globalThis, name, { value, writable: true, configurable: true, enumerable: false });
  replace('Request', Request);
  replace('Response', LightResponse);
}

module.exports = { serve, LightResponse };
