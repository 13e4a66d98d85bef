'use strict';

// A program under test: a process of its own, started as a user starts it.

const childProcess = require('child_process');
const fs = require('fs');
const path = require('path');
const daemon = require('../../../support/daemon');

const root = path.join(__dirname, '..', '..');

// certificate makes a key and a certificate once for a test file.
let files = null;
function certificate() {
  if (files !== null) return files;
  files = { key: path.join(daemon.dir, 'key.pem'), cert: path.join(daemon.dir, 'cert.pem') };
  childProcess.execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2',
    '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1', '-keyout', files.key, '-out', files.cert], { stdio: 'ignore' });
  return files;
}

// start runs a program of this folder, alone or on httpsys, and resolves when
// it says where it listens.
function start(t, args, { ours, tls, env = {}, ready = /listening on (\d+)/ }) {
  const { key, cert } = tls ? certificate() : {};
  const child = childProcess.spawn(process.execPath, [...(ours ? ['--import', 'httpsys/register'] : []), ...args], {
    cwd: root, stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, NODE_ENV: 'production', ...(tls ? { TLS_KEY: key, TLS_CERT: cert } : {}), ...env },
  });
  const program = { child, output: '', waiting: new Set() };
  const said = (text) => {
    program.output += text;
    for (const look of program.waiting) look();
  };
  child.stdout.on('data', said);
  child.stderr.on('data', said);
  program.ended = new Promise((resolve) => child.on('close', resolve));
  // until resolves when the output matches, and rejects when the program ends before.
  program.until = (pattern) => new Promise((resolve, reject) => {
    const look = () => {
      const m = pattern.exec(program.output);
      if (m === null) return;
      program.waiting.delete(look);
      resolve(m);
    };
    program.waiting.add(look);
    program.ended.then((status) => reject(new Error(`${args.join(' ')} ended with status ${status}:\n${program.output}`)));
    look();
  });
  t.after(() => {
    child.kill('SIGKILL');
    return program.ended;
  });
  return program.until(ready).then((m) => Object.assign(program, { port: Number(m[1]) }));
}

// run runs a program to its end and gives its standard output.
function run(args, { ours, tls, env = {} }) {
  const { key, cert } = tls ? certificate() : {};
  return new Promise((resolve, reject) => {
    childProcess.execFile(process.execPath, [...(ours ? ['--import', 'httpsys/register'] : []), ...args], {
      cwd: root, env: { ...process.env, ...(tls ? { TLS_KEY: key, TLS_CERT: cert } : {}), ...env },
    }, (err, stdout, stderr) => (err ? reject(Object.assign(err, { message: `${err.message}\n${stderr}` })) : resolve(stdout)));
  });
}

function ca() {
  return fs.readFileSync(certificate().cert);
}

module.exports = { start, run, ca, root };
