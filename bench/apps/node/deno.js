// Deno's own server: `deno run -A deno.js PORT`.
Deno.serve({ hostname: '127.0.0.1', port: Number(Deno.args[0]), onListen() {} },
  () => new Response('Hello, world\n', { headers: { 'Content-Type': 'text/plain' } }));
