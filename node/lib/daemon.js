'use strict';

// Where the daemon is, and a private one where there is none.

const childProcess = require('child_process');
const fs = require('fs');
const os = require('os');
const path = require('path');
const cluster = require('cluster');
const connect = require('./channel/connect');
const { coded } = require('./errors');

const SYSTEM = '/run/httpsys/httpsys.sock';
const START_TIMEOUT = 10000;
const AGAIN = 50; // ms until one looks again whether another's daemon is ready

// places are the sockets to try, in order. trusted: the user named the place.
function places() {
  if (process.env.HTTPSYS_SOCKET) return { paths: [process.env.HTTPSYS_SOCKET], trusted: true };
  const uid = process.geteuid();
  const runtime = process.env.XDG_RUNTIME_DIR;
  if (uid === 0) return { paths: [SYSTEM], trusted: false };
  if (runtime && path.isAbsolute(runtime)) {
    return { paths: [path.join(runtime, 'httpsys', 'httpsys.sock'), SYSTEM], trusted: false };
  }
  return { paths: [`/tmp/httpsys-${uid}/httpsys.sock`, SYSTEM], trusted: false };
}

// reachable connects once to see whether a daemon listens there.
function reachable(socketPath) {
  return new Promise((resolve) => {
    const socket = connect(socketPath);
    socket.on('connect', () => { socket.destroy(); resolve(null); });
    socket.on('error', resolve);
  });
}

// owned says whether a place belongs to root or to this user: anybody can make a
// folder, or a link, in /tmp.
function owned(place) {
  try {
    const { uid } = fs.lstatSync(place);
    return uid === 0 || uid === process.geteuid();
  } catch {
    return false;
  }
}

// locate gives the path of a daemon that listens, or starts a private one.
async function locate() {
  const { paths, trusted } = places();
  let failure = null;
  for (const p of paths) {
    const err = await reachable(p);
    if (err === null) {
      if (trusted || owned(p)) return p;
      failure = coded(Error, 'EACCES', `the daemon at ${p} belongs to another user; set HTTPSYS_SOCKET if that is wanted`);
    } else if (failure === null || (err.code !== 'ENOENT' && failure.code === 'ENOENT')) {
      failure = coded(Error, err.code, `no httpsys daemon at ${paths.join(' or ')}: start it with \`httpsys serve\`, ${trusted
        ? 'or unset HTTPSYS_SOCKET, which says that it is there'
        : 'set HTTPSYS_SOCKET, or set HTTPSYS_NATIVE to the httpsys program to have a private one started'}`);
    }
  }
  if (trusted) throw failure;
  const program = binary();
  if (program !== null) return startPrivate(program);
  const named = process.env.HTTPSYS_NATIVE;
  throw named ? coded(Error, 'ENOENT', `HTTPSYS_NATIVE is ${named}, which is no program that can be run`) : failure;
}

// binary finds the httpsys program that may be started.
function binary() {
  const named = process.env.HTTPSYS_NATIVE;
  const candidates = named ? [named] : (process.env.PATH || '').split(':').filter(Boolean).map((dir) => path.join(dir, 'httpsys'));
  if (!named) {
    try {
      candidates.push(require.resolve(`@httpsys/${process.platform}-${process.arch}/bin/httpsys`));
    } catch { /* that package is optional */ }
  }
  for (const file of candidates) {
    try {
      fs.accessSync(file, fs.constants.X_OK);
      if (fs.statSync(file).isFile()) return file;
    } catch { /* the next one */ }
  }
  return null;
}

// startPrivate starts a daemon for this program, or for all workers of its
// cluster: the name of its folder is made from the process that they share. The
// first one starts it. It ends, and takes its folder along, when its standard input
// has ended, also because this process was killed, and no other worker uses it.
async function startPrivate(program, until = Date.now() + START_TIMEOUT) {
  const leader = cluster.isWorker ? process.ppid : process.pid;
  const dir = path.join(os.tmpdir(), `httpsys-private-${process.geteuid()}-${leader}`);
  try {
    fs.mkdirSync(dir, { mode: 0o700 });
  } catch (err) {
    if (err.code !== 'EEXIST') throw coded(Error, err.code, `cannot make a folder for a private daemon: ${err.message}: choose another place with TMPDIR`);
  }
  if (!owned(dir)) throw coded(Error, 'EACCES', `${dir} belongs to another user`);
  const socketPath = path.join(dir, 'httpsys.sock');
  if (await reachable(socketPath) === null) return socketPath;

  // In a process group of its own: Ctrl-C is for the program, which may have
  // requests to answer before it ends.
  const child = childProcess.spawn(program, ['serve', '--while-stdin', '--socket', socketPath, '--data', path.join(dir, 'data')], {
    stdio: ['pipe', 'pipe', 'pipe'], env: process.env, detached: true,
  });
  child.stdin.on('error', () => {}); // it has ended already
  let output = '';
  await new Promise((resolve, reject) => {
    const fail = (why) => reject(coded(Error, 'ECONNREFUSED', `${program} serve ${why}: ${output.trim()}`));
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      fail('is not ready after ten seconds');
    }, START_TIMEOUT);
    child.stdout.on('data', (text) => {
      output += text;
      if (!output.includes('httpsys: ready on ')) return;
      clearTimeout(timer);
      resolve();
    });
    child.stderr.on('data', (text) => { output = (output + text).slice(-2000); });
    child.on('error', (err) => { clearTimeout(timer); fail(err.message); });
    child.on('exit', async (code) => {
      clearTimeout(timer);
      // Another worker was faster: then its daemon is the one, as soon as it is
      // ready; or that of a worker before is about to end.
      if (await reachable(socketPath) === null) resolve();
      else if (output.includes('another httpsys') && Date.now() < until) setTimeout(() => startPrivate(program, until).then(resolve, reject), AGAIN);
      else fail(`ended with status ${code}`);
    });
  });
  child.unref();
  child.stdin.unref();
  child.stdout.unref();
  child.stderr.unref();
  return socketPath;
}

module.exports = { locate };
