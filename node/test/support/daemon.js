'use strict';

// A daemon for a test file: a program of its own with a socket and a data folder
// of its own. Whoever requires this file first gets HTTPSYS_SOCKET set.

const childProcess = require('child_process');
const fs = require('fs');
const os = require('os');
const path = require('path');

const root = path.join(__dirname, '..', '..', '..');
const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'httpsys-node-test-'));
const socket = path.join(dir, 'httpsys.sock');
process.env.HTTPSYS_SOCKET = socket;
delete process.env.HTTPSYS_FALLBACK;
process.on('exit', () => fs.rmSync(dir, { recursive: true, force: true }));

// program is the daemon to test with: HTTPSYS_BIN, or that of this tree, which
// `npm test` builds.
function program() {
  const file = process.env.HTTPSYS_BIN || path.join(root, 'bin', 'httpsys');
  if (!fs.existsSync(file)) throw new Error(`${file} is not there: run \`make\``);
  return file;
}

// start resolves when the daemon is ready.
function start() {
  return new Promise((resolve, reject) => {
    const child = childProcess.spawn(program(), ['serve', '--socket', socket, '--data', path.join(dir, 'data')], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    child.on('error', reject);
    child.on('exit', (code) => reject(new Error(`the daemon ended with status ${code}`)));
    child.stdout.on('data', (text) => { if (String(text).includes('ready on')) resolve(child); });
    process.on('exit', () => child.kill('SIGKILL'));
  });
}

// stop resolves when it has ended.
function stop(child, signal = 'SIGTERM') {
  return new Promise((resolve) => {
    child.once('exit', resolve);
    child.kill(signal);
  });
}

// admin runs the command line, for what only an administrator can ask.
function admin(...args) {
  return childProcess.execFileSync(program(), args, { encoding: 'utf8', env: { ...process.env, HTTPSYS_SOCKET: socket } });
}

module.exports = { start, stop, admin, program, socket, dir };
