'use strict';

const { Server } = require('socket.io');
const { serve } = require('./support');

const server = serve((req, res) => res.end('beside socket.io'));
const io = new Server(server, { pingInterval: 500, maxHttpBufferSize: 5e6 });
io.use((socket, next) => (socket.handshake.auth.token === 'no' ? next(new Error('not you')) : next()));
io.on('connection', (socket) => {
  socket.emit('hello', socket.handshake.query.name, socket.handshake.secure);
  socket.join('room');
  socket.on('upper', (text, reply) => reply(text.toUpperCase()));
  socket.on('bytes', (bytes, reply) => reply(Buffer.from(bytes).reverse()));
  socket.on('tell', (text) => io.to('room').emit('told', text));
  socket.on('bye', () => socket.disconnect(true));
  socket.on('disconnect', (why) => console.log(`disconnected: ${why}`));
});
io.of('/admin').on('connection', (socket) => socket.emit('admin', true));
