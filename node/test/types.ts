// Checked by tsc in surface.test.js: what programs write has types.

import httpsys, { slipstream, http, https, serve, InboundTcpSocket, HTTPServer, httpsys_version, Response as LightResponse } from 'httpsys';
import type { ClientCertificate, Handler, HttpsysServer, HTTPResponse, ListenOptions, RequestInfo, ServeOptions, TcpResponse, TlsInfo } from 'httpsys';
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

// The rest of what the package declares.
http().createServer((req, res) => {
  const secured: TlsInfo | undefined = req.httpsys?.tls;
  res.end([secured?.protocol, req.httpsys?.authority, req.httpsys?.connection].join());
}).listen(new URL('http://localhost:80/')).on('daemonStop', () => {});
server.listen({ url: [new URL('http://localhost:80/')], urls: ['http://*:1/'], affinity: { query: 'sid', cookie: 'id', address: true }, signal: new AbortController().signal } satisfies ListenOptions);
https().createServer({ pfx: '', passphrase: '', ca: [''], requestCert: true, rejectUnauthorized: false }, (req, res) => {
  const client: ClientCertificate = req.client;
  const text: string[] | undefined = client.authorized ? undefined : [client.authorizationError ?? '', client.getPeerCertificate?.().subject ?? ''];
  const bytes: Buffer | undefined = client.getPeerCertificate?.().encoded;
  res.end(text?.join() ?? bytes);
}).setSecureContext({ key: '', cert: '' });
class Own extends (http().Server) { own = true; }
new Own().listen(['http://*:1/']);
async function closesItself() { await using one = serve({ url: new URL('http://localhost:80/') }, handler); return one.port; }
running.finished.then(closesItself);
const options: ServeOptions = {
  fetch: handler, urls: ['http://*:1/'], port: '80', hostname: 'localhost', cert: '', key: '', passphrase: '', requestCert: true, ca: '', cacheDuration: 1, signal: AbortSignal.timeout(1),
  onListen: (s) => s.ref().unref(), onDaemonStop: (s) => s.shutdown(), queue: 'q', affinity: { address: true }, compress: true, overrideGlobalObjects: true,
};
serve(handler, options);
new InboundTcpSocket(undefined, '80').listen((bytes, response, error) => {
  const to: TcpResponse = response;
  to.state = error;
  if (bytes !== null && !to.write(bytes)) to.drained().then(() => to.end(to.remoteAddress + to.localPort));
}).ready?.then((s) => s.close());
new HTTPServer('localhost', 80).listen(async (req, response) => {
  const to: HTTPResponse = response;
  to.headers.set('x', 'y');
  to.respondWith(new Response(await req.text(), { status: to.status }));
}).close(true);
const builtIn: string | undefined = nodeHttp.httpsys_version;
console.log(builtIn);

// @ts-expect-error: a handler is needed
serve({ port: 8080 });
const keeper = http().createServer((req, res) => { const more: boolean = res.writeFragment('/menu', { offset: 1 }); res.end(String(more)); });
keeper.listen({ url: 'http://*:8080/', compress: true });
keeper.addFragment('/menu', Buffer.from('x'), { ttl: 60, tags: ['a'] }).then((name: string) => keeper.deleteFragment(name));
running.readFragment('/menu').then((bytes) => bytes?.length);
running.flush({ url: '/', recursive: true }).then((n: number) => n);
