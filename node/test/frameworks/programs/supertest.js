'use strict';

// A test suite that uses supertest, run as a program: what it sees goes to
// standard output.

const express = require('express');
const request = require('supertest');
const { tls, createServer } = require('./support');

process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0';
process.removeAllListeners('warning');
process.on('warning', () => {});

const app = express();
app.use(express.json());
app.get('/user', (req, res) => res.status(200).json({ name: 'john' }));
app.post('/user', (req, res) => res.status(201).json(req.body));
app.get('/cookie', (req, res) => res.cookie('seen', '1').send(req.headers.cookie || 'none'));
app.get('/moved', (req, res) => res.redirect('/user'));
const target = tls ? createServer(app) : app;

(async () => {
  const seen = [];
  const note = (r) => seen.push([r.status, r.headers['content-type'], r.text, r.body]);
  note(await request(target).get('/user').set('Accept', 'application/json').expect('Content-Type', /json/).expect(200));
  note(await request(target).post('/user').send({ name: 'mary' }).expect(201, { name: 'mary' }));
  note(await request(target).get('/moved').redirects(1));
  note(await request(target).get('/nothing').expect(404));
  const agent = request.agent(target);
  await agent.get('/cookie').expect(200, 'none');
  note(await agent.get('/cookie').expect(200, 'seen=1'));
  for (let i = 0; i < 20; i++) await request(target).get('/user').expect(200);
  note((await Promise.all(Array.from({ length: 20 }, () => request(target).get('/user').expect(200))))[19]);
  console.log(JSON.stringify(seen));
})().catch((err) => { console.error(err); process.exit(1); });
