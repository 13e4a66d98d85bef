'use strict';

// PKCS #12 files (RFC 7292), which Node takes as `pfx`: the daemon takes PEM. Keys
// are decrypted by Node itself; certificates stand in encrypted data of their own,
// and that is read here, in the process of the program whose file it is. What
// OpenSSL 3 reads without its legacy provider is read: PBES2, and SHA-1 with
// triple DES.

const crypto = require('crypto');
const { coded } = require('./errors');

const DATA = '2a864886f70d010701';
const ENCRYPTED = '2a864886f70d010706';
const KEY = '2a864886f70d010c0a0101';
const SHROUDED_KEY = '2a864886f70d010c0a0102';
const CERTIFICATE = '2a864886f70d010c0a0103';
const X509 = '2a864886f70d01091601';
const PBES2 = '2a864886f70d01050d';
const PBKDF2 = '2a864886f70d01050c';
const SHA1_3DES = '2a864886f70d010c0103';

const DIGESTS = {
  '2a864886f70d0207': 'sha1', '2a864886f70d0209': 'sha256', '2a864886f70d020a': 'sha384', '2a864886f70d020b': 'sha512',
};
const CIPHERS = {
  '60864801650304012a': ['aes-256-cbc', 32], '608648016503040116': ['aes-192-cbc', 24], '608648016503040102': ['aes-128-cbc', 16],
  '2a864886f70d0307': ['des-ede3-cbc', 24],
};

const INTEGER = 0x02;
const OCTETS = 0x04;
const OID = 0x06;
const SEQUENCE = 0x30;

function damaged() { return coded(Error, 'EINVAL', 'the pfx is no PKCS #12 file, or is damaged'); }

// Reader walks over the elements of DER.
class Reader {
  constructor(bytes) {
    this.bytes = bytes;
    this.at = 0;
  }

  get more() { return this.at < this.bytes.length; }
  get tag() { return this.bytes[this.at]; }

  // next gives the content of the next element, which has to be of this kind.
  next(tag) {
    const b = this.bytes;
    let { at } = this;
    if (b[at++] !== tag) throw damaged();
    let length = b[at++];
    if (length > 0x80) {
      let n = length & 0x7f;
      if (n > 4) throw damaged();
      for (length = 0; n > 0; n--) length = length * 256 + b[at++];
    } else if (length === 0x80) { // an end that is marked: BER, which OpenSSL does not write
      throw damaged();
    }
    if (!(at + length <= b.length)) throw damaged();
    this.at = at + length;
    return b.subarray(at, at + length);
  }

  enter(tag) { return new Reader(this.next(tag)); }
  oid() { return this.next(OID).toString('hex'); }
  integer() {
    const b = this.next(INTEGER);
    if (b.length === 0 || b.length > 4 || b[0] > 0x7f) throw damaged();
    return b.readUIntBE(0, b.length);
  }
}

// pkcs12Key makes keys and vectors as RFC 7292 appendix B says, with SHA-1.
function pkcs12Key(id, password, salt, iterations, length) {
  const block = 64;
  const fill = (bytes) => {
    const out = Buffer.alloc(block * Math.ceil(bytes.length / block));
    for (let i = 0; i < out.length; i++) out[i] = bytes[i % bytes.length];
    return out;
  };
  const characters = Buffer.alloc(2 * password.length + 2);
  for (let i = 0; i < password.length; i++) characters.writeUInt16BE(password.charCodeAt(i), 2 * i);
  const input = Buffer.concat([fill(salt), fill(characters)]);
  const out = [];
  for (let have = 0; have < length; have += 20) {
    let a = crypto.createHash('sha1').update(Buffer.alloc(block, id)).update(input).digest();
    for (let i = 1; i < iterations; i++) a = crypto.createHash('sha1').update(a).digest();
    out.push(a);
    const b = fill(a).subarray(0, block);
    for (let j = 0; j < input.length; j += block) {
      for (let i = block - 1, carry = 1; i >= 0; i--) {
        carry += input[j + i] + b[i];
        input[j + i] = carry;
        carry >>>= 8;
      }
    }
  }
  return Buffer.concat(out).subarray(0, length);
}

// decrypt takes the bytes that the algorithm, a SEQUENCE, has made.
function decrypt(algorithm, bytes, password) {
  const kind = algorithm.oid();
  const parameters = algorithm.enter(SEQUENCE);
  let key;
  let iv;
  let cipher;
  if (kind === SHA1_3DES) {
    const salt = parameters.next(OCTETS);
    const iterations = parameters.integer();
    cipher = 'des-ede3-cbc';
    key = pkcs12Key(1, password, salt, iterations, 24);
    iv = pkcs12Key(2, password, salt, iterations, 8);
  } else if (kind === PBES2) {
    const derivation = parameters.enter(SEQUENCE);
    const encryption = parameters.enter(SEQUENCE);
    if (derivation.oid() !== PBKDF2) throw unknown();
    const p = derivation.enter(SEQUENCE);
    const salt = p.next(OCTETS);
    const iterations = p.integer();
    if (p.more && p.tag === INTEGER) p.integer();
    const digest = p.more ? DIGESTS[p.enter(SEQUENCE).oid()] : 'sha1';
    const [name, length] = CIPHERS[encryption.oid()] || [];
    if (digest === undefined || name === undefined) throw unknown();
    cipher = name;
    iv = encryption.next(OCTETS);
    key = crypto.pbkdf2Sync(password, salt, iterations, length, digest);
  } else {
    throw unknown();
  }
  try {
    const d = crypto.createDecipheriv(cipher, key, iv);
    return Buffer.concat([d.update(bytes), d.final()]);
  } catch {
    throw coded(Error, 'EINVAL', 'the passphrase of the pfx is wrong');
  }
}

function unknown() {
  return coded(Error, 'ENOTSUP', 'the pfx is encrypted in a way that is not known here: `openssl pkcs12 -in FILE -legacy -nodes` writes key and cert');
}

// contents adds the keys and certificates of a SafeContents to found.
function contents(bytes, password, found) {
  for (const bags = new Reader(bytes).enter(SEQUENCE); bags.more;) {
    const bag = bags.enter(SEQUENCE);
    const kind = bag.oid();
    const value = bag.next(0xa0);
    if (kind === KEY || kind === SHROUDED_KEY) {
      found.keys.push(crypto.createPrivateKey({ key: value, format: 'der', type: 'pkcs8', passphrase: kind === KEY ? undefined : password }));
    } else if (kind === CERTIFICATE) {
      const certificate = new Reader(value).enter(SEQUENCE);
      if (certificate.oid() === X509) found.certificates.push(new crypto.X509Certificate(certificate.enter(0xa0).next(OCTETS)));
    }
  }
}

// pemOf gives what is in a file as the daemon takes it: the certificate, those that
// issued it, and its key.
function pemOf(file, password = '') {
  const bytes = typeof file === 'string' ? Buffer.from(file, 'latin1') : Buffer.from(file.buffer, file.byteOffset, file.byteLength);
  const found = { keys: [], certificates: [] };
  const pfx = new Reader(bytes).enter(SEQUENCE);
  if (pfx.integer() !== 3) throw damaged();
  const safe = pfx.enter(SEQUENCE);
  if (safe.oid() !== DATA) throw unknown();
  for (const parts = new Reader(safe.enter(0xa0).next(OCTETS)).enter(SEQUENCE); parts.more;) {
    const part = parts.enter(SEQUENCE);
    const kind = part.oid();
    if (kind === DATA) {
      contents(part.enter(0xa0).next(OCTETS), password, found);
    } else if (kind === ENCRYPTED) {
      const data = part.enter(0xa0).enter(SEQUENCE);
      data.integer();
      const content = data.enter(SEQUENCE);
      content.oid();
      contents(decrypt(content.enter(SEQUENCE), content.next(0x80), password), password, found);
    }
  }
  const [key] = found.keys;
  const leaf = key && found.certificates.find((c) => c.checkPrivateKey(key));
  if (leaf === undefined) throw coded(Error, 'EINVAL', 'the pfx has no key with a certificate for it');
  const chain = [leaf];
  for (let last = leaf; last !== undefined && last.issuer !== last.subject;) {
    const below = last;
    last = found.certificates.find((c) => !chain.includes(c) && below.checkIssued(c));
    if (last !== undefined) chain.push(last);
  }
  return `${chain.join('')}${key.export({ type: 'pkcs8', format: 'pem' })}`;
}

module.exports = { pemOf };
