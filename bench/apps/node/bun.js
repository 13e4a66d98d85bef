// Bun's own server: `bun bun.js PORT`.
Bun.serve({ hostname: '127.0.0.1', port: process.argv[2], fetch: () => new Response('Hello, world\n', { headers: { 'Content-Type': 'text/plain' } }) });
