'use strict';

// How programs come to httpsys: slipstream() for all servers of the process,
// http() and https() for those that are made with what these return.

const http = require('http');
const https = require('https');
const { syncBuiltinESMExports } = require('module');
const { install, kOldClient } = require('./listen');
const { installResponse } = require('./fragments');
const { HttpExchange, kInfo } = require('./http-exchange');
const response = require('./response');
const { agreed } = require('./tls');
const { version } = require('../package.json');

const PROTOCOLS = { 10: '1.0', 11: '1.1', 20: '2', 30: '3' };

let prepared = false;
// prepare changes what both ways need: it has no effect on other servers.
function prepare() {
  if (prepared) return;
  prepared = true;
  installResponse(http.ServerResponse.prototype, (res) => {
    const x = res.req && res.req[kInfo];
    return x instanceof HttpExchange ? x : undefined;
  });
  response.install(http.ServerResponse.prototype);
  Object.defineProperty(http.IncomingMessage.prototype, 'httpsys', {
    configurable: true,
    enumerable: false,
    // What node:http has no property for.
    get() {
      const x = this[kInfo];
      if (!(x instanceof HttpExchange)) return undefined;
      return { protocol: PROTOCOLS[x.version], authority: x.text[2], connection: x.connection, get tls() { return agreed(x.facts); } };
    },
  });
}

const slipstreamed = new WeakSet();

// slipstreamInto patches methods of the genuine prototype and replaces no export:
// so it does not matter how early it runs, or how a program gets at the class.
function slipstreamInto(module) {
  if (slipstreamed.has(module)) return;
  slipstreamed.add(module);
  prepare();
  install(module.Server.prototype);
  module.httpsys_version = version;
  syncBuiltinESMExports();
}

// offspring copies the exports of a module, with a Server of its own.
function offspring(module) {
  prepare();
  const Genuine = module.Server;
  function Server(...args) {
    if (new.target === undefined && this instanceof Genuine) return Genuine.apply(this, args); // an ES5 constructor
    return Reflect.construct(Genuine, args, new.target === undefined ? Server : new.target);
  }
  Object.setPrototypeOf(Server, Genuine);
  Server.prototype = Object.create(Genuine.prototype, { constructor: { value: Server, writable: true, configurable: true } });
  // Programs of the old module know req.client in a shape of its own.
  Object.defineProperty(Server.prototype, kOldClient, { value: true });
  if (!slipstreamed.has(module)) install(Server.prototype);
  // Whoever asks whether a server is one means any server.
  Object.defineProperty(Server, Symbol.hasInstance, {
    value(object) {
      return this === Server ? object instanceof Genuine : Function.prototype[Symbol.hasInstance].call(this, object);
    },
  });
  const copy = Object.defineProperties({}, Object.getOwnPropertyDescriptors(module));
  copy.Server = Server;
  copy.createServer = (...args) => new Server(...args);
  copy.httpsys_version = version;
  return copy;
}

function door(module) {
  let copy = null;
  const get = () => copy || (copy = offspring(module));
  get.slipstream = () => slipstreamInto(module);
  return get;
}

function slipstream() {
  slipstreamInto(http);
  slipstreamInto(https);
}

module.exports = { slipstream, http: door(http), https: door(https), version };
