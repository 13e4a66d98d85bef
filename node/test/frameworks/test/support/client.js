'use strict';

// A real client of a program under test. What it reports is what must be equal
// on Node's own server and on httpsys: everything but the time and the port.

const http = require('http');
const https = require('https');
const { ca } = require('./program');

class Client {
  constructor(port, tls) {
    this.port = port;
    this.tls = tls;
    // Of every request. The daemon has a cache, which is tested elsewhere.
    this.headers = { 'Cache-Control': 'no-store' };
    this.options = { host: 'localhost', port, ...(tls ? { ca: ca() } : {}) };
    this.agent = new (tls ? https : http).Agent({ keepAlive: true, maxSockets: 4, ...this.options });
    this.url = `${tls ? 'https' : 'http'}://localhost:${port}`;
    this.ws = `${tls ? 'wss' : 'ws'}://localhost:${port}`;
  }

  // request resolves with the whole answer; cut: it was not complete.
  request(method, path, { headers = {}, body } = {}) {
    return new Promise((resolve, reject) => {
      const req = (this.tls ? https : http).request({ ...this.options, agent: this.agent, method, path, headers: { ...this.headers, ...headers } }, (res) => {
        const chunks = [];
        res.on('data', (d) => chunks.push(d));
        const done = (cut) => resolve({
          status: res.statusCode, message: res.statusMessage, headers: this.plain(res.headers), trailers: res.trailers,
          body: this.normal(Buffer.concat(chunks).toString('latin1')), ...(cut ? { cut: true } : {}),
        });
        res.on('end', () => done(false));
        res.on('error', () => done(true));
      });
      req.on('error', reject);
      req.end(body);
    });
  }

  get(path, headers) { return this.request('GET', path, { headers }); }

  post(path, body, type = 'application/json') {
    return this.request('POST', path, {
      headers: { 'Content-Type': type }, body: type === 'application/json' && !Buffer.isBuffer(body) ? JSON.stringify(body) : body,
    });
  }

  // plain leaves out what differs from one run to the next.
  plain(headers) {
    const { date, ...rest } = headers;
    return { ...JSON.parse(this.normal(JSON.stringify(rest))), ...(date ? { date: !Number.isNaN(Date.parse(date)) } : {}) };
  }

  normal(text) { return text.replaceAll(String(this.port), 'PORT'); }

  close() { this.agent.destroy(); }
}

module.exports = { Client };
