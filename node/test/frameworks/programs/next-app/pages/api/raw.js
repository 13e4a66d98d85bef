import crypto from 'crypto';

export const config = { api: { bodyParser: false } };

export default async function handler(req, res) {
  const hash = crypto.createHash('sha256');
  for await (const chunk of req) hash.update(chunk);
  res.end(hash.digest('hex'));
}
