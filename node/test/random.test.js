'use strict';

// Programs by chance. Those that no good program is cost nobody but themselves. And by
// hand, each over node:http and over httpsys: what clients and listeners see is the same,
// wherever Node's own server decides it. A difference wants to be looked at: some are
// those of docs/node-compatibility.md.
//
//	HTTPSYS_SEEDS=1000-2000 node --test test/random.test.js

const test = require('node:test');
const assert = require('node:assert');
const net = require('node:net');
const { once } = require('node:events');
const { inspect } = require('node:util');
const nodeHttp = require('node:http');
const daemon = require('./support/daemon');
const { talk } = require('./support/client');
const { make, host, differs } = require('./support/programs');
const httpsysHttp = require('..').http();

const [FROM, TO] = (process.env.HTTPSYS_SEEDS || '130-200').split('-').map(Number);
const SHORT = 200; // milliseconds that a program has on Node before it is passed over
const LONG = 8000;

let child;
let node;
let ours;
test.before(async () => {
  child = await daemon.start();
  node = await host(nodeHttp);
  ours = await host(httpsysHttp);
});
test.after(async () => {
  await Promise.all([node.close(), ours.close()]);
  child.removeAllListeners('exit');
  child.kill();
});

// compare runs a program until its outcomes are equal. One whose outcome on Node is not
// the same each time, or that Node does not end, says nothing.
async function compare(program) {
  let difference;
  for (let tries = 0; tries < 4; tries++) {
    const first = await node.run(program, SHORT);
    if (differs(program, first, await node.run(program, SHORT)) !== null) return null;
    difference = differs(program, first, await ours.run(program, LONG));
    if (!difference) return null;
  }
  return difference;
}

test('what Node decides is the same here', { timeout: 3600000, skip: process.env.HTTPSYS_SEEDS ? false : 'by hand' }, async () => {
  for (let seed = FROM; seed < TO; seed++) {
    const program = make(seed);
    const difference = await compare(program);
    if (difference) assert.strictEqual(difference[1], difference[0], inspect(program, { depth: 9, breakLength: 120 }));
  }
});

// neighbour is a client of the same process: each of its requests has its answer.
function neighbour(port) {
  return talk(port, 'GET /neighbour HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n');
}

test('what no good program does costs nobody else', { timeout: 3600000 }, async () => {
  const warnings = (warning) => { if (warning.name !== 'HttpsysWarning') throw warning; };
  process.on('warning', warnings);
  // It begins before the others and ends behind them: the session is the same.
  let last;
  const steady = httpsysHttp.createServer((req, res) => {
    res.write('begun, ');
    last = res;
  }).listen(0);
  await once(steady, 'listening');
  const socket = net.connect(steady.address().port, '127.0.0.1');
  let got = '';
  socket.setEncoding('latin1').on('data', (d) => { got += d; });
  socket.write('GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n');
  while (!got.includes('begun')) await once(socket, 'data');

  for (let seed = FROM; seed < TO; seed++) {
    const program = make(seed, true);
    const [text] = await Promise.all([neighbour(ours.servers[program.server].address().port), ours.run(program, SHORT)]);
    assert.match(text, /^HTTP\/1.1 200 OK[^]*neighbour$/, inspect(program, { depth: 9, breakLength: 120 }));
    assert.ok(!socket.destroyed && !last.destroyed, inspect(program, { depth: 9, breakLength: 120 }));
  }
  last.end('ended');
  await once(socket, 'end');
  assert.match(got, /ended/);
  process.removeListener('warning', warnings);
  await new Promise((resolve) => { steady.close(resolve); });
});
