'use strict';

// What a URL prefix says.

const net = require('net');

// ANY_PORT: the daemon is to find a port.
const ANY_PORT = /^[a-z]+:\/\/(?:[^/\]]|\[[^\]]*\])*:0+(?:\/|$)/i;

// placeOf is the host of a prefix in canonical form without brackets, its port, and which version of IP it is
// an address of: 4, 6, or 0 for a name or a wildcard.
function placeOf(url) {
  const [, text, port] = /^[a-z]+:\/\/(\[[^\]]*\]|[^:/]*):(\d+)/.exec(url);
  const host = text.replace(/^\[|\]$/g, '');
  return { host, port: Number(port), version: net.isIP(host) };
}

module.exports = { ANY_PORT, placeOf };
