export default function handler(req, res) {
  res.setHeader('X-Method', req.method);
  if (req.query.cookie) res.setHeader('Set-Cookie', ['a=1', 'b=2']);
  res.status(req.method === 'POST' ? 201 : 200).json({ body: req.body, query: req.query });
}
