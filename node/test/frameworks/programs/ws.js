'use strict';

const { WebSocketServer } = require('ws');
const { createServer, ready } = require('./support');

const server = createServer((req, res) => { res.statusCode = 426; res.end('WebSocket here'); });
const wss = new WebSocketServer({ noServer: true, perMessageDeflate: { threshold: 1000 }, handleProtocols: (all) => [...all][0] });
server.on('upgrade', (req, socket, head) => {
  if (req.url === '/no') {
    socket.end('HTTP/1.1 401 Unauthorized\r\nConnection: close\r\nContent-Length: 4\r\n\r\nwho?');
    return;
  }
  wss.handleUpgrade(req, socket, head, (ws) => wss.emit('connection', ws, req));
});
wss.on('connection', (ws, req) => {
  ws.send(JSON.stringify([req.url, req.headers.upgrade, req.httpVersion, ws.protocol]));
  ws.on('message', (data, binary) => {
    if (!binary && String(data) === 'close') ws.close(4001, 'as asked');
    else if (!binary && String(data) === 'terminate') ws.terminate();
    else if (!binary && String(data) === 'ping') ws.ping('are you there');
    else ws.send(data, { binary });
  });
  ws.on('pong', (data) => ws.send(`pong ${data}`));
});
server.listen(Number(process.env.PORT || 0), () => ready(server));
