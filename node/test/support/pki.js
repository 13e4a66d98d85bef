'use strict';

// Certificates for tests, made by openssl.

const childProcess = require('child_process');
const fs = require('fs');
const os = require('os');
const path = require('path');

const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'httpsys-node-pki-'));
process.on('exit', () => fs.rmSync(dir, { recursive: true, force: true }));

function openssl(...args) {
  childProcess.execFileSync('openssl', args, { cwd: dir, stdio: 'pipe' });
}

const read = (name) => fs.readFileSync(path.join(dir, name), 'latin1');
const KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];

// authority makes a certificate authority.
function authority(name) {
  openssl('req', '-x509', ...KEY, '-keyout', `${name}.key`, '-out', `${name}.pem`, '-days', '30', '-subj', `/O=httpsys/CN=${name}`);
  return { name, cert: read(`${name}.pem`) };
}

// issue makes a certificate: usage is clientAuth or serverAuth, days may be negative.
function issue(ca, name, { usage = 'serverAuth', days = 10 } = {}) {
  const file = `${ca.name}-${name}-${usage}`;
  openssl('req', ...KEY, '-keyout', `${file}.key`, '-out', `${file}.csr`, '-subj', `/C=DE/O=httpsys/CN=${name}`);
  fs.writeFileSync(path.join(dir, 'ext'), `subjectAltName=DNS:${name},IP:127.0.0.1\nextendedKeyUsage=${usage}\nbasicConstraints=CA:FALSE\n`);
  openssl('x509', '-req', '-in', `${file}.csr`, '-CA', `${ca.name}.pem`, '-CAkey', `${ca.name}.key`, '-CAcreateserial', '-days', String(days),
    '-out', `${file}.pem`, '-extfile', 'ext');
  return { cert: read(`${file}.pem`), key: read(`${file}.key`) };
}

// encrypted gives the key of a pair in encrypted form.
function encrypted({ key }, passphrase) {
  fs.writeFileSync(path.join(dir, 'plain.key'), key);
  openssl('pkcs8', '-topk8', '-in', 'plain.key', '-out', 'secret.key', '-passout', `pass:${passphrase}`);
  return read('secret.key');
}

// pfx packs a pair, and certificates of others, into a PKCS #12 file.
function pfx({ key, cert }, others, passphrase, ...options) {
  fs.writeFileSync(path.join(dir, 'pair'), key + cert + others.join(''));
  openssl('pkcs12', '-export', '-in', 'pair', '-out', 'pair.pfx', '-passout', `pass:${passphrase}`, ...options);
  return fs.readFileSync(path.join(dir, 'pair.pfx'));
}

module.exports = { authority, issue, encrypted, pfx };
