// Checked by tsc in surface.test.js: what programs write has types.

import httpsys, { slipstream, http, https, serve, httpsys_version, Response as LightResponse } from 'httpsys';
import type { Handler, HttpsysServer, RequestInfo } from 'httpsys';
import 'httpsys/register';
import * as nodeHttp from 'http';

slipstream();
http.slipstream();
https.slipstream();
const version: string = httpsys_version || http().httpsys_version || httpsys.httpsys_version;

const server: nodeHttp.Server = http().createServer((req, res) => {
  res.cacheDuration = 10;
  res.setHeader('x-version', version);
  res.end(req.httpsys ? req.httpsys.protocol : req.socket.remoteAddress);
});
server.listen('http://*:8080/foo/', () => console.log(server.urls));
server.listen(['http://*:8080/foo/', 'http://*:8080/bar/']);
server.listen({ url: 'http://*:8080/foo/', queue: 'shop' });
server.listen(8080);
https().createServer({ key: '', cert: '' }).listen('https://*:8443/');

const handler: Handler = async (request: Request, info: RequestInfo) => {
  info.waitUntil(Promise.resolve());
  info.respondInformation(103, { Link: '</a>' });
  if (request.headers.get('upgrade')) {
    const { socket, response } = info.upgradeWebSocket({ protocol: 'chat' });
    socket.onmessage = (event) => socket.send(event.data);
    return response;
  }
  return LightResponse.json({ address: info.remoteAddr.hostname });
};
const running: HttpsysServer = serve({ url: 'http://*:8080/', fetch: handler, error: () => new Response('x', { status: 500 }) });
serve({ port: 8080 }, handler);
running.ready.then((s) => s.close(true));

// @ts-expect-error: a handler is needed
serve({ port: 8080 });
const keeper = http().createServer((req, res) => { const more: boolean = res.writeFragment('/menu', { offset: 1 }); res.end(String(more)); });
keeper.listen({ url: 'http://*:8080/', compress: true });
keeper.addFragment('/menu', Buffer.from('x'), { ttl: 60, tags: ['a'] }).then((name: string) => keeper.deleteFragment(name));
running.readFragment('/menu').then((bytes) => bytes?.length);
running.flush({ url: '/', recursive: true }).then((n: number) => n);
