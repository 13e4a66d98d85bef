'use strict';

// How this module connects to the daemon: with what net had when the module was
// loaded. Programs and tracers replace Socket.prototype.connect to see their own
// connections, and these are none of theirs.

const net = require('net');

const { connect } = net.Socket.prototype;

// open connects to a Unix socket; onread is as in net.Socket.
module.exports = function open(path, onread) {
  return connect.call(new net.Socket(onread === undefined ? {} : { onread }), { path });
};
