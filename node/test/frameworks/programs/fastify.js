'use strict';

const { Readable } = require('stream');
const { tls } = require('./support');
const fastify = require('fastify')({ https: tls || undefined, keepAliveTimeout: 7000 });

const seen = [];
fastify.addHook('onResponse', async (request, reply) => { seen.push(`${request.method} ${request.url} ${reply.statusCode}`); });
fastify.register(require('@fastify/websocket'));
fastify.get('/', async () => ({ hello: 'world' }));
fastify.get('/facts', async (request) => [request.ip, request.protocol, request.hostname.split(':')[0], typeof request.id]);
fastify.post('/checked', {
  schema: {
    body: { type: 'object', required: ['n'], properties: { n: { type: 'integer' } } },
    response: { 200: { type: 'object', properties: { twice: { type: 'integer' } } } },
  },
}, async (request) => ({ twice: request.body.n * 2, dropped: true }));
fastify.get('/stream', (request, reply) => {
  reply.type('text/plain').send(Readable.from(['one ', 'two ', 'three']));
});
fastify.get('/throws', async () => { throw Object.assign(new Error('no tea'), { statusCode: 418 }); });
fastify.get('/hijacked', (request, reply) => {
  reply.hijack();
  reply.raw.writeHead(200, { 'Content-Type': 'text/x-raw' });
  reply.raw.end('raw');
});
fastify.get('/seen', async () => seen);
fastify.register(async (f) => {
  f.get('/ws', { websocket: true }, (socket) => socket.on('message', (m) => socket.send(`ws ${m}`)));
});
fastify.listen({ port: Number(process.env.PORT || 0) }).then(() => console.log(`listening on ${fastify.server.address().port}`));
