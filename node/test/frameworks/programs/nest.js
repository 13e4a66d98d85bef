'use strict';

// A Nest program without a compiler: what decorators do is written out.

require('reflect-metadata');
const { Module, Controller, Get, Post, Sse, Param, Body, Query, HttpCode, ForbiddenException, Injectable } = require('@nestjs/common');
const { NestFactory } = require('@nestjs/core');
const { of, concatMap, delay } = require('rxjs');
const { tls } = require('./support');

class Cats {
  constructor() { this.list = []; }
  add(cat) { this.list.push(cat); return this.list.length; }
}
Injectable()(Cats);

class CatsController {
  constructor(cats) { this.cats = cats; }
  all(limit) { return { limit, cats: this.cats.list }; }
  add(body) { return this.cats.add(body); }
  forbidden() { throw new ForbiddenException('no dogs'); }
  events() { return of(1, 2, 3).pipe(concatMap((n) => of({ data: { n } }).pipe(delay(5)))); }
  one(id) { return `cat ${id}`; } // behind those with names of their own
}
Reflect.defineMetadata('design:paramtypes', [Cats], CatsController);
const method = (name, decorators, parameters = []) => {
  const d = Object.getOwnPropertyDescriptor(CatsController.prototype, name);
  parameters.forEach((p, i) => p(CatsController.prototype, name, i));
  for (const decorate of decorators) decorate(CatsController.prototype, name, d);
};
method('all', [Get()], [Query('limit')]);
method('forbidden', [Get('forbidden')]);
method('events', [Sse('events')]);
method('one', [Get(':id')], [Param('id')]);
method('add', [Post(), HttpCode(202)], [Body()]);
Controller('cats')(CatsController);

class App {}
Module({ controllers: [CatsController], providers: [Cats] })(App);

(async () => {
  const app = await NestFactory.create(App, { logger: false, httpsOptions: tls || undefined });
  app.enableCors();
  await app.listen(Number(process.env.PORT || 0));
  console.log(`listening on ${app.getHttpServer().address().port}`);
})();
