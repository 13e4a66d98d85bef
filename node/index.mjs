// The same module for `import`: one copy of its state, whichever way it came in.

import httpsys from './index.js';

export const { slipstream, http, https, serve, Response, InboundTcpSocket, HTTPServer, httpsys_version } = httpsys;
export default httpsys;
