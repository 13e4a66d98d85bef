'use strict';

// What `npm pack` makes works from a fresh folder, as the README says: the package
// alone beside a daemon, and with the platform package without one.

const test = require('node:test');
const assert = require('node:assert');
const childProcess = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { promisify } = require('node:util');
const daemon = require('./support/daemon');
const { request, freePort } = require('./support/client');

const execFile = promisify(childProcess.execFile);
const timeout = 60000;
const root = path.join(__dirname, '..');

// npm runs as it does for everybody, and asks nobody: the package needs nothing.
const npm = (cwd, ...args) => execFile('npm', [...args, '--offline', '--no-audit', '--no-fund'], { cwd, env: { ...process.env, npm_config_update_notifier: 'false' } });

// platform makes the platform package around the daemon that is tested.
function platform(dir) {
  fs.mkdirSync(path.join(dir, 'bin'), { recursive: true });
  fs.copyFileSync(daemon.program(), path.join(dir, 'bin', 'httpsys'));
  fs.chmodSync(path.join(dir, 'bin', 'httpsys'), 0o755);
  fs.writeFileSync(path.join(dir, 'package.json'), JSON.stringify({ name: `@httpsys/${process.platform}-${process.arch}`, version: '0.1.0' }));
}

// readme is the first program of the README, for a port of its own.
function readme(port) {
  const text = fs.readFileSync(path.join(root, 'README.md'), 'utf8');
  const [, program] = /```js\n([^]*?)```/.exec(text);
  assert.ok(program.split('\n').filter(Boolean).length <= 5, 'five lines');
  assert.ok(program.includes(':8080/'));
  return program.replace(':8080/', `:${port}/`);
}

async function answers(t, dir, env) {
  const port = await freePort();
  fs.writeFileSync(path.join(dir, 'app.js'), readme(port));
  const child = childProcess.spawn(process.execPath, ['app.js'], { cwd: dir, env, stdio: ['ignore', 'inherit', 'inherit'] });
  t.after(() => child.kill('SIGKILL'));
  for (;;) {
    const r = await request(port, { path: '/foo/' }).catch((err) => err);
    if (r.code !== 'ECONNREFUSED') return r;
    assert.strictEqual(child.exitCode, null);
    await new Promise((resolve) => { setTimeout(resolve, 20); });
  }
}

test('the package from a fresh folder', { timeout }, async (t) => {
  const dir = fs.mkdtempSync(path.join(daemon.dir, 'fresh-'));
  const { stdout } = await npm(root, 'pack', '--pack-destination', dir, '--json');
  const [{ filename, files }] = JSON.parse(stdout);
  const names = files.map((f) => f.path);
  for (const name of ['index.js', 'index.mjs', 'index.d.ts', 'register.js', 'register.d.ts', 'README.md', 'LICENSE', 'lib/front.js']) assert.ok(names.includes(name), name);
  assert.ok(!names.some((name) => name.startsWith('test')));
  const app = path.join(dir, 'app');
  fs.mkdirSync(app);
  fs.writeFileSync(path.join(app, 'package.json'), '{"name":"app","private":true}');
  await npm(app, 'install', path.join(dir, filename));
  const meta = JSON.parse(fs.readFileSync(path.join(app, 'node_modules', 'httpsys', 'package.json')));
  assert.strictEqual(meta.dependencies, undefined);

  await t.test('beside a daemon', async (t2) => {
    const d = await daemon.start();
    t2.after(() => daemon.stop(d.removeAllListeners('exit')));
    const r = await answers(t2, app, process.env);
    assert.strictEqual(r.status, 200);
    assert.match(r.body, /hello/);
  });
  await t.test('with the platform package, and no daemon', async (t2) => {
    const where = path.join(dir, 'platform');
    platform(where);
    await npm(app, 'install', where);
    const { HTTPSYS_SOCKET, HTTPSYS_NATIVE, ...env } = process.env;
    const r = await answers(t2, app, { ...env, PATH: path.dirname(process.execPath), XDG_RUNTIME_DIR: dir, TMPDIR: dir });
    assert.strictEqual(r.status, 200);
    assert.match(r.body, /hello/);
  });
});
