'use strict';

// What the package exports, and every way in.

const test = require('node:test');
const assert = require('node:assert');
const childProcess = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { promisify } = require('node:util');
const daemon = require('./support/daemon');

const root = path.join(__dirname, '..');
const execFile = promisify(childProcess.execFile);
const timeout = 60000;

let child;
test.before(async () => { child = await daemon.start(); });
test.after(() => child.removeAllListeners('exit') && child.kill());

// app makes a folder in which the package is installed, with files in it.
function app(t, files) {
  const dir = fs.mkdtempSync(path.join(daemon.dir, 'app-'));
  fs.mkdirSync(path.join(dir, 'node_modules'));
  fs.symlinkSync(root, path.join(dir, 'node_modules', 'httpsys'));
  for (const [name, text] of Object.entries(files)) fs.writeFileSync(path.join(dir, name), text);
  return dir;
}

async function run(dir, args, env = {}) {
  const { stdout } = await execFile(process.execPath, args, { cwd: dir, env: { ...process.env, NODE_OPTIONS: '', ...env }, timeout: 30000 });
  return stdout.trim();
}

// A program that asks itself, says whether the daemon has answered, and ends.
const BODY = `
const server = createServer((req, res) => { res.setHeader('X-On', req.httpsys ? 'httpsys' : 'node'); res.end('hello'); });
server.listen(0, '127.0.0.1', () => {
  const req = http.get({ port: server.address().port, host: '127.0.0.1', agent: false }, (res) => {
    console.log([res.headers['x-on'], typeof http.httpsys_version].join(' '));
    res.resume();
    server.close();
  });
});
`;

test('the exports, by require and by import, are the same', { timeout }, async (t) => {
  const dir = app(t, {
    'a.mjs': `
      import def, { slipstream, http, https, serve, Response, InboundTcpSocket, HTTPServer, httpsys_version } from 'httpsys';
      import { createRequire } from 'module';
      const own = createRequire(import.meta.url)('httpsys');
      console.log(own === def, Object.keys(own).join(), [slipstream, http, https, serve, Response, InboundTcpSocket, HTTPServer, httpsys_version].every((v) => Object.values(own).includes(v)),
        typeof http.slipstream, typeof https.slipstream, http() === http(), typeof http().createServer, http().httpsys_version === httpsys_version,
        https().httpsys_version === httpsys_version, http().request === (await import('http')).request);`,
  });
  assert.strictEqual(await run(dir, ['a.mjs']),
    'true slipstream,http,https,serve,Response,InboundTcpSocket,HTTPServer,httpsys_version true function function true function true true true');
});

test('every way in', { timeout }, async (t) => {
  const dir = app(t, {
    'plain.js': `const http = require('http'); const { createServer } = http; ${BODY}`,
    'plain.mjs': `import http, { createServer } from 'node:http'; ${BODY}`,
    'slip.js': `const http = require('http'); const { createServer } = http; require('httpsys').slipstream(); ${BODY}`,
    'slip.mjs': `import { createServer } from 'node:http'; import http from 'node:http'; import { slipstream } from 'httpsys'; slipstream(); ${BODY}`,
    'http.slip.js': `require('httpsys').http.slipstream(); const http = require('http'); const { createServer } = http; ${BODY}`,
    'door.js': `const http = require('httpsys').http(); const { createServer } = http; ${BODY}`,
    'import.mjs': `import 'httpsys/register'; import http, { createServer } from 'node:http'; ${BODY}`,
    'thread.js': `const { Worker } = require('worker_threads'); new Worker(require.resolve('./plain.js'), { argv: [] });`,
  });
  const ours = 'httpsys string';
  const ways = {
    none: run(dir, ['plain.js']),
    require: run(dir, ['--require', 'httpsys/register', 'plain.js']),
    import: run(dir, ['--import', 'httpsys/register', 'plain.js']),
    'require, ESM': run(dir, ['--require', 'httpsys/register', 'plain.mjs']),
    'import, ESM': run(dir, ['--import', 'httpsys/register', 'plain.mjs']),
    NODE_OPTIONS: run(dir, ['plain.js'], { NODE_OPTIONS: '--import httpsys/register' }),
    'slipstream()': run(dir, ['slip.js']),
    'slipstream(), ESM': run(dir, ['slip.mjs']),
    'http.slipstream()': run(dir, ['http.slip.js']),
    'http()': run(dir, ['door.js']),
    'import in the program': run(dir, ['import.mjs']),
    thread: run(dir, ['--import', 'httpsys/register', 'thread.js']),
  };
  const all = {};
  await Promise.all(Object.entries(ways).map(async ([name, said]) => { all[name] = await said; }));
  assert.deepStrictEqual(all, {
    none: 'node undefined', require: ours, import: ours, 'require, ESM': ours, 'import, ESM': ours, NODE_OPTIONS: ours,
    'slipstream()': ours, 'slipstream(), ESM': ours, 'http.slipstream()': ours, 'http()': ours, 'import in the program': ours, thread: ours,
  });
});

// test/lines/run runs this file on every line; types are the same on all.
if ((process.env.HTTPSYS_LINE || '20') === '20') test('types', { timeout }, async (t) => {
  const deps = path.join(__dirname, 'deps', 'node_modules');
  const dir = app(t, { 'types.ts': fs.readFileSync(path.join(__dirname, 'types.ts')) });
  fs.symlinkSync(path.join(deps, '@types'), path.join(dir, 'node_modules', '@types'));
  fs.symlinkSync(path.join(deps, 'undici-types'), path.join(dir, 'node_modules', 'undici-types'));
  await execFile(process.execPath, [path.join(deps, 'typescript', 'bin', 'tsc'), '--noEmit', '--strict', '--skipLibCheck', '--esModuleInterop',
    '--preserveSymlinks', '--target', 'es2022', '--module', 'node16', 'types.ts'], { cwd: dir }).catch((err) => assert.fail(err.stdout));
});
