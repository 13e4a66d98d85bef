'use strict';

// What the genuine ServerResponse does on our sockets in fewer steps. For all other
// sockets its methods are what they were.

const http = require('http');
const { EventEmitter } = require('events');
const { kExchange, kServes } = require('./socket');

// nop is the callback that Node passes where a program gave none. There is no
// need to call it.
const nop = (() => {
  let seen;
  const message = new http.OutgoingMessage();
  message._writeRaw = (data, encoding, callback) => { seen = callback; };
  message._header = 'x';
  message.write('x');
  return seen;
})();

// closeResponse is the listener that the genuine class attaches to a socket for as
// long as a response is on it: it ends the response when the socket closes. On our
// sockets it stays.
const closeResponse = (() => {
  const socket = new EventEmitter();
  const message = Object.create(http.ServerResponse.prototype); // made without the constructor, which tracers count
  message._flush = () => {};
  message.emit = () => {};
  message.assignSocket(socket);
  return socket.listeners('close')[0];
})();

function install(prototype) {
  const { assignSocket, detachSocket, _finish } = prototype;

  prototype.assignSocket = function assign(socket) {
    if (socket[kServes] !== true || socket._httpMessage) {
      assignSocket.call(this, socket);
      return;
    }
    socket._httpMessage = this;
    this.socket = socket;
    this.emit('socket', socket);
    if (this.finished || this.outputData.length > 0) this._flush();
  };

  prototype.detachSocket = function detach(socket) {
    if (socket[kServes] !== true || socket._httpMessage !== this) {
      detachSocket.call(this, socket);
      return;
    }
    socket._httpMessage = null;
    this.socket = null;
  };

  // The response tells when it has written everything.
  prototype._finish = function finish() {
    _finish.call(this);
    const { socket } = this;
    const x = socket === null || socket === undefined ? undefined : socket[kExchange];
    if (x !== undefined && x !== null) x.finished();
  };

  for (const [name, genuine] of [['assignSocket', assignSocket], ['detachSocket', detachSocket], ['_finish', _finish]]) {
    Object.defineProperty(prototype[name], 'name', { value: genuine.name });
  }
}

module.exports = { install, nop, closeResponse };
