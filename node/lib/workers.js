'use strict';

// What a worker of a cluster has to do with the others, and with the primary.

const cluster = require('cluster');
const crypto = require('crypto');
const { ANY_PORT } = require('./prefix');

// queueName names the queue that all workers of a cluster share for a prefix. With
// port 0 each has a prefix of its own, and so a queue.
function queueName(url) {
  if (!cluster.isWorker || ANY_PORT.test(url)) return undefined;
  const name = `node-cluster-${process.ppid} ${url}`;
  return name.length <= 200 ? name : `node-cluster-${process.ppid} ${crypto.createHash('sha256').update(url).digest('hex')}`;
}

// tellPrimary makes the primary emit 'listening' for this worker, which programs
// wait for. address: null for all.
function tellPrimary(address, port, addressType) {
  if (!cluster.isWorker || !process.connected) return;
  cluster.worker.state = 'listening';
  process.send({ cmd: 'NODE_CLUSTER', act: 'listening', address, port, addressType, fd: undefined });
}

// onDisconnect calls back when this worker was told to take no more requests, or has
// said so (worker.disconnect). What listens through the primary is closed by Node
// then; what listens at the daemon is not known to it.
function onDisconnect(callback) {
  if (cluster.isWorker) cluster.worker.once('disconnect', callback);
}

module.exports = { queueName, tellPrimary, onDisconnect };
