'use strict';

// HTTPS without a key in the program: the certificate is what an administrator has
// bound, with `httpsys add sslcert ipport=0.0.0.0:8443 cert=FILE key=FILE
// clientcertnegotiation=enable`, so that clients are asked for one of their own.

const https = require('../../../node').https();

https.createServer({}, (req, res) => {
  const { authorized, authorizationError, getPeerCertificate } = req.client;
  if (getPeerCertificate === undefined) res.end('Hello, stranger!\n');
  else if (authorized) res.end(`Hello, ${getPeerCertificate().subject}!\n`);
  else res.end(`${getPeerCertificate().subject}, your certificate is not in order: ${authorizationError}\n`);
}).listen(process.argv[2] || 'https://*:8443/', function listening() {
  console.log(this.urls[0]);
});
