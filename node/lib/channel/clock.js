'use strict';

// The time for what is done with each request of a batch: it is asked for at the
// batch's beginning and end, and not for each. Outside of batches it is asked for
// each time.

let time = 0;
let fresh = false;

// begin and end stand around the handling of a batch. What the batch has put off to
// the next tick still sees the time of its end.
function begin() {
  fresh = true;
  return (time = performance.now());
}

function end() {
  time = performance.now();
  process.nextTick(forget);
}

function forget() {
  fresh = false;
}

// now is in milliseconds, as performance.now.
function now() {
  return fresh ? time : performance.now();
}

module.exports = { begin, end, now };
