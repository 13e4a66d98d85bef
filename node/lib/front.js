'use strict';

// The front of this thread: its one session with the daemon, and what it has
// registered there. A session that ends is replaced, and everything is
// registered again; requests that were in flight have ended as if their clients
// had left.

const { AsyncResource } = require('async_hooks');
const { Exchange } = require('./channel/exchange');
const { Session } = require('./channel/session');
const { disconnected } = require('./http-exchange');
const { locate } = require('./daemon');
const { ANY_PORT } = require('./prefix');
const { onDisconnect } = require('./workers');
const settings = require('./settings');

const RETRY_FIRST = 50;
const RETRY_LAST = 5000;

// Connections are made in the context of the module, not of whoever listens
// first: what is in an AsyncLocalStorage there must not reach every request.
const root = new AsyncResource('HTTPSYS');

let session = null;
let opening = null;
let retry = null;
let delay = RETRY_FIRST;
const registrations = new Set();
const waiting = new Set(); // registrations that a lost session took with it
const byId = new Map(); // the daemon's number → registration

// A worker that leaves its cluster takes no more requests.
onDisconnect(() => {
  for (const listener of new Set([...registrations].map((r) => r.listener))) listener.stop();
});

// A registration: { url, queue, timeouts, tell, exchange, referenced, registered(result),
// refused(err), accepted(loop, facts, client, local) }. The class `exchange` is what its requests become.

// Unregistered answers what was on its way when its prefix was given back.
class Unregistered extends Exchange {
  begin() {
    this.respondFields(503, '', ['Retry-After', '1', 'Connection', 'close']);
    this.end();
  }
}

// exchangeOf makes the exchange of a request.
function exchangeOf(loop, stream, flags, b, start, end) {
  const id = (b[start + 8] | b[start + 9] << 8 | b[start + 10] << 16 | b[start + 11] << 24) >>> 0;
  const registration = byId.get(id);
  const Class = registration === undefined ? Unregistered : registration.exchange;
  return new Class(loop, stream, flags, b, start, end, registration);
}

// accepted tells the owner of a port of a connection that has come.
function accepted(loop, facts, { registration, client, local }) {
  const r = byId.get(registration);
  if (r !== undefined && r.accepted !== undefined) r.accepted(loop, facts, client, local);
}

// binding counts the register calls whose answers are on their way.
let binding = 0;

function routable(id) {
  return binding === 0 || byId.has(id);
}

function open() {
  if (opening !== null) return opening;
  opening = root.runInAsyncScope(async () => {
    const path = await locate();
    const options = { window: settings.window, credit: settings.credit, exchange: exchangeOf, routable, connections: 'all', accepted, disconnected: (loop, facts) => disconnected(facts), daemonStops };
    const s = new Session(path, options, (err) => ended(s, err));
    session = s;
    updateRef();
    await s.opened;
    delay = RETRY_FIRST;
    return s;
  });
  opening.catch(() => { opening = null; });
  return opening;
}

// register binds a prefix; it resolves with the daemon's answer.
async function register(registration) {
  // Within one queue the daemon lets a prefix be registered twice, so that
  // processes can share it; two servers of one process cannot.
  const url = registration.url.toLowerCase();
  for (const r of registrations) {
    if (r.url.toLowerCase() === url && !ANY_PORT.test(url)) throw taken();
  }
  registrations.add(registration);
  updateRef();
  try {
    const s = await open();
    return await bind(s, registration);
  } catch (err) {
    registrations.delete(registration);
    closeIfUnused();
    throw err;
  }
}

function taken() {
  return Object.assign(new Error('another server of this process listens there'), { daemonCode: 'already_exists' });
}

// renew registers once more, with parameters that have changed. The daemon has them
// before clients get the answers that follow: who asks again asks under the new ones.
async function renew(registration) {
  const { id, session: s } = registration;
  if (id === undefined) return;
  s.pause();
  try {
    await bind(s, registration);
  } finally {
    s.resume();
  }
}

async function bind(s, registration) {
  const { url, queue, timeouts, certificate, affinity = settings.affinity, compress = settings.compress } = registration;
  const params = { url };
  if (queue !== undefined) params.queue = queue;
  if (settings.queueLength !== undefined) params.limit = settings.queueLength;
  if (affinity !== undefined) params.affinity = affinity;
  const wanted = registration.tell && registration.tell();
  if (wanted) params.tell = wanted;
  if (compress) params.compress = true;
  const chosen = timeouts && timeouts();
  if (chosen) params.timeouts = chosen;
  if (registration.errorPages === false) params.error_pages = false;
  if (registration.requireHost === false) params.require_host = false;
  const own = certificate && certificate();
  if (own) params.certificate = own;
  let result;
  binding++;
  try {
    result = await s.call('register', params);
    const other = byId.get(result.id); // the same prefix in another spelling
    if (other !== undefined && other !== registration && registrations.has(other)) throw taken();
    registration.calls = registration.id === result.id ? registration.calls + 1 : 1;
    registration.id = result.id;
    registration.url = result.url; // with the port that it has, for the next session
    registration.session = s;
    byId.set(result.id, registration);
  } finally {
    binding--;
    // In a turn of its own: whoever waits for the registration is told first.
    setImmediate(() => { if (!s.over) s.proceed(); });
  }
  if (!registrations.has(registration)) { // given back meanwhile
    release(registration);
  }
  return result;
}

// unregister gives a prefix back; it resolves when no more requests are routed.
async function unregister(registration) {
  registrations.delete(registration);
  try {
    await release(registration);
  } finally {
    closeIfUnused();
  }
}

async function release(registration) {
  const { id, calls, session: s } = registration;
  if (id === undefined) return;
  registration.id = undefined;
  if (s === session && !s.over) {
    await Promise.all(Array.from({ length: calls }, () => s.call('unregister', { id }).catch(() => {})));
    // What was on its way to this process is there, on other connections: read it first.
    for (let turns = 0; turns < 2; turns++) await new Promise((resolve) => { setImmediate(resolve); });
  }
  if (byId.get(id) === registration) byId.delete(id);
}

// daemonStops tells the servers that what is relayed, WebSockets above all, ends in
// some seconds.
function daemonStops() {
  const listeners = new Set();
  for (const r of registrations) if (r.listener !== undefined && r.listener.daemonStops !== undefined) listeners.add(r.listener);
  for (const listener of listeners) listener.daemonStops();
}

// ended is called when a session is over: get another one if it is needed.
function ended(s, err) {
  if (session !== s) return;
  session = null;
  opening = null;
  byId.clear();
  const lost = [];
  for (const r of registrations) {
    if (r.id === undefined) continue; // its first registration fails by itself
    r.id = undefined;
    lost.push(r);
  }
  if (lost.length === 0) return;
  process.emitWarning(`lost the daemon (${err.message}); connecting again`, { type: 'HttpsysWarning', code: 'HTTPSYS_LOST' });
  again(lost);
}

// again connects after a while and registers what was lost.
function again(list) {
  for (const r of list) waiting.add(r);
  if (retry !== null || waiting.size === 0) return;
  retry = setTimeout(async () => {
    retry = null;
    const lost = [...waiting];
    waiting.clear();
    let s;
    try {
      s = await open();
    } catch {
      delay = Math.min(delay * 2, RETRY_LAST);
      again(lost);
      return;
    }
    for (const r of lost) {
      if (!registrations.has(r)) continue;
      try {
        await bind(s, r);
      } catch (err) {
        if (s.over) { // once more, with those that ended has not seen
          again(lost.filter((l) => registrations.has(l) && l.id === undefined));
          return;
        }
        registrations.delete(r);
        r.refused(err);
      }
    }
  }, delay);
  updateRef();
}

function updateRef() {
  let referenced = false;
  for (const r of registrations) referenced = referenced || r.referenced;
  if (session !== null) {
    if (referenced || busy()) session.ref();
    else session.unref();
  }
  if (retry !== null) {
    if (referenced) retry.ref();
    else retry.unref();
  }
}

function busy() {
  return session !== null && session.loops.some((loop) => loop.open > 0);
}

// closeIfUnused ends the session when nothing is registered and nothing is left
// to answer.
function closeIfUnused() {
  if (registrations.size > 0 || session === null) {
    updateRef();
    return;
  }
  if (busy()) {
    for (const loop of session.loops) loop.onIdle = closeIfUnused;
    updateRef();
    return;
  }
  const s = session;
  session = null;
  opening = null;
  s.leave();
}

module.exports = { register, unregister, renew, updateRef, current: () => session, capabilities: () => (session === null ? [] : session.capabilities) };
