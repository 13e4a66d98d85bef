'use strict';

// How a genuine server listens at the daemon.
//
// net.Server.prototype.listen understands all forms of arguments, looks names up
// and then calls this._listen2, whose name Node keeps for those who wrap it.
// There a port goes to the daemon, and pipes, descriptors and handles go where
// they always went. `server._handle` becomes an object that answers what the
// genuine methods ask a handle: address, close, ref, listening and so on work as
// they are.

const net = require('net');
const http = require('http');
const https = require('https');
const cluster = require('cluster');
const { AsyncResource } = require('async_hooks');
const front = require('./front');
const fragments = require('./fragments');
const settings = require('./settings');
const { placeOf } = require('./prefix');
const { queueName, tellPrimary } = require('./workers');
const { HttpExchange, accepted } = require('./http-exchange');
const { IdleConnections } = require('./idle');
const { kExchange } = require('./socket');
const { certificateOf } = require('./tls');
const { listenError, coded } = require('./errors');

const NO_DAEMON = new Set(['ENOENT', 'ECONNREFUSED', 'ENOTDIR', 'EACCES']);
const kListener = Symbol('httpsys listener');
const kOldClient = Symbol('httpsys shape of req.client');
const IncomingMessage = symbolOf(http.createServer(), 'IncomingMessage');
const standard = http.createServer(); // its timeouts are Node's own values
const genuineListen2 = net.Server.prototype._listen2;

function symbolOf(object, description) {
  return Object.getOwnPropertySymbols(object).find((s) => s.description === description);
}

// A Listener is the handle of a server that listens at the daemon, on one prefix
// or several.
class Listener {
  constructor(server, where) {
    this.server = server;
    this.secure = server instanceof https.Server;
    this.oldClient = this.secure && server[kOldClient] === true;
    this.Request = server[IncomingMessage];
    this.where = where; // { address, port, family } or { urls }
    this.sockets = new Map(); // by the daemon's number of the connection
    this.idle = new IdleConnections(this); // those that have no socket at present
    this.resource = new AsyncResource('HTTPSERVER');
    this.registrations = [];
    this.held = null; // the free port, until the daemon has it
    this.closed = false;
    this.changed = false; // the program has changed timeouts since it listens
    this.sent = ''; // the timeouts that the daemon knows
    // A listener that comes now counts from now on, and not from the next request on.
    this.heard = (name) => { if (HEARD.has(name)) process.nextTick(look, this); };
    this.referenced = !server._unref;
    server[kListener] = this;
  }

  // open registers the prefixes; the server emits 'listening' or 'error'.
  async open(urls, { queue, affinity, compress } = {}) {
    this.sent = this.wishes();
    this.registrations = urls.map((url) => ({
      url,
      queue: queue === undefined ? queueName(url) : queue,
      affinity,
      compress,
      timeouts: () => timeouts(this.server, this.changed),
      tell: this.where.urls === undefined ? () => tells(this.server, this.secure) : undefined,
      accepted: (loop, facts, client, local) => accepted(this, loop, facts, client, local),
      // A port of its own answers as Node would. Where Host must be, the genuine
      // server says by itself.
      errorPages: this.where.urls === undefined ? false : undefined,
      requireHost: this.where.urls === undefined ? false : undefined,
      certificate: this.secure ? () => certificateOf(this.server) : undefined,
      exchange: HttpExchange,
      listener: this,
      referenced: this.referenced,
      refused: (err) => this.failed(err),
    }));
    try {
      const results = [];
      for (const r of this.registrations) results.push(await front.register(r));
      this.letGo();
      if (!this.closed) this.resource.runInAsyncScope(listening, null, this, results);
    } catch (err) {
      this.release();
      if (this.closed) {
        this.letGo();
        return;
      }
      this.resource.runInAsyncScope(() => this.refused(err));
    }
  }

  refused(err) {
    const { server, where } = this;
    this.letGo();
    if (server._handle === this) server._handle = null;
    if (settings.nativeFallback && where.urls === undefined && err.daemonCode === undefined && NO_DAEMON.has(err.code)) {
      genuineListen2.call(server, where.given, where.port, where.givenType, where.backlog, undefined, where.flags);
      return;
    }
    this.closed = true;
    const error = listenError(err, where.urls ? { url: where.urls.join(', ') } : { address: where.given, port: where.port });
    process.nextTick(emitError, server, error);
  }

  letGo() {
    if (this.held !== null) this.held.close();
    this.held = null;
  }

  // failed: the registration was lost and cannot be made again.
  failed(err) {
    this.server.removeListener('newListener', this.heard);
    this.release();
    this.resource.runInAsyncScope(() => this.refused(err));
  }

  release() {
    const all = this.registrations;
    this.registrations = [];
    return Promise.all(all.map((r) => front.unregister(r).catch(() => {})));
  }

  // wishes is what the daemon was told, or has to be, in one string.
  wishes() {
    const { headersTimeout, requestTimeout, keepAliveTimeout } = this.server;
    const times = `${headersTimeout} ${requestTimeout} ${keepAliveTimeout} ${this.server.listenerCount('timeout')}`;
    return this.where.urls === undefined ? `${times} ${tells(this.server, this.secure)}` : times;
  }

  // look sends the daemon what the program has changed since it listens: timeouts,
  // which programs set at any time as plain properties, and listeners.
  look() {
    const now = this.wishes();
    if (now === this.sent) return;
    this.sent = now;
    this.changed = true;
    for (const r of this.registrations) front.renew(r).catch(() => {}); // a session that ends takes them along
  }

  // peerOf is how a socket that listens on :: sees an address: those of IPv4 are
  // mapped into IPv6.
  peerOf(text) {
    return this.where.address === '::' && text.charCodeAt(0) !== 0x5b ? `[::ffff:${text.replace(/:(?=\d+$)/, ']:')}` : text;
  }

  stop() { this.server.close(); }

  // daemonStops tells the program; there is time for a goodbye on upgraded
  // connections, which end with the daemon.
  daemonStops() {
    this.resource.runInAsyncScope(() => this.server.emit('daemonStop'));
  }

  forget(key, socket) {
    if (this.sockets.get(key) === socket) this.sockets.delete(key);
  }

  // ---- what net.Server asks of a handle ----

  // A prefix with port 0 has no address until the daemon has found one: without this
  // method address() gives null.
  get getsockname() { return this.where.port === undefined ? undefined : this.name; }

  name(out) {
    const { address, port, family } = this.where;
    out.address = address;
    out.family = family;
    out.port = port;
    return 0;
  }

  close(callback) {
    if (this.closed) return;
    this.closed = true;
    this.server.removeListener('newListener', this.heard);
    // 'close' comes when the daemon has given the prefix up: then the port is
    // free. The genuine server waits as it does for a connection.
    const { server } = this;
    server._connections++;
    this.release().then(() => {
      server._connections--;
      server._emitCloseIfDrained();
    });
    if (typeof callback === 'function') process.nextTick(callback);
  }

  ref() { this.setReferenced(true); }
  unref() { this.setReferenced(false); }
  hasRef() { return this.referenced; }
  getAsyncId() { return this.resource.asyncId(); }
  listen() { return 0; }

  setReferenced(referenced) {
    this.referenced = referenced;
    for (const r of this.registrations) r.referenced = referenced;
    front.updateRef();
  }
}

function emitError(server, error) {
  server.emit('error', error);
}

function listening(listener, results) {
  const { server, where } = listener;
  if (where.urls !== undefined) Object.assign(where, addressOf(results[0].url));
  server.urls = results.map((r) => r.url);
  server._connectionKey = `${where.family === 'IPv6' ? 6 : 4}:${where.address}:${where.port}`;
  tellPrimary(where.given || null, where.port, where.family === 'IPv6' ? 6 : 4);
  server.emit('listening');
  listener.look();
  if (!listener.closed && where.urls === undefined) server.on('newListener', listener.heard);
}

// addressOf is what server.address() says of a URL prefix.
function addressOf(url) {
  const { host, port, version } = placeOf(url);
  return {
    address: version === 0 ? '::' : host,
    port,
    family: version === 4 ? 'IPv4' : 'IPv6',
  };
}

const AFTER_NODE = 1000; // milliseconds

// timeouts sends the daemon what the program has changed. They are read when the
// registration is made, which is after the program has set them.
function timeouts(server, changed) {
  const t = {};
  const set = (name, key) => {
    const v = server[key];
    if (Number.isFinite(v) && v >= 0 && (changed || v !== standard[key])) t[name] = Math.floor(v);
  };
  set('idle_connection_ms', 'keepAliveTimeout');
  // The socket's own timer, which the program hears, goes before the daemon's.
  if (server.listenerCount('timeout') > 0 && server.keepAliveTimeout > 0) {
    const buffer = server.keepAliveTimeoutBuffer === undefined ? 1000 : server.keepAliveTimeoutBuffer;
    t.idle_connection_ms = Math.floor(server.keepAliveTimeout + buffer) + AFTER_NODE;
  }
  set('entity_body_ms', 'requestTimeout');
  // The head has to come within both; 0 is no limit.
  if (changed || server.headersTimeout !== standard.headersTimeout || server.requestTimeout !== standard.requestTimeout) {
    const limits = [server.headersTimeout, server.requestTimeout].filter((v) => Number.isFinite(v) && v > 0);
    t.header_wait_ms = limits.length > 0 ? Math.floor(Math.min(...limits)) : 0;
  }
  return Object.keys(t).length > 0 ? t : undefined;
}

// tells is what a program that has a port for itself wants to see of its clients
// (docs/channel.md section 3.6). What nobody listens to would cost this process
// something for nothing.
function tells(server, secure) {
  const tell = ['ahead'];
  const came = server.listenerCount('connection') + (secure ? server.listenerCount('secureConnection') - 1 : 0);
  if (came > 1) tell.push('accepted');
  // A program that has sockets from the beginning sees their errors, too.
  if (came > 1 || server.listenerCount('clientError') > 0 || server.insecureHTTPParser === true || server.maxHeaderSize > 0 || OTHER_PARSER) {
    tell.push('unparsed');
  }
  if (server.listenerCount('upgrade') + server.listenerCount('connect') > 0) tell.push('upgrade');
  // Who hears of requests that are too many has to see them.
  if (server.maxRequestsPerSocket > 0 && server.listenerCount('dropRequest') > 0) tell.push('pipelined');
  return tell;
}

// HEARD are the events that tells, and timeouts, look for.
const HEARD = new Set(['connection', 'secureConnection', 'clientError', 'upgrade', 'connect', 'timeout', 'dropRequest']);

function look(listener) {
  if (!listener.closed) listener.look();
}

// OTHER_PARSER: the command line asks for a parser with other limits than Node's own.
const OTHER_PARSER = settings.commandLine()
  .some((option) => /^--(?:insecure-http-parser|max-http-header-size\b)/.test(option));

// ---- the forms of listen ----

// listen2 stands for net.Server.prototype._listen2.
function listen2(address, port, addressType, backlog, fd, flags) {
  if (this._handle || (typeof fd === 'number' && fd >= 0) || !(port >= 0)) {
    genuineListen2.call(this, address, port, addressType, backlog, fd, flags);
    return;
  }
  const listener = new Listener(this, {
    given: address, givenType: addressType, backlog, flags,
    address: address || '::', family: !address || net.isIPv6(address) ? 'IPv6' : 'IPv4', port,
  });
  if (port === 0) {
    // server.address() must know the port at once.
    listener.held = hold(address, addressType, flags);
    if (listener.held === null) {
      genuineListen2.call(this, address, port, addressType, backlog, fd, flags); // says why not
      return;
    }
    listener.where.port = listener.held.port;
  }
  this._handle = listener;
  listener.open([`${listener.secure ? 'https' : 'http'}://${hostOf(address)}:${listener.where.port}/`]);
}

// hostOf is the host of the prefix for an address: an IP literal takes all
// requests that arrive at that address, whatever host they name.
function hostOf(address) {
  if (!address || address === '::' || address === '0.0.0.0') return '*';
  return net.isIPv6(address) ? `[${address.replace(/%.*$/, '')}]` : address;
}

// hold takes a port that is free for this server, at this moment and until the
// daemon has it: bound, but not listened on, which lets the daemon in (SO_REUSEADDR)
// and gives the port to nobody else who asks for a free one.
function hold(address, addressType, flags) {
  const handle = net._createServerHandle(address, 0, addressType, undefined, flags);
  if (typeof handle === 'number') return null;
  const at = {};
  if (handle.getsockname(at) !== 0 || !(at.port > 0)) {
    handle.close();
    return null;
  }
  return { port: at.port, close: () => handle.close() };
}

const URL_PREFIX = /^https?:\/\//i;

// prefixesOf gives the prefixes that the first argument of listen names, if it
// names any: a string that begins with a scheme, an array of such, or an object
// with `url` or `urls`.
function prefixesOf(first) {
  if (typeof first === 'string') return URL_PREFIX.test(first) ? [first] : null;
  if (Array.isArray(first)) return first.length > 0 && first.every((u) => typeof u === 'string' && URL_PREFIX.test(u)) ? first : null;
  if (first instanceof URL) return [first.href];
  if (first !== null && typeof first === 'object' && (first.url !== undefined || first.urls !== undefined)) {
    return [].concat(first.url === undefined ? first.urls : first.url).map(String);
  }
  return null;
}

function makeListen(genuine) {
  return function listen(...args) {
    const urls = prefixesOf(args[0]);
    if (urls === null) {
      return genuine.apply(this, cluster.isWorker ? exclusive(args) : args);
    }
    if (this._handle) throw coded(Error, 'ERR_SERVER_ALREADY_LISTEN', 'Listen method has been called more than once without closing.');
    const scheme = this instanceof https.Server ? 'https' : 'http';
    for (const url of urls) {
      if (!url.toLowerCase().startsWith(`${scheme}://`)) {
        throw coded(TypeError, 'ERR_INVALID_ARG_VALUE', `${url}: a server of node:${scheme} listens on ${scheme}:// prefixes`);
      }
    }
    const callback = args[args.length - 1];
    if (typeof callback === 'function') this.once('listening', callback);
    const options = typeof args[0] === 'object' && !Array.isArray(args[0]) && !(args[0] instanceof URL) ? args[0] : {};
    const listener = new Listener(this, { urls, address: undefined, port: undefined, family: undefined });
    this._handle = listener;
    this._listeningId++;
    if (options.signal !== undefined) closeOnAbort(this, options.signal);
    listener.open(urls, options);
    return this;
  };
}

function closeOnAbort(server, signal) {
  const close = () => server.close();
  if (signal.aborted) process.nextTick(close);
  else {
    signal.addEventListener('abort', close, { once: true });
    server.once('close', () => signal.removeEventListener('abort', close));
  }
}

// exclusive keeps Node's cluster from asking the primary for a handle: each
// worker registers by itself, and the daemon shares the requests out.
function exclusive(args) {
  const [options, callback] = net._normalizeArgs(args);
  const port = options.port !== undefined || args.length === 0 || typeof args[0] === 'function' || options.port === null || args[0] === null;
  if (!port || options.path !== undefined || options.fd !== undefined || options._handle || options.handle) return args;
  const changed = { ...options, exclusive: true };
  if (changed.port === undefined || changed.port === null) changed.port = 0;
  return callback === null ? [changed] : [changed, callback];
}

// ---- connections that the genuine server does not know ----

function makeCloseAll(genuine) {
  return function closeAllConnections() {
    genuine.call(this);
    for (const socket of socketsOf(this)) socket.destroy();
    closeIdle(this);
  };
}

function makeCloseIdle(genuine) {
  return function closeIdleConnections() {
    genuine.call(this);
    for (const socket of socketsOf(this)) {
      // As in Node, one that waits for its first request is not idle.
      if (socket[kExchange] !== null && socket.parser && (!socket._httpMessage || socket._httpMessage.finished) && !busy(socket)) socket.destroy();
    }
    closeIdle(this);
  };
}

// busy: the answer is complete, and the program still reads the request.
function busy(socket) {
  return !socket[kExchange].over;
}

function closeIdle(server) {
  const listener = server[kListener];
  if (listener !== undefined) listener.idle.closeAll();
}

// socketsOf are the connections of a server, also after it was closed.
function socketsOf(server) {
  const listener = server[kListener];
  return listener === undefined ? [] : [...listener.sockets.values()];
}

// setSecureContext of a server that listens sends the daemon the new certificate.
function makeSetSecureContext(genuine) {
  return function setSecureContext(options) {
    genuine.call(this, options);
    const listener = this[kListener];
    if (listener === undefined || listener.closed) return;
    for (const r of listener.registrations) {
      front.renew(r).catch((err) => this.emit('error', listenError(err, { url: r.url })));
    }
  };
}

// install puts this under all servers whose prototype it is given.
function install(prototype) {
  const { listen, closeAllConnections, closeIdleConnections } = prototype;
  define(prototype, '_listen2', listen2);
  define(prototype, 'listen', makeListen(listen));
  define(prototype, 'closeAllConnections', makeCloseAll(closeAllConnections));
  define(prototype, 'closeIdleConnections', makeCloseIdle(closeIdleConnections));
  fragments.install(prototype);
  if (prototype.setSecureContext) define(prototype, 'setSecureContext', makeSetSecureContext(prototype.setSecureContext));
}

function define(object, name, value) {
  Object.defineProperty(object, name, { value, writable: true, configurable: true, enumerable: true });
}

module.exports = { install, kOldClient };
