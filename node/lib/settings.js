'use strict';

// What the environment says; read once. The names are those of the module that
// ran on HTTP.SYS, with the meaning that they have here (README, Environment).

// number: as a whole it has to be one, or 64k would be 64.
function number(name, standard, least, most) {
  const n = Number(process.env[name]);
  if (!(n > 0)) return standard;
  return Math.min(Math.max(Math.floor(n), least), most);
}

// affinity reads a list such as query:sid,cookie:io,address.
function affinity(text) {
  if (!text) return undefined;
  const a = {};
  for (const word of text.split(',').map((w) => w.trim())) {
    const [, kind, name] = /^(query|cookie):(.+)$/.exec(word) || [];
    if (kind !== undefined) a[kind] = name;
    else if (word === 'address') a.address = true;
    else throw new Error(`HTTPSYS_AFFINITY is ${text}: want query:NAME, cookie:NAME and address, with commas between them`);
  }
  return a;
}

// cacheDuration: a number of seconds turns output caching on; what is not one, and
// what is below 0, does not.
function cacheDuration(text) {
  if (text === undefined) return undefined;
  const seconds = Number(text);
  return seconds >= 0 ? Math.floor(seconds) : undefined;
}

// commandLine lists the options of this process, those of NODE_OPTIONS among them.
function commandLine() {
  return [...process.execArgv, ...(process.env.NODE_OPTIONS || '').split(' ')];
}

module.exports = Object.freeze({
  commandLine,
  // The daemon compresses responses, where that is worth it and safe.
  compress: ['1', 'true', 'yes', 'on'].includes(process.env.HTTPSYS_COMPRESS),
  // How long the daemon may answer in the place of this program; undefined: never.
  cacheDuration: cacheDuration(process.env.HTTPSYS_CACHE_DURATION),
  // By what the requests of one client are kept with one worker of a cluster.
  affinity: affinity(process.env.HTTPSYS_AFFINITY),
  // How much of a request body may come before the program has read it.
  window: number('HTTPSYS_BUFFER_SIZE', 65536, 16384, 16777216),
  // How many requests may wait at the daemon; undefined: its default.
  queueLength: number('HTTPSYS_REQUEST_QUEUE_LENGTH', undefined, 1, 65535),
  // How many requests may be on their way to this process, for each loop.
  credit: number('HTTPSYS_PENDING_READ_COUNT', 64, 1, 65535),
  // Certificates of clients have `encoded`, in the shape of httpsys.https().
  exportClientCertificate: process.env.HTTPSYS_EXPORT_CLIENT_CERT !== undefined,
  // Use Node's own server when there is no daemon.
  nativeFallback: process.env.HTTPSYS_FALLBACK === 'native',
});
