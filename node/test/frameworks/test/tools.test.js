'use strict';

// Apollo, supertest and OpenTelemetry.

const assert = require('node:assert');
const { run } = require('./support/program');
const { withDaemon, both, same } = require('./support/same');

withDaemon();

same('apollo', 'apollo.js', async (c) => {
  const ask = (query, variables, headers) => c.request('POST', '/', {
    headers: { 'Content-Type': 'application/json', ...headers }, body: JSON.stringify({ query, variables }),
  });
  const seen = {};
  seen.books = await ask('{ books { title author } }');
  assert.deepStrictEqual(JSON.parse(seen.books.body).data, { books: [{ title: 'The Waves', author: 'Woolf' }] });
  seen.add = await ask('mutation A($t: String!) { add(title: $t, author: "Eliot") { title } }', { t: 'Silas Marner' });
  seen.filtered = await ask('query Q($a: String) { books(author: $a) { title } }', { a: 'Eliot' });
  assert.match(seen.filtered.body, /Silas Marner/);
  seen.who = await ask('{ who }', undefined, { 'X-Who': 'me' });
  seen.fails = await ask('{ fails }');
  assert.match(seen.fails.body, /resolver/);
  seen.invalid = await ask('{ nothing }');
  assert.strictEqual(seen.invalid.status, 400);
  seen.get = await c.get('/?query=%7Bwho%7D', { 'Apollo-Require-Preflight': 'yes', 'X-Who': 'get' });
  seen.csrf = await c.get('/?query=%7Bwho%7D');
  return seen;
});

both('supertest', async (t, how) => {
  const seen = JSON.parse(await run(['programs/supertest.js'], how));
  assert.deepStrictEqual(seen[0], [200, 'application/json; charset=utf-8', '{"name":"john"}', { name: 'john' }]);
  return seen;
});

same('opentelemetry', 'opentelemetry.js', async (c) => {
  const parent = { traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' };
  const seen = [await c.get('/one', parent), await c.post('/two?q=1', { a: 1 }), await c.get('/fails')];
  assert.deepStrictEqual(seen.map((r) => r.body), ['true', 'true', 'true'], 'the context of the span is that of the request');
  const all = await Promise.all(Array.from({ length: 20 }, (_, i) => c.get(`/many/${i}`)));
  assert.ok(all.every((r) => r.body === 'true'));
  // A span ends with its response's 'close', which a fast client may overtake.
  let spans;
  do {
    spans = JSON.parse((await c.get('/spans')).body).filter((s) => !Object.values(s.attributes).includes('/spans'));
  } while (spans.length < 23);
  assert.strictEqual(spans.length, 23);
  assert.deepStrictEqual([spans[0].parent, spans[0].trace], ['b7ad6b7169203331', '0af7651916cd43dd8448eb211c80319c']);
  for (const s of spans) {
    for (const name of Object.keys(s.attributes)) {
      if (!/peer.*port$/.test(name)) continue; // the client's port is another each time
      assert.ok(Number(s.attributes[name]) > 0, name);
      delete s.attributes[name];
    }
  }
  return { seen, spans: spans.slice(0, 3) };
});
