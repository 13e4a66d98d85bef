'use strict';

const { ApolloServer, HeaderMap } = require('@apollo/server');
const { startStandaloneServer } = require('@apollo/server/standalone');
const { ApolloServerPluginDrainHttpServer } = require('@apollo/server/plugin/drainHttpServer');
const { tls, createServer, ready } = require('./support');

const books = [{ title: 'The Waves', author: 'Woolf' }];
const schema = {
  typeDefs: `
    type Book { title: String author: String }
    type Query { books(author: String): [Book] fails: String who: String }
    type Mutation { add(title: String!, author: String!): Book }`,
  resolvers: {
    Query: {
      books: (_, { author }) => books.filter((b) => !author || b.author === author),
      fails: () => { throw new Error('resolver'); },
      who: (_, args, context) => context.who,
    },
    Mutation: { add: (_, book) => { books.push(book); return book; } },
  },
};

async function standalone() {
  const server = new ApolloServer(schema);
  const { url } = await startStandaloneServer(server, {
    listen: { port: Number(process.env.PORT || 0) },
    context: async ({ req }) => ({ who: req.headers['x-who'] }),
  });
  console.log(`listening on ${new URL(url).port}`);
}

// The integration that a program with its own server writes.
async function integrated() {
  const https = createServer();
  const server = new ApolloServer({ ...schema, plugins: [ApolloServerPluginDrainHttpServer({ httpServer: https })] });
  await server.start();
  https.on('request', async (req, res) => {
    const chunks = [];
    for await (const chunk of req) chunks.push(chunk);
    const headers = new HeaderMap();
    for (const [name, value] of Object.entries(req.headers)) headers.set(name, String(value));
    let body;
    try { body = JSON.parse(Buffer.concat(chunks)); } catch { body = ''; }
    const answer = await server.executeHTTPGraphQLRequest({
      httpGraphQLRequest: { method: req.method, headers, search: new URL(req.url, 'https://x').search, body },
      context: async () => ({ who: req.headers['x-who'] }),
    });
    for (const [name, value] of answer.headers) res.setHeader(name, value);
    res.statusCode = answer.status || 200;
    if (answer.body.kind === 'complete') return res.end(answer.body.string);
    for await (const chunk of answer.body.asyncIterator) res.write(chunk);
    return res.end();
  });
  https.listen(Number(process.env.PORT || 0), () => ready(https));
}

(tls ? integrated : standalone)();
