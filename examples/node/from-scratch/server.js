'use strict';

// An HTTP server from scratch, on nothing but bytes. Clients send bytes in pieces
// of any size; the server must find where a request ends, read what it says, and write
// an answer in the same language. Run it with
//
//     node --require ./node/register.js examples/node/from-scratch/server.js 8000
//
// and ask it with curl http://localhost:8000/hello, or with nc localhost 8000.

const { InboundTcpSocket } = require('../../../node');

const END_OF_HEAD = '\r\n\r\n';

// Step 1: a request head is lines of text up to an empty line. Until that has come,
// keep what is there.
function takeHead(state) {
  const end = state.text.indexOf(END_OF_HEAD);
  if (end < 0) return null;
  const head = state.text.slice(0, end);
  state.text = state.text.slice(end + END_OF_HEAD.length);
  return head;
}

// Step 2: the first line says what is wanted, the others are fields.
function parse(head) {
  const [first, ...lines] = head.split('\r\n');
  const [, method, target, version] = /^([A-Z]+) (\S+) HTTP\/(1\.[01])$/.exec(first) || [];
  if (method === undefined) return null;
  const fields = new Map();
  for (const line of lines) {
    const [, name, value] = /^([!#$%&'*+.^_`|~\w-]+):[ \t]*(.*?)[ \t]*$/.exec(line) || [];
    if (name === undefined) return null;
    fields.set(name.toLowerCase(), value);
  }
  return { method, target, version, fields };
}

// Step 3: an answer says how long it is, so that the client knows where the next
// one begins.
function answer(status, text, close) {
  return `HTTP/1.1 ${status}\r\nContent-Type: text/plain\r\nContent-Length: ${Buffer.byteLength(text)}\r\n${close ? 'Connection: close\r\n' : ''}\r\n${text}`;
}

const server = new InboundTcpSocket(undefined, process.argv[2] || 8000);

server.listen((bytes, response) => {
  if (bytes === null) return; // the client has nothing more to say
  response.state = response.state || { text: '' };
  response.state.text += bytes.toString('latin1');
  if (response.state.text.length > 65536) { // nobody may fill our memory
    response.end(answer('431 Request Header Fields Too Large', 'too long\n', true));
    return;
  }
  for (let head = takeHead(response.state); head !== null; head = takeHead(response.state)) {
    const request = parse(head);
    if (request === null) {
      response.end(answer('400 Bad Request', 'that is not HTTP\n', true));
      return;
    }
    if (request.fields.has('content-length') || request.fields.has('transfer-encoding')) {
      response.end(answer('501 Not Implemented', 'bodies are for the next lesson\n', true));
      return;
    }
    const close = request.version === '1.0' || /close/i.test(request.fields.get('connection') || '');
    const text = answer('200 OK', `${request.method} ${request.target} from ${response.remoteAddress}\n`, close);
    if (close) {
      response.end(text);
      return;
    }
    response.write(text);
  }
});

server.ready.then(() => console.log(server.url));
