'use strict';

// An echo over WebSockets, without a library.

const { serve } = require('../../../node');

serve({
  url: process.argv[2] || 'http://*:8080/echo/',
  fetch(request, info) {
    if (request.headers.get('upgrade') !== 'websocket') return new Response('This is for WebSockets.\n', { status: 426 });
    const { socket, response } = info.upgradeWebSocket();
    socket.onmessage = (event) => socket.send(event.data);
    return response;
  },
  onListen: (server) => console.log(server.url),
});
