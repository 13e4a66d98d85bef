'use strict';

const fs = require('fs');
const path = require('path');
const Koa = require('koa');
const { serve } = require('./support');

const app = new Koa({ keys: ['k'] });
const log = [];
app.on('error', (err) => log.push(err.message));
app.use(async (ctx, next) => {
  const before = ctx.res.writable;
  await next();
  ctx.set('X-Took', String(before));
});
app.use(async (ctx) => {
  switch (ctx.path) {
    case '/': ctx.body = 'koa'; break;
    case '/json': ctx.body = { secure: ctx.secure, ip: ctx.ip, protocol: ctx.protocol, fresh: ctx.fresh, length: ctx.request.length || 0 }; break;
    case '/file': ctx.type = 'text'; ctx.body = fs.createReadStream(path.join(__dirname, 'static', 'poem.txt')); break;
    case '/cookie': ctx.cookies.set('a', 'b', { signed: true }); ctx.body = String(ctx.cookies.get('a', { signed: true })); break;
    case '/throws': ctx.throw(403, 'forbidden fruit'); break;
    case '/fails': throw new Error('fails');
    case '/echo': ctx.body = ctx.req; break;
    case '/empty': ctx.status = 204; break;
    case '/message': ctx.status = 200; ctx.message = 'Just Fine'; ctx.body = 'x'; break;
    case '/raw': ctx.respond = false; ctx.res.end('raw'); break;
    case '/log': ctx.body = log; break;
    default:
  }
});
serve(app.callback());
