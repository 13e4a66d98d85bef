'use strict';

// What an Express program of some size does, for both major versions.

const crypto = require('crypto');
const path = require('path');
const compression = require('compression');
const morgan = require('morgan');
const multer = require('multer');
const session = require('express-session');

module.exports = function build(express) {
  const app = express();
  const log = [];
  let sessions = 0;
  app.use(morgan((tokens, req, res) => [tokens.method(req, res), tokens.url(req, res), tokens.status(req, res),
    tokens.res(req, res, 'content-length') || '-', typeof tokens['response-time'](req, res) === 'string'].join(' '), {
    stream: { write: (line) => log.push(line.trim()) },
  }));
  app.use(compression({ threshold: 500 }));
  app.use(session({ secret: 'cats', resave: false, saveUninitialized: false, genid: () => `session-${++sessions}` }));
  app.use('/static', express.static(path.join(__dirname, 'static')));

  app.get('/', (req, res) => res.send('hello'));
  app.get('/json', (req, res) => res.json({ query: req.query, name: req.app.get('env') !== undefined }));
  app.get('/long', (req, res) => res.type('text').send('compress me '.repeat(1000)));
  app.get('/facts', (req, res) => res.json([req.ip, req.protocol, req.secure, req.hostname, req.xhr, req.subdomains, req.httpVersion]));
  app.get('/moved', (req, res) => res.redirect(301, '/'));
  app.get('/status', (req, res) => res.status(418).set('X-A', ['1', '2']).cookie('c', 'v', { httpOnly: true }).end());
  app.get('/throws', () => { throw new Error('thrown'); });
  app.get('/rejects', (req, res, next) => Promise.reject(new Error('rejected')).catch(next));
  app.get('/visits', (req, res) => {
    req.session.visits = (req.session.visits || 0) + 1;
    res.send(`visit ${req.session.visits}`);
  });
  app.get('/file', (req, res) => res.sendFile(path.join(__dirname, 'static', 'poem.txt')));
  app.get('/download', (req, res) => res.download(path.join(__dirname, 'static', 'poem.txt'), 'verse.txt'));
  app.get('/stream', (req, res) => {
    res.type('text');
    let n = 0;
    const timer = setInterval(() => {
      res.write(`line ${n}\n`);
      if (++n === 5) { clearInterval(timer); res.end('end\n'); }
    }, 5);
  });
  app.post('/form', express.urlencoded({ extended: false }), (req, res) => res.json(req.body));
  app.post('/json', express.json({ limit: '50kb' }), (req, res) => res.json(req.body));
  app.post('/raw', express.raw({ type: '*/*', limit: '5mb' }), (req, res) => {
    res.send(crypto.createHash('sha256').update(req.body).digest('hex'));
  });
  app.post('/upload', multer({ storage: multer.memoryStorage() }).single('file'), (req, res) => {
    res.json([req.file.originalname, req.file.size, crypto.createHash('sha1').update(req.file.buffer).digest('hex'), req.body.note]);
  });
  app.post('/ignored', (req, res) => res.send('did not read'));
  const mounted = express.Router();
  mounted.get('/:id', (req, res) => res.json([req.baseUrl, req.url, req.params.id]));
  app.use('/items', mounted);
  const inner = express();
  inner.get('/x', (req, res) => res.send(`inner ${req.originalUrl} ${req.app.mountpath}`));
  app.use('/inner', inner);
  app.get('/log', (req, res) => setImmediate(() => res.json(log)));
  // eslint-disable-next-line no-unused-vars
  app.use((err, req, res, next) => res.status(err.status || 500).json({ error: err.message }));
  return app;
};
