'use strict';

// Errors that programs see: Node's own codes for what has one, so that programs
// that look at err.code find what they know.

const os = require('os');

const CODES = {
  already_exists: 'EADDRINUSE',
  port_in_use: 'EADDRINUSE',
  access_denied: 'EACCES',
  address_not_available: 'EADDRNOTAVAIL',
  invalid_parameter: 'EINVAL',
  unsupported: 'ENOTSUP',
  limit: 'EMFILE',
  not_found: 'ENOENT',
  internal: 'EIO',
};

// listenError is what a server emits when it cannot listen.
function listenError(cause, where) {
  const code = CODES[cause.daemonCode] || cause.code || 'EIO';
  const place = where.url || `${where.address || '::'}:${where.port}`;
  const err = new Error(`listen ${code}: ${cause.message} (${place})`, { cause });
  err.code = code;
  if (os.constants.errno[code] !== undefined) err.errno = -os.constants.errno[code];
  err.syscall = 'listen';
  if (where.url) err.url = where.url;
  if (where.port !== undefined) {
    err.address = where.address || '::';
    err.port = where.port;
  }
  return err;
}

// reset is what a request sees whose client left in the middle.
function reset(message) {
  const err = new Error(message);
  err.code = 'ECONNRESET';
  return err;
}

function coded(Class, code, message) {
  const err = new Class(message);
  err.code = code;
  return err;
}

// refused tells the program that a response was not sent, and why.
function refused(why) {
  process.emitWarning(`a response was not sent: ${why}`, { type: 'HttpsysWarning', code: 'HTTPSYS_BAD_RESPONSE' });
}

module.exports = { listenError, reset, coded, refused };
