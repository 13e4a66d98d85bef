'use strict';

// socket.io over both transports, and in a cluster, where long polling works only
// if each client stays with the worker that has its session.

const test = require('node:test');
const assert = require('node:assert');
const childProcess = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { once } = require('node:events');
const daemon = require('./support/daemon');
const pki = require('./support/pki');
const httpsys = require('..');
const { Server } = require('./deps/node_modules/socket.io');
const { io } = require('./deps/node_modules/socket.io-client');
const { listening, freePort } = require('./support/client');

const timeout = 60000;
let child;
test.before(async () => { child = await daemon.start(); });
test.after(() => child.removeAllListeners('exit') && child.kill());

const ca = pki.authority('root');
const pair = pki.issue(ca, 'localhost');

for (const secure of [false, true]) {
  for (const transport of ['polling', 'websocket']) {
    test(`${transport}${secure ? ' over TLS' : ''}`, { timeout }, async (t) => {
      const server = secure ? httpsys.https().createServer(pair) : httpsys.http().createServer();
      const log = [];
      const closed = [];
      const sockets = new Server(server);
      sockets.on('connection', (socket) => {
        log.push('connection');
        socket.on('say', (word, answer) => { log.push(word); answer(word.toUpperCase()); });
        socket.on('disconnect', () => { log.push('disconnect'); closed.forEach((f) => f()); });
      });
      const port = await listening(t, server);
      const client = io(`${secure ? 'https' : 'http'}://127.0.0.1:${port}`, { transports: [transport], ca: ca.cert, rejectUnauthorized: false });
      t.after(() => client.close());
      await once(client, 'connect');
      for (const word of ['one', 'two', 'three', 'four']) assert.strictEqual(await client.emitWithAck('say', word), word.toUpperCase());
      const gone = new Promise((resolve) => { closed.push(resolve); });
      client.close();
      await gone;
      assert.deepStrictEqual(log, ['connection', 'one', 'two', 'three', 'four', 'disconnect']);
      assert.strictEqual(client.connected, false);
      sockets.engine.close();
    });
  }
}

test('a cluster keeps each client with its worker', { timeout }, async (t) => {
  const file = path.join(fs.mkdtempSync(path.join(daemon.dir, 'io-')), 'app.js');
  fs.writeFileSync(file, `
    const cluster = require('cluster');
    if (cluster.isPrimary) {
      let up = 0;
      for (let i = 0; i < 3; i++) cluster.fork();
      cluster.on('listening', (worker, address) => { if (++up === 3) console.log(address.port); });
    } else {
      const http = require('http');
      const { Server } = require(${JSON.stringify(path.join(__dirname, 'deps', 'node_modules', 'socket.io'))});
      const server = http.createServer();
      new Server(server).on('connection', (socket) => socket.on('who', (answer) => answer(process.pid)));
      server.listen(${await freePort()});
    }
  `);
  const app = childProcess.spawn(process.execPath, ['--require', path.join(__dirname, '..', 'register.js'), file], {
    env: { ...process.env, HTTPSYS_AFFINITY: 'query:sid' }, stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(() => app.kill());
  const [port] = await once(app.stdout, 'data');
  const pids = new Set();
  for (let i = 0; i < 12; i++) {
    const client = io(`http://127.0.0.1:${Number(port)}`, { transports: ['polling'], forceNew: true, reconnection: false });
    await Promise.race([once(client, 'connect'), once(client, 'connect_error').then(([err]) => assert.fail(err))]);
    const pid = await client.emitWithAck('who');
    pids.add(pid);
    for (let k = 0; k < 5; k++) assert.strictEqual(await client.emitWithAck('who'), pid);
    client.close();
  }
  assert.ok(pids.size > 1, 'clients are spread');
});
