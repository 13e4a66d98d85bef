'use strict';

// What the workers of a cluster share.

const cluster = require('cluster');
const crypto = require('crypto');

// queueName names the queue that all workers of a cluster share for a prefix.
function queueName(url) {
  if (!cluster.isWorker) return undefined;
  const name = `node-cluster-${process.ppid} ${url}`;
  return name.length <= 200 ? name : `node-cluster-${process.ppid} ${crypto.createHash('sha256').update(url).digest('hex')}`;
}

module.exports = { queueName };
