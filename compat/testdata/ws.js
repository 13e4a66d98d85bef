'use strict';

// Clients of the npm package ws: node ws.js '[{"name", "url", "http2"}, …]' CA. On each URL
// the same conversation with an echo, and one line of JSON about it.

const assert = require('node:assert');
const fs = require('node:fs');
const { once } = require('node:events');
const { openHTTP2 } = require('../../node/test/support/websocket');
const { WebSocket } = require('../../node/test/deps/node_modules/ws');

const [list, file] = process.argv.slice(2);
const ca = fs.readFileSync(file);

async function open({ url, http2 }) {
  if (http2) return openHTTP2({ after() {} }, url, { ca })('/chat', 'echo');
  const ws = new WebSocket(`${url.replace(/^http/, 'ws')}/chat`, ['other', 'echo'], { ca, perMessageDeflate: { threshold: 0 } });
  await once(ws, 'open');
  return ws;
}

async function talk(where) {
  const seen = {};
  const ws = await open(where);
  seen.protocol = where.http2 ? ws.headers['sec-websocket-protocol'] : ws.protocol;
  const echo = async (data, options) => {
    ws.send(data, options);
    const [got, binary] = await once(ws, 'message');
    assert.strictEqual(binary, typeof data !== 'string');
    assert.ok(Buffer.from(data).equals(got), `${data.length} bytes came back as ${got.length}`);
  };
  for (const size of [0, 1, 125, 126, 65535, 65536, 1e6]) await echo(Buffer.alloc(size, 'ws'));
  await echo('tëxt');
  await echo('compressed '.repeat(1000), { compress: true });
  // One message of several fragments.
  ws.send('one ', { fin: false });
  ws.send('two ', { fin: false });
  ws.send('three');
  assert.strictEqual(String((await once(ws, 'message'))[0]), 'one two three');
  // Many, all at once, in order.
  const came = [];
  const all = new Promise((resolve) => { ws.on('message', (data) => came.push(String(data)) === 1000 && resolve()); });
  for (let i = 0; i < 1000; i++) ws.send(`m${i}`);
  await all;
  assert.deepStrictEqual(came, Array.from({ length: 1000 }, (_, i) => `m${i}`));
  ws.ping('are you there');
  seen.pong = String((await once(ws, 'pong'))[0]);
  ws.close(4001, 'done');
  [seen.closed] = await once(ws, 'close');
  // And one that vanishes.
  const gone = await open(where);
  gone.terminate();
  return seen;
}

(async () => {
  for (const where of JSON.parse(list)) {
    let seen;
    try {
      seen = await talk(where);
    } catch (err) {
      seen = { error: err.stack };
    }
    console.log(JSON.stringify({ name: where.name, ...seen }));
  }
  process.exit(0);
})();
