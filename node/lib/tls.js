'use strict';

// TLS in both directions: what the daemon tells of a client's connection, in the
// shapes that Node and the old module give it, and the certificate that a program
// brings, in the shape that the daemon takes.

const crypto = require('crypto');
const tls = require('tls');
const { coded } = require('./errors');
const { pemOf } = require('./pfx');

const TRUSTED = 1; // docs/channel.md section 4.1
const RESUMED = 1;

const VERSIONS = { 0x0301: 'TLSv1', 0x0302: 'TLSv1.1', 0x0303: 'TLSv1.2', 0x0304: 'TLSv1.3' };

// IANA's number of a cipher suite → OpenSSL's name, IANA's name, and the version
// of TLS that brought it, as OpenSSL says it.
const SUITES = {
  0x1301: ['TLS_AES_128_GCM_SHA256', 'TLS_AES_128_GCM_SHA256', 'TLSv1.3'],
  0x1302: ['TLS_AES_256_GCM_SHA384', 'TLS_AES_256_GCM_SHA384', 'TLSv1.3'],
  0x1303: ['TLS_CHACHA20_POLY1305_SHA256', 'TLS_CHACHA20_POLY1305_SHA256', 'TLSv1.3'],
  0xc02b: ['ECDHE-ECDSA-AES128-GCM-SHA256', 'TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256', 'TLSv1.2'],
  0xc02c: ['ECDHE-ECDSA-AES256-GCM-SHA384', 'TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384', 'TLSv1.2'],
  0xc02f: ['ECDHE-RSA-AES128-GCM-SHA256', 'TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256', 'TLSv1.2'],
  0xc030: ['ECDHE-RSA-AES256-GCM-SHA384', 'TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384', 'TLSv1.2'],
  0xcca8: ['ECDHE-RSA-CHACHA20-POLY1305', 'TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256', 'TLSv1.2'],
  0xcca9: ['ECDHE-ECDSA-CHACHA20-POLY1305', 'TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256', 'TLSv1.2'],
  0xc023: ['ECDHE-ECDSA-AES128-SHA256', 'TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256', 'TLSv1.2'],
  0xc027: ['ECDHE-RSA-AES128-SHA256', 'TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256', 'TLSv1.2'],
  0xc009: ['ECDHE-ECDSA-AES128-SHA', 'TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA', 'TLSv1.0'],
  0xc00a: ['ECDHE-ECDSA-AES256-SHA', 'TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA', 'TLSv1.0'],
  0xc013: ['ECDHE-RSA-AES128-SHA', 'TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA', 'TLSv1.0'],
  0xc014: ['ECDHE-RSA-AES256-SHA', 'TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA', 'TLSv1.0'],
  0x009c: ['AES128-GCM-SHA256', 'TLS_RSA_WITH_AES_128_GCM_SHA256', 'TLSv1.2'],
  0x009d: ['AES256-GCM-SHA384', 'TLS_RSA_WITH_AES_256_GCM_SHA384', 'TLSv1.2'],
  0x003c: ['AES128-SHA256', 'TLS_RSA_WITH_AES_128_CBC_SHA256', 'TLSv1.2'],
  0x002f: ['AES128-SHA', 'TLS_RSA_WITH_AES_128_CBC_SHA', 'SSLv3'],
  0x0035: ['AES256-SHA', 'TLS_RSA_WITH_AES_256_CBC_SHA', 'SSLv3'],
};

// OpenSSL's word for a verdict. Where OpenSSL looks at the chain more closely,
// verifyError does, too.
const ERRORS = {
  2: 'CERT_HAS_EXPIRED',
  3: 'CERT_NOT_YET_VALID',
  6: 'CERT_SIGNATURE_FAILURE',
  7: 'CERT_SIGNATURE_FAILURE',
  8: 'INVALID_PURPOSE',
  9: 'INVALID_CA',
  10: 'CERT_REJECTED',
  11: 'CERT_REVOKED',
  12: 'UNABLE_TO_GET_CRL',
  13: 'UNABLE_TO_GET_CRL',
};
const UNTRUSTED_ROOT = 4;
const INCOMPLETE = 5;
const NOT_PRESENTED = 0;

function selfSigned(der) {
  const certificate = new crypto.X509Certificate(der);
  return certificate.subject === certificate.issuer;
}

// verifyError is the value of authorizationError of a server that asked for a
// certificate; null if there is nothing to say against it.
function verifyError({ verdict, certificates, presented }) {
  if (verdict === TRUSTED) return null;
  if (verdict === NOT_PRESENTED) return 'UNABLE_TO_GET_ISSUER_CERT';
  if (verdict === UNTRUSTED_ROOT || verdict === INCOMPLETE) {
    if (presented > 0 && selfSigned(certificates[0])) return 'DEPTH_ZERO_SELF_SIGNED_CERT';
    for (let i = 1; i < presented; i++) if (selfSigned(certificates[i])) return 'SELF_SIGNED_CERT_IN_CHAIN';
    return presented > 1 ? 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY' : 'UNABLE_TO_VERIFY_LEAF_SIGNATURE';
  }
  return ERRORS[verdict] || 'CERT_UNTRUSTED';
}

// chainOf lists the certificates from the client's own up: the verified chain, or
// else what it has presented.
function chainOf({ certificates, presented, chains }) {
  if (presented === 0) return [];
  return chains.length > 0 ? chains[0].map((i) => certificates[i]) : certificates.slice(0, presented);
}

// peerCertificate is what getPeerCertificate gives. In the detailed form each
// certificate has its issuer's, and a self-signed one has itself.
function peerCertificate(facts, detailed) {
  const chain = chainOf(facts);
  if (chain.length === 0) return {};
  const objects = (detailed ? chain : chain.slice(0, 1)).map((der) => new crypto.X509Certificate(der).toLegacyObject());
  if (detailed) {
    for (let i = 0; i + 1 < objects.length; i++) objects[i].issuerCertificate = objects[i + 1];
    const last = chain.length - 1;
    if (selfSigned(chain[last])) objects[last].issuerCertificate = objects[last];
  }
  return objects[0];
}

function x509(facts) {
  return facts.presented === 0 ? undefined : new crypto.X509Certificate(facts.certificates[0]);
}

function cipher({ cipherSuite }) {
  const suite = SUITES[cipherSuite];
  if (suite === undefined) return { name: `0x${cipherSuite.toString(16)}`, standardName: `0x${cipherSuite.toString(16)}`, version: 'TLSv1.2' };
  return { name: suite[0], standardName: suite[1], version: suite[2] };
}

function protocol({ version }) { return VERSIONS[version] || null; }
function isResumed({ flags }) { return (flags & RESUMED) !== 0; }

// agreed is what a client and the daemon have agreed on; undefined without TLS.
function agreed(facts) {
  if (facts === undefined || facts.version === 0) return undefined;
  return { protocol: protocol(facts), cipher: cipher(facts).standardName, servername: facts.serverName, alpn: facts.protocol, resumed: isResumed(facts) };
}

// ---- the shape of the module that ran on HTTP.SYS ----

// It had one name for what was revoked, whichever of two codes said so.
const OLD_NAMES = {
  0x800B0101: 'CERT_E_EXPIRED', 0x800B0112: 'CERT_E_UNTRUSTEDCA', 0x80096004: 'TRUST_E_CERT_SIGNATURE',
  0x80092010: 'CRYPT_E_REVOKED', 0x800B010C: 'CRYPT_E_REVOKED', 0x800B0109: 'CERT_E_UNTRUSTEDROOT', 0x800B0110: 'CERT_E_WRONG_USAGE',
  0x80092012: 'CRYPT_E_NO_REVOCATION_CHECK', 0x80092013: 'CRYPT_E_REVOCATION_OFFLINE', 0x800B010A: 'CERT_E_CHAINING',
};

// oldClient is req.client as httpsys.https() has always given it: an empty object
// without a certificate, else the verdict and the certificate with its names as
// text.
function oldClient(facts, encoded) {
  if (facts === undefined || facts.presented === 0) return {};
  const { verdict, verdictCode } = facts;
  const client = {
    authorized: verdict === TRUSTED,
    authorizationError: verdict === TRUSTED ? undefined : OLD_NAMES[verdictCode] || `0x${verdictCode.toString(16)}`,
    getPeerCertificate() {
      const certificate = x509(facts);
      const old = {
        subject: certificate.subject.split('\n').join(', '),
        issuer: certificate.issuer.split('\n').join(', '),
        valid_from: new Date(certificate.validFrom).toUTCString(),
        valid_to: new Date(certificate.validTo).toUTCString(),
        fingerprint: certificate.fingerprint,
      };
      if (encoded) old.encoded = Buffer.from(facts.certificates[0]);
      return old;
    },
  };
  return client;
}

// ---- the certificate of a program ----

// certificateOf gives the `certificate` of a register call (docs/channel.md
// section 3.2) for the options of a tls.Server, or undefined if it has none: then
// the administrator's binding counts.
function certificateOf(server) {
  const { key, cert, ca, crl, pfx, passphrase, requestCert } = server;
  // Not to look would let those in whose certificates were revoked.
  if (requestCert === true && present(crl)) {
    throw coded(Error, 'ENOTSUP', 'crl: a revocation list is the administrator\'s to give, with the certificate: `httpsys add sslcert … crl=FILE`');
  }
  const pem = [];
  if (present(pfx)) {
    for (const file of [].concat(pfx)) {
      const own = file.buf !== undefined; // { buf, passphrase }
      pem.push(pemOf(own ? file.buf : file, own && file.passphrase !== undefined ? file.passphrase : passphrase));
    }
  }
  if (present(key) && present(cert)) {
    const keys = [].concat(key);
    const certs = [].concat(cert);
    if (keys.length !== certs.length && certs.length !== 1) {
      throw coded(Error, 'EINVAL', `${keys.length} keys and ${certs.length} certificates`);
    }
    keys.forEach((k, i) => pem.push(`${text(certs[Math.min(i, certs.length - 1)])}\n${keyText(k, passphrase)}`));
  }
  if (pem.length === 0) return undefined;
  const certificate = { pem, ...spoken(server) };
  if (requestCert === true) {
    certificate.ask_client = true;
    if (present(ca)) certificate.authorities = [].concat(ca).map(text).join('\n');
  }
  return certificate;
}

const NUMBERS = { 'TLSv1': 0x0301, 'TLSv1.1': 0x0302, 'TLSv1.2': 0x0303, 'TLSv1.3': 0x0304 };
const PROTOCOLS = { TLSv1_method: 0x0301, TLSv1_1_method: 0x0302, TLSv1_2_method: 0x0303 }; // and _server_
const { SSL_OP_NO_TLSv1, SSL_OP_NO_TLSv1_1, SSL_OP_NO_TLSv1_2, SSL_OP_NO_TLSv1_3 } = crypto.constants;
const WITHOUT = { 0x0301: SSL_OP_NO_TLSv1, 0x0302: SSL_OP_NO_TLSv1_1, 0x0303: SSL_OP_NO_TLSv1_2, 0x0304: SSL_OP_NO_TLSv1_3 };
const GROUPS = {
  'P-256': 23, 'prime256v1': 23, 'secp256r1': 23, 'P-384': 24, 'secp384r1': 24, 'P-521': 25, 'secp521r1': 25, 'X25519': 29, 'x25519': 29,
  'X25519MLKEM768': 4588, 'SecP256r1MLKEM768': 4587, 'SecP384r1MLKEM1024': 4589,
};

// spoken is what a program sets of TLS itself, as far as it differs from Node's own
// values; everything else is the daemon's.
function spoken({ minVersion, maxVersion, secureProtocol, secureOptions, ciphers, ecdhCurve }) {
  const s = {};
  const only = PROTOCOLS[String(secureProtocol).replace('_server_', '_')];
  let least = only || NUMBERS[minVersion || tls.DEFAULT_MIN_VERSION];
  let most = only || NUMBERS[maxVersion || tls.DEFAULT_MAX_VERSION];
  while (least <= most && (secureOptions & WITHOUT[least]) !== 0) least++;
  while (least <= most && (secureOptions & WITHOUT[most]) !== 0) most--;
  if (least > most) throw coded(Error, 'ENOTSUP', 'secureOptions: no version of TLS is left');
  if (least !== undefined && least !== NUMBERS['TLSv1.2']) s.min_version = least;
  if (most !== undefined && most !== NUMBERS['TLSv1.3']) s.max_version = most;
  if (ciphers !== undefined) {
    const suites = suitesOf(ciphers);
    if (suites !== undefined) s.cipher_suites = suites;
  }
  if (ecdhCurve !== undefined && ecdhCurve !== 'auto') {
    s.groups = ecdhCurve.split(':').map((name) => GROUPS[name]).filter((g) => g !== undefined);
    if (s.groups.length === 0) throw coded(Error, 'ENOTSUP', `ecdhCurve is ${ecdhCurve}: httpsys has ${Object.keys(GROUPS).join(', ')}`);
  }
  return s;
}

// suitesOf reads a list of OpenSSL's as far as it is about suites that httpsys has:
// names, and words that stand for many, added, or taken away with ! and -. Suites of
// TLS 1.3 cannot be chosen; a list of nothing else gives undefined.
function suitesOf(ciphers) {
  const all = Object.entries(SUITES).filter(([, suite]) => suite[2] !== 'TLSv1.3');
  const chosen = new Set();
  const out = new Set();
  let about = false;
  for (const word of ciphers.split(/[:, ]+/)) {
    if (word === '' || word[0] === '@' || word.startsWith('TLS_')) continue;
    about = true;
    const away = word[0] === '!' || word[0] === '-';
    for (const [number, [name]] of all) {
      if (!stands(away || word[0] === '+' ? word.slice(1) : word, name)) continue;
      if (away) {
        chosen.delete(number);
        if (word[0] === '!') out.add(number);
      } else if (word[0] !== '+') {
        chosen.add(number);
      }
    }
  }
  if (!about) return undefined;
  const suites = [...chosen].filter((number) => !out.has(number)).map(Number);
  if (suites.length === 0) throw coded(Error, 'ENOTSUP', `ciphers is ${ciphers}: httpsys has none of them`);
  return suites;
}

// stands says whether a word stands for a suite: its name, or what its name has.
function stands(word, name) {
  return word.split('+').every((part) => {
    switch (part.replace(/@.*/, '')) {
      case name:
      case 'ALL':
      case 'HIGH':
      case 'DEFAULT': return true;
      case 'kRSA':
      case 'RSA': return !name.startsWith('ECDHE');
      case 'aRSA': return !name.includes('ECDSA');
      case 'EECDH':
      case 'kEECDH':
      case 'ECDHE': return name.startsWith('ECDHE');
      case 'ECDSA':
      case 'aECDSA': return name.includes('ECDSA');
      case 'AESGCM': return name.includes('-GCM-');
      case 'AES':
      case 'AES128':
      case 'AES256':
      case 'CHACHA20': return name.includes(part);
      case 'SHA1':
      case 'SHA': return name.endsWith('-SHA');
      case 'SHA256':
      case 'SHA384': return name.endsWith(`-${part}`) && !name.includes('-GCM-');
      default: return false;
    }
  });
}

function present(option) {
  return option !== undefined && option !== null && option !== '' && !(Array.isArray(option) && option.length === 0);
}

function text(pem) {
  return typeof pem === 'string' ? pem : Buffer.from(pem.buffer, pem.byteOffset, pem.byteLength).toString('latin1');
}

// keyText is a private key without its passphrase.
function keyText(key, passphrase) {
  const own = key !== null && typeof key === 'object' && key.pem !== undefined;
  const pem = text(own ? key.pem : key);
  if (!/ENCRYPTED/.test(pem)) return pem;
  const secret = own && key.passphrase !== undefined ? key.passphrase : passphrase;
  return crypto.createPrivateKey({ key: pem, passphrase: secret }).export({ type: 'pkcs8', format: 'pem' });
}

module.exports = { TRUSTED, verifyError, peerCertificate, x509, cipher, protocol, isResumed, agreed, oldClient, certificateOf };
