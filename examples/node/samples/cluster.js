'use strict';

// Four processes take requests from one queue; one that dies is replaced.

const cluster = require('cluster');
const http = require('../../../node').http();

if (cluster.isPrimary) {
  for (let i = 0; i < 4; i++) cluster.fork();
  cluster.on('listening', (worker, address) => console.log(`process ${worker.process.pid} listens on port ${address.port}`));
  cluster.on('exit', () => cluster.fork());
} else {
  http.createServer((req, res) => {
    if (req.url.endsWith('/die')) process.exit(1);
    res.end(`process ${process.pid}\n`);
  }).listen(process.argv[2] || 'http://*:8080/cluster/');
}
