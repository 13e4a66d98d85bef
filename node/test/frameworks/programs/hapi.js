'use strict';

const { Readable } = require('stream');
const Hapi = require('@hapi/hapi');
const { tls } = require('./support');

const server = Hapi.server({ port: Number(process.env.PORT || 0), tls: tls || undefined });
server.state('n', { ttl: null, isSecure: false });
server.route([
  { method: 'GET', path: '/', handler: () => 'hapi' },
  { method: 'GET', path: '/facts', handler: (r) => [r.info.remoteAddress, r.server.info.protocol, r.info.host.split(':')[0], r.method] },
  { method: 'GET', path: '/stream', handler: (r, h) => h.response(Readable.from(['a', 'b', 'c'])).type('text/plain') },
  { method: 'POST', path: '/echo', options: { payload: { maxBytes: 3e6 } }, handler: (r) => r.payload },
  { method: 'POST', path: '/small', options: { payload: { maxBytes: 100 } }, handler: (r) => r.payload },
  { method: 'GET', path: '/cookie', handler: (r, h) => h.response(r.state).state('n', 'v') },
  { method: 'GET', path: '/throws', handler: () => { throw new Error('thrown'); } },
  { method: 'GET', path: '/etag', handler: (r, h) => h.response('tagged').etag('abc') },
]);
server.start().then(() => console.log(`listening on ${server.info.port}`));
