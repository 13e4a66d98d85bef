'use strict';

require('./support').serve(require('./express-app')(require('express4')));
