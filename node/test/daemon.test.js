'use strict';

// Where the daemon is: none, a private one, and one that goes away.

const test = require('node:test');
const assert = require('node:assert');
const childProcess = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { once } = require('node:events');
const daemon = require('./support/daemon');
const { request, freePort } = require('./support/client');

const timeout = 30000;
const register = path.join(__dirname, '..', 'register.js');

// program runs a file of JavaScript in a process of its own, with nothing but
// env to say where a daemon may be. It speaks in lines.
function program(t, text, env, args = ['--require', register], how = {}) {
  const dir = fs.mkdtempSync(path.join(daemon.dir, 'program-'));
  const file = path.join(dir, 'program.js');
  fs.writeFileSync(file, text);
  const child = childProcess.spawn(process.execPath, [...args, file], {
    env: { PATH: path.dirname(process.execPath), XDG_RUNTIME_DIR: dir, TMPDIR: dir, ...env }, stdio: ['pipe', 'pipe', 'pipe'], ...how,
  });
  t.after(() => child.kill('SIGKILL'));
  child.dir = dir;
  child.errors = '';
  child.stderr.on('data', (d) => { child.errors += d; });
  const lines = [];
  const waiting = [];
  let rest = '';
  child.stdout.on('data', (d) => {
    const parts = (rest + d).split('\n');
    rest = parts.pop();
    for (const line of parts) {
      if (waiting.length > 0) waiting.shift()(line);
      else lines.push(line);
    }
  });
  child.line = () => (lines.length > 0 ? Promise.resolve(lines.shift()) : new Promise((resolve) => { waiting.push(resolve); }));
  return child;
}

const SERVER = `
const http = require('http');
const server = http.createServer((req, res) => res.end('pid ' + process.pid));
server.on('error', (err) => { console.log(err.code + ' ' + err.syscall + ' ' + err.message); });
server.listen(0, () => console.log(server.address().port));
`;

// privateSocket is where a program's own daemon is.
const privateSocket = (child) => path.join(child.dir, `httpsys-private-${process.geteuid()}-${child.pid}`, 'httpsys.sock');

// gone resolves when a private daemon has ended: its folder goes with it.
async function gone(dir) {
  while (fs.existsSync(dir)) await new Promise((resolve) => { setTimeout(resolve, 10); }); // between two looks
}

test('a private daemon, which ends with the program, however that ends', { timeout }, async (t) => {
  for (const signal of ['SIGTERM', 'SIGKILL']) {
    const child = program(t, SERVER, { HTTPSYS_NATIVE: daemon.program() });
    const port = Number(await child.line());
    const r = await request(port);
    assert.strictEqual(r.body, `pid ${child.pid}`, child.errors);
    const socket = privateSocket(child);
    assert.ok(fs.existsSync(socket));
    child.kill(signal);
    await once(child, 'exit');
    await gone(path.dirname(socket));
  }
});

test('Ctrl-C is for the program alone, which says when its daemon ends', { timeout }, async (t) => {
  const child = program(t, `${SERVER}
    process.once('SIGINT', () => console.log('not yet'));
    server.on('daemonStop', () => console.log('daemonStop'));
  `, { HTTPSYS_NATIVE: daemon.program() }, ['--require', register], { detached: true });
  const port = Number(await child.line());
  for (let i = 0; i < 20; i++) {
    if (i === 5) {
      process.kill(-child.pid, 'SIGINT'); // to the whole group, as a terminal does
      assert.strictEqual(await child.line(), 'not yet');
    }
    assert.strictEqual((await request(port)).status, 200, child.errors);
  }
  process.kill(-child.pid, 'SIGINT');
  await once(child, 'exit');
  assert.strictEqual(child.errors, '');
  await gone(path.dirname(privateSocket(child)));
});

test('a private daemon found in PATH', { timeout }, async (t) => {
  const child = program(t, SERVER, { PATH: `${path.dirname(process.execPath)}:${path.dirname(daemon.program())}` });
  assert.strictEqual((await request(Number(await child.line()))).body, `pid ${child.pid}`);
  assert.ok(fs.existsSync(privateSocket(child)));
});

test('no daemon: one clear error, with the code that Node has for it', { timeout }, async (t) => {
  const child = program(t, SERVER, { HTTPSYS_SOCKET: '/nonexistent/httpsys.sock' });
  const line = await child.line();
  assert.match(line, /^ENOENT listen listen ENOENT: no httpsys daemon at \/nonexistent\/httpsys\.sock: start it with `httpsys serve`, or unset HTTPSYS_SOCKET/);
  const [status] = await once(child, 'exit');
  assert.strictEqual(status, 0, 'nothing keeps the process');
});

test('HTTPSYS_NATIVE names nothing that can be run', { timeout }, async (t) => {
  for (const file of ['/nonexistent/httpsys', __filename, __dirname]) {
    const child = program(t, SERVER, { HTTPSYS_NATIVE: file });
    // A test may be run where a daemon of root is.
    const line = await child.line();
    if (!/^\d+$/.test(line)) assert.match(line, new RegExp(`^ENOENT listen listen ENOENT: HTTPSYS_NATIVE is ${file}, which is no program that can be run`));
  }
});

test('no folder for a private daemon', { timeout }, async (t) => {
  const child = program(t, SERVER, { HTTPSYS_NATIVE: daemon.program(), TMPDIR: '/proc' });
  assert.match(await child.line(), /^E[A-Z]+ listen .*cannot make a folder for a private daemon: .* choose another place with TMPDIR/);
});

test('no daemon: serve() rejects, and ends the process if nobody looks', { timeout }, async (t) => {
  const child = program(t, `require(${JSON.stringify(path.join(__dirname, '..'))}).serve({ port: 0, fetch() {} })`, { HTTPSYS_SOCKET: '/nonexistent/s' });
  const [status] = await once(child, 'exit');
  assert.strictEqual(status, 1);
  assert.match(child.errors, /no httpsys daemon at \/nonexistent\/s/);
});

test('HTTPSYS_FALLBACK=native uses Node itself', { timeout }, async (t) => {
  const child = program(t, SERVER, { HTTPSYS_SOCKET: '/nonexistent/httpsys.sock', HTTPSYS_FALLBACK: 'native' });
  assert.strictEqual((await request(Number(await child.line()))).body, `pid ${child.pid}`);
});

test('a program that is not the daemon', { timeout }, async (t) => {
  const child = program(t, SERVER, { HTTPSYS_NATIVE: '/bin/false' });
  assert.match(await child.line(), /^ECONNREFUSED listen .*\/bin\/false serve ended with status 1/);
});

test('a daemon that goes away and comes back', { timeout }, async (t) => {
  let d = await daemon.start();
  d.removeAllListeners('exit');
  const child = program(t, `
    const http = require('http');
    process.on('warning', (w) => console.log(w.code));
    const server = http.createServer((req, res) => {
      if (req.url !== '/wait') return res.end('x');
      req.on('close', () => console.log('request closed ' + req.aborted));
      console.log('begun');
    });
    server.listen(0, () => console.log(server.address().port));
  `, { HTTPSYS_SOCKET: daemon.socket });
  const port = Number(await child.line());
  const lost = request(port, { path: '/wait' }).then((r) => r.status, (err) => err.code);
  assert.strictEqual(await child.line(), 'begun');
  await daemon.stop(d, 'SIGKILL');
  assert.strictEqual(await lost, 'ECONNRESET');
  assert.deepStrictEqual([await child.line(), await child.line()].sort(), ['HTTPSYS_LOST', 'request closed true']);
  d = await daemon.start();
  t.after(() => daemon.stop(d.removeAllListeners('exit')));
  for (;;) { // until the program has found it
    const answer = await request(port).then((r) => r.body, (err) => err.code);
    if (answer === 'x') break;
    assert.strictEqual(answer, 'ECONNREFUSED');
    await new Promise((resolve) => { setTimeout(resolve, 10); });
  }
});

const CLUSTER = `
const cluster = require('cluster');
const http = require('http');
if (cluster.isPrimary) {
  let up = 0;
  for (let i = 0; i < 3; i++) cluster.fork();
  cluster.on('listening', (worker, address) => { if (++up === 3) console.log(address.port); });
  cluster.on('exit', (worker) => console.log('exit ' + worker.process.pid));
} else {
  http.createServer((req, res) => {
    if (req.url === '/die') process.kill(process.pid, 'SIGKILL');
    else if (req.url.startsWith('/slow')) setTimeout(() => res.end('pid ' + process.pid), 300);
    else res.end('pid ' + process.pid);
  }).listen(PORT);
}
`;

test('cluster: one queue, the listening event, and a worker that dies', { timeout }, async (t) => {
  const d = await daemon.start();
  t.after(() => daemon.stop(d.removeAllListeners('exit')));
  const child = program(t, CLUSTER.replace('PORT', await freePort()), { HTTPSYS_SOCKET: daemon.socket });
  const port = Number(await child.line());
  const pids = new Set();
  const ask = () => Promise.all(Array.from({ length: 30 }, (_, i) => request(port, { path: `/${i}` })));
  for (const r of await ask()) pids.add(r.body);
  assert.strictEqual(pids.size, 3);
  const slow = Array.from({ length: 6 }, (_, i) => request(port, { path: `/slow?${i}` }).then((r) => r.status));
  assert.strictEqual((await request(port, { path: '/die' })).status, 502);
  const dead = (await child.line()).replace('exit', 'pid');
  assert.ok(pids.has(dead));
  for (const r of await ask()) assert.ok(r.status === 200 && r.body !== dead);
  await Promise.all(slow); // those of the dead worker have failed, none hangs
});

test('cluster: a worker that is disconnected finishes what it has, and gets nothing more', { timeout }, async (t) => {
  const d = await daemon.start();
  t.after(() => daemon.stop(d.removeAllListeners('exit')));
  const kinds = {
    http: "http.createServer((req, res) => answer(req.url, (text) => res.end(text))).listen(PORT)",
    serve: "httpsys.serve({ port: PORT, fetch: (req) => new Promise((resolve) => answer(new URL(req.url).pathname, (text) => resolve(new Response(text)))) })",
  };
  for (const [name, listen] of Object.entries(kinds)) {
    const child = program(t, `
      const cluster = require('cluster');
      const http = require('http');
      const httpsys = require(${JSON.stringify(path.join(__dirname, '..'))});
      if (cluster.isPrimary) {
        const leaving = cluster.fork();
        cluster.once('listening', (worker, { port }) => {
          console.log(port);
          process.stdin.once('data', () => {
            const other = cluster.fork();
            cluster.once('listening', () => leaving.disconnect());
            leaving.once('disconnect', () => console.log('disconnected'));
            leaving.once('exit', (code) => console.log('exit ' + code));
            process.stdin.once('data', () => leaving.process.kill('SIGUSR2'));
          });
        });
      } else {
        const held = [];
        const answer = (url, end) => {
          if (url !== '/held') return end(String(cluster.worker.id));
          held.push(end);
          console.log('begun');
        };
        process.on('SIGUSR2', () => held.forEach((end) => end('released')));
        ${listen.replace('PORT', await freePort())};
      }
    `, { HTTPSYS_SOCKET: daemon.socket });
    const port = Number(await child.line());
    const held = request(port, { path: '/held' });
    assert.strictEqual(await child.line(), 'begun', child.errors);
    child.stdin.write('x');
    assert.strictEqual(await child.line(), 'disconnected', name);
    for (let row = 0; row < 20;) { // soon the other one answers all
      const r = await request(port);
      assert.strictEqual(r.status, 200, name);
      row = r.body === '2' ? row + 1 : 0;
    }
    child.stdin.write('x');
    assert.strictEqual((await held).body, 'released', name);
    assert.strictEqual(await child.line(), 'exit 0', name);
    child.kill('SIGKILL');
  }
});

test('cluster: port 0 is another in each worker, with requests of its own', { timeout }, async (t) => {
  const d = await daemon.start();
  t.after(() => daemon.stop(d.removeAllListeners('exit')));
  const child = program(t, `
    const cluster = require('cluster');
    if (cluster.isPrimary) {
      cluster.fork();
      cluster.fork();
    } else {
      const server = require(${JSON.stringify(path.join(__dirname, '..'))}).serve({
        url: 'http://127.0.0.1:0/', fetch: () => new Response(String(server.port)), onListen: () => console.log(server.port),
      });
    }
  `, { HTTPSYS_SOCKET: daemon.socket });
  for (const port of [await child.line(), await child.line()]) {
    for (let i = 0; i < 10; i++) assert.strictEqual((await request(Number(port))).body, port);
  }
});

test('cluster with a private daemon: the worker that started it costs only what it had begun', { timeout }, async (t) => {
  const child = program(t, `
    const cluster = require('cluster');
    const http = require('http');
    if (cluster.isPrimary) {
      const first = cluster.fork();
      cluster.once('listening', () => { // it has started the daemon
        const second = cluster.fork();
        cluster.once('listening', (worker, { port }) => {
          console.log(port);
          process.stdin.once('data', () => first.kill('SIGKILL'));
          cluster.once('exit', () => second.send('release'));
        });
      });
    } else {
      let held = [];
      http.createServer((req, res) => {
        if (held === null) return res.end('');
        console.log('begun ' + cluster.worker.id);
        held.push(res);
      }).listen(${await freePort()});
      process.on('message', () => {
        held.forEach((res) => res.end(''));
        held = null;
      });
    }
  `, { HTTPSYS_NATIVE: daemon.program() });
  const port = Number(await child.line());
  const answers = [];
  const begun = { 1: 0, 2: 0 };
  while (begun[1] === 0 || begun[2] === 0) {
    answers.push(request(port).then((r) => r.status));
    begun[(await child.line()).slice(6)]++;
  }
  child.stdin.write('kill');
  const all = await Promise.all(answers);
  assert.strictEqual(all.filter((status) => status === 200).length, begun[2], child.errors);
  assert.strictEqual(all.filter((status) => status === 502).length, begun[1]);
  assert.strictEqual((await request(port)).status, 200); // the port was not closed meanwhile
  assert.strictEqual(child.errors, '', 'the daemon was not lost');
});

test('cluster with a private daemon: it outlives the worker that started it', { timeout }, async (t) => {
  const child = program(t, CLUSTER.replace('PORT', await freePort()), { HTTPSYS_NATIVE: daemon.program() });
  const port = Number(await child.line());
  for (let i = 0; i < 2; i++) {
    await request(port, { path: '/die' }).catch(() => {});
    await child.line();
    for (;;) {
      const r = await request(port).catch(() => ({}));
      if (r.status === 200) break;
      await new Promise((resolve) => { setTimeout(resolve, 10); });
    }
  }
});
