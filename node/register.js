'use strict';

// node --import httpsys/register app.js, or --require: nothing else to change.

require('./lib/slipstream').slipstream();
