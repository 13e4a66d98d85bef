'use strict';

// An ordinary Express program: nothing in it knows of httpsys. The demo runs it
// with `node --require httpsys/register`, and so it shares its ports with the Go
// programs and has HTTPS without a key.

const http = require('http');
const https = require('https');
const express = require('express');

const app = express();
app.get('/', (req, res) => {
  res.type('text/plain').send(`Express ${require('express/package.json').version} on Node ${process.version}, over ${req.protocol}, to ${req.ip}\n`);
});
app.post('/echo', express.json(), (req, res) => res.json(req.body));
app.get('/ticks', async (req, res) => { // goes out as it comes
  for (let i = 0; i < 3; i++) {
    res.write(`tick ${i}\n`);
    await new Promise((resolve) => { setTimeout(resolve, 300); });
  }
  res.end();
});

http.createServer(app).listen(process.env.PORT || 8080);
if (process.env.HTTPS_PORT) https.createServer(app).listen(process.env.HTTPS_PORT);
process.on('SIGTERM', () => process.exit());
