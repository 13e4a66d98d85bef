'use strict';

// The recorded frames of the channel, which the Go implementation reads too.

const fs = require('fs');
const path = require('path');

const file = path.join(__dirname, '..', '..', '..', 'internal', 'wire', 'channel', 'testdata', 'vectors.json');

// bytes reads the hexadecimal spelling of docs/channel.md section 10.
function bytes(hex) {
  return Buffer.concat(hex.split(/\s+/).filter(Boolean).map((group) => {
    const [digits, times] = group.split('*');
    const b = Buffer.from(digits, 'hex');
    return times ? Buffer.alloc(b.length * Number(times), b) : b;
  }));
}

// text reads a string of the words: one character for each byte.
function text(word) {
  return typeof word === 'object' && word !== null ? word.repeat.repeat(word.times) : word;
}

module.exports = { ...JSON.parse(fs.readFileSync(file, 'utf8')), bytes, text };
