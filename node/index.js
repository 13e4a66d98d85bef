'use strict';

// httpsys: HTTP servers of Node.js behind the httpsys daemon.
//
//   slipstream()      all servers of node:http and node:https in this process
//   http(), https()   the exports of node:http and node:https, whose servers
//                     listen at the daemon while all others stay as they are
//   serve()           a server for a function from Request to Response
//   InboundTcpSocket, HTTPServer   for people who learn how servers work
//
// lib/front.js is the one session with the daemon, lib/channel/ the protocol,
// lib/listen.js the place where a genuine server meets it, lib/http-exchange.js
// one request on its way through the genuine classes, lib/fetch/ the same for
// serve().

const { slipstream, http, https, version } = require('./lib/slipstream');
const { serve, LightResponse } = require('./lib/fetch/server');
const { InboundTcpSocket, HTTPServer } = require('./lib/scratch');

module.exports = { slipstream, http, https, serve, Response: LightResponse, InboundTcpSocket, HTTPServer, httpsys_version: version };
