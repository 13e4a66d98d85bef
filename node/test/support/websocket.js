'use strict';

// WebSockets over HTTP/2 (RFC 8441): Node's client of HTTP/2 opens an extended
// CONNECT by hand, and ws speaks on its stream.

const http2 = require('node:http2');
const { once } = require('node:events');
const { WebSocket } = require('../deps/node_modules/ws');

const MOST = 100; // streams of one connection

function lookup(name, options, cb) {
  if (options.all) cb(null, [{ address: '127.0.0.1', family: 4 }]);
  else cb(null, '127.0.0.1', 4);
}

// openHTTP2 gives a function that opens one more WebSocket, on as few connections
// as the server lets it. They end with the test.
function openHTTP2(t, base, options = {}) {
  let session;
  let streams = 0;
  const sessions = [];
  t.after(() => sessions.forEach((s) => s.destroy()));
  return async (path = '/', protocol = undefined) => {
    if (streams++ % MOST === 0) {
      session = http2.connect(base, { lookup, ...options });
      session.on('error', () => {}); // its streams say so, too
      sessions.push(session);
      session.ready = once(session, 'remoteSettings');
    }
    const own = session;
    const [settings] = await own.ready;
    if (!settings.enableConnectProtocol) throw new Error('the server takes no extended CONNECT');
    const stream = own.request({
      ':method': 'CONNECT', ':protocol': 'websocket', ':path': path, 'sec-websocket-version': '13',
      ...(protocol === undefined ? {} : { 'sec-websocket-protocol': protocol }),
    });
    stream.on('error', () => {}); // a WebSocket that has ended hears of it no more
    const [headers] = await once(stream, 'response');
    if (headers[':status'] !== 200) throw new Error(`extended CONNECT: ${headers[':status']}`);
    // A WebSocket without an address is a server's, which gets the socket of an
    // upgrade. A client's differs in that it masks what it sends.
    const ws = new WebSocket(null, undefined, { autoPong: true, closeTimeout: 30000 });
    ws._isServer = false;
    ws.headers = headers;
    ws.setSocket(stream, Buffer.alloc(0), { maxPayload: 100 << 20, allowSynchronousEvents: true, skipUTF8Validation: false });
    return ws;
  };
}

module.exports = { openHTTP2 };
