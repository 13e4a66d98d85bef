'use strict';

// The same server with requests that are parsed already: what server.js does in its
// three steps, bodies included, is done by the daemon.

const { HTTPServer } = require('../../../node');

const server = new HTTPServer(undefined, process.argv[2] || 8000);

server.listen(async (request, response, error) => {
  if (error !== null) return; // the client has gone
  const body = await request.text();
  response.headers.set('Content-Type', 'text/plain');
  response.end(`${request.method} ${new URL(request.url).pathname}${body === '' ? '' : ` with ${body}`}\n`);
});

server.ready.then(() => console.log(server.url));
