'use strict';

// Info is the second argument of a handler: what a Request does not say.

const { handshake, ServerWebSocket, MAX_PAYLOAD } = require('../websocket/socket');
const { place } = require('../socket');
const { TRUSTED, agreed, x509 } = require('../tls');
const { RequestFlag } = require('../channel/frame');
const { LightResponse } = require('./response');

const kUpgrade = Symbol('httpsys upgrade');
const PROTOCOLS = { 10: '1.0', 11: '1.1', 20: '2', 30: '3' };
const TOKEN = /^[!#$%&'*+\-.^_`|~\w]+$/;
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

class Info {
  #x;

  constructor(x) { this.#x = x; }

  get remoteAddr() { return address(this.#x.text[3]); }
  get localAddr() { return address(this.#x.text[4]); }
  get protocol() { return PROTOCOLS[this.#x.version]; }
  get secure() { return this.#x.secure; }

  // clientCertificate is what the client has shown, and the daemon's verdict on it;
  // undefined if it has shown none.
  get clientCertificate() {
    const { facts } = this.#x;
    if (facts === undefined || facts.presented === 0) return undefined;
    return { authorized: facts.verdict === TRUSTED, verdict: facts.verdictName, reason: facts.verdictText, certificate: x509(facts) };
  }

  // tls is what the client and the daemon have agreed on; undefined without TLS.
  get tls() {
    return agreed(this.#x.facts);
  }

  // waitUntil keeps the server from closing before the promise is settled.
  waitUntil(promise) {
    this.#x.server.waitUntil(promise);
  }

  // passThroughOnException is what the workers' convention has; nothing lies
  // behind this server that a request could pass to.
  passThroughOnException() {}

  // respondInformation sends a 1xx response before the final one.
  respondInformation(status, headers = {}) {
    if (!Number.isInteger(status) || status < 102 || status > 199) throw new RangeError(`status ${status} is not informational, or not the program's to send`);
    let text = `HTTP/1.1 ${status} \r\n`;
    const list = headers instanceof Headers ? [...headers] : Object.entries(headers);
    for (const [name, value] of list) {
      for (const one of [].concat(value)) {
        if (!TOKEN.test(name) || !VALUE.test(`${one}`)) throw new TypeError(`the header ${name} is not valid`);
        text += `${name}: ${one}\r\n`;
      }
    }
    if (this.#x.version >= 11) this.#x.informational(`${text}\r\n`);
  }

  // upgradeWebSocket accepts a WebSocket: the handler returns `response`, and
  // `socket` opens then.
  upgradeWebSocket({ protocol, maxPayload = MAX_PAYLOAD } = {}) {
    const x = this.#x;
    if (!(maxPayload > 0)) throw new RangeError('maxPayload is a number of bytes');
    if ((x.requestFlags & RequestFlag.UPGRADE) === 0 || !x.complete) throw new TypeError('the request does not ask for a WebSocket');
    const { headers, url } = x.request;
    const head = handshake(x.text[0], (name) => headers.get(name), protocol);
    const socket = new ServerWebSocket(url.replace(/^http/, 'ws'), protocol || '', maxPayload);
    x.accepted = socket;
    const response = new LightResponse();
    response[kUpgrade] = { head, socket };
    return { socket, response };
  }
}

function address(text) {
  const { address: hostname, port } = place(text);
  return { transport: 'tcp', hostname, port };
}

module.exports = { Info, kUpgrade };
