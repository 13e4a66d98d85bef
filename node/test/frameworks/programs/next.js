'use strict';

// A Next program with a server of its own, as its documentation shows it.

const path = require('path');
const next = require('next');
const { createServer, ready } = require('./support');

const app = next({ dev: false, dir: path.join(__dirname, 'next-app') });
app.prepare().then(() => {
  const handle = app.getRequestHandler();
  const server = createServer((req, res) => handle(req, res));
  server.listen(Number(process.env.PORT || 0), () => ready(server));
});
