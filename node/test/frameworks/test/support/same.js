'use strict';

// same runs one program on Node's own server and on httpsys, over plain TCP and
// over TLS, lets real clients talk to it, and compares what they saw.

const test = require('node:test');
const assert = require('node:assert');
const daemon = require('../../../support/daemon');
const { start } = require('./program');
const { Client } = require('./client');

const TIMEOUT = 120000;

// withDaemon starts the daemon of a test file.
function withDaemon() {
  let child;
  test.before(async () => { child = await daemon.start(); });
  test.after(() => { child.removeAllListeners('exit'); child.kill(); });
}

// both calls run on each transport, for Node and for httpsys, and compares.
function both(name, run, transports = [false, true]) {
  for (const tls of transports) {
    test(`${name} over ${tls ? 'TLS' : 'TCP'}`, { timeout: TIMEOUT }, async (t) => {
      const alone = await run(t, { ours: false, tls });
      const ours = await run(t, { ours: true, tls });
      assert.deepStrictEqual(ours, alone);
    });
  }
}

// same: talk(client, program) does what clients do, asserts what it should be,
// and returns what is to be equal.
function same(name, file, talk, { args = [], transports, env } = {}) {
  both(name, async (t, how) => {
    const program = await start(t, [`programs/${file}`, ...args], { ...how, env });
    const client = new Client(program.port, how.tls);
    try {
      return await talk(client, program, how);
    } finally {
      client.close();
      program.child.kill('SIGKILL');
    }
  }, transports);
}

module.exports = { withDaemon, both, same };
