/// <reference types="node" />

// Types of httpsys. The servers are Node's own, and so are their types.

import * as nodeHttp from 'http';
import * as nodeHttps from 'https';
import { X509Certificate } from 'crypto';

/** A URL prefix as HTTP.SYS writes it: `http://*:8080/app/`. Port 0 asks for a free port. */
export type Prefix = string;

export interface Affinity {
  /** Name of a parameter of the query, such as `sid` of socket.io. */
  query?: string;
  /** Name of a cookie. */
  cookie?: string;
  /** The address of the client. */
  address?: boolean;
}

export interface ListenOptions {
  /** One prefix or several. */
  url?: Prefix | URL | Array<Prefix | URL>;
  urls?: Array<Prefix | URL>;
  /** Name of a request queue that several processes share. */
  queue?: string;
  /** By what the requests of one client are kept with one of these processes; the first that a request has decides. */
  affinity?: Affinity;
  /** Lets the daemon compress responses, where that is worth it and safe. */
  compress?: boolean;
  signal?: AbortSignal;
}

export interface FragmentOptions {
  /** Seconds for which it is kept, 1 or more; 0, the default: until it is flushed. */
  ttl?: number;
  /** Names by which flush({ tag }) removes it. */
  tags?: string | string[];
}

/** What a client and the daemon have agreed on. */
export interface TlsInfo {
  protocol: string;
  cipher: string;
  servername: string;
  alpn: string;
  resumed: boolean;
}

/** req.client in the shape of the old module; empty if the client has shown no certificate. */
export interface ClientCertificate {
  authorized?: boolean;
  /** `CERT_E_EXPIRED`, …, or a number such as `0x800b010b`. */
  authorizationError?: string;
  getPeerCertificate?(): {
    subject: string;
    issuer: string;
    valid_from: string;
    valid_to: string;
    /** SHA-1. */
    fingerprint: string;
    /** The DER bytes, with HTTPSYS_EXPORT_CLIENT_CERT. */
    encoded?: Buffer;
  };
}

/** What servers do with the daemon's cache. A name is a URL below a prefix of the server, or a path at its first one. */
export interface Fragments {
  /** Stores bytes at the daemon, to put them into responses; resolves with the canonical name. They may be gone at any time: the daemon may need the room. */
  addFragment(name: string | URL, data: string | ArrayBufferView | ArrayBuffer, options?: FragmentOptions): Promise<string>;
  /** Resolves with undefined if it is not there (any more). */
  readFragment(name: string | URL): Promise<Buffer | undefined>;
  /** Resolves with whether it was there. */
  deleteFragment(name: string | URL): Promise<boolean>;
  /** Removes stored responses and fragments: of a URL, with recursive of all below it, or with a tag. Resolves with how many there were. */
  flush(what: { url?: string | URL; recursive?: boolean; tag?: string }): Promise<number>;
}

declare module 'net' {
  interface Server {
    /** Listens on URL prefixes at the daemon (servers of httpsys, or after slipstream()). */
    listen(url: Prefix | URL | string[], listeningListener?: () => void): this;
    listen(options: ListenOptions, listeningListener?: () => void): this;
    /** The prefixes on which the server listens, in canonical form. */
    urls?: string[];
    /** The daemon will end in some seconds, and with it the upgraded connections: say goodbye on them now. */
    on(event: 'daemonStop', listener: () => void): this;
    once(event: 'daemonStop', listener: () => void): this;
  }
}

declare module 'http' {
  interface Server extends Fragments {}

  /** The version of httpsys, in a process in which its servers are slipstreamed. */
  export const httpsys_version: string | undefined;

  interface IncomingMessage {
    /** What node:http has no property for; undefined for requests that did not come through the daemon. */
    httpsys?: {
      /** HTTP version of the client. */
      protocol: '1.0' | '1.1' | '2' | '3';
      /** The host that the request was routed by. */
      authority: string;
      /** The daemon's number of the client's connection. */
      connection: number;
      /** What the client and the daemon have agreed on; undefined without TLS. */
      readonly tls: TlsInfo | undefined;
    };
    /** Of a request to a server of httpsys.https(): what the client has shown. Else the socket, as in Node: write req.socket. */
    client: ClientCertificate;
  }

  interface ServerResponse {
    /** Seconds for which the daemon may answer in the place of this program. Needs HTTPSYS_CACHE_DURATION. */
    cacheDuration?: number;
    /**
     * Writes a fragment that addFragment has stored, as if its bytes were written. The daemon puts it in; if it is not
     * there (any more), the client gets 500, or is cut off if the response had begun.
     */
    writeFragment(name: string | URL, range?: { offset?: number; length?: number }): boolean;
  }
}

declare module 'https' {
  interface Server extends Fragments {}
  export const httpsys_version: string | undefined;
}

interface Door<M> {
  /** The exports of the built-in module, whose servers listen at the daemon. */
  (): M & { httpsys_version: string };
  /** Lets all servers of the built-in module listen at the daemon. */
  slipstream(): void;
}

export const http: Door<typeof nodeHttp>;
export const https: Door<typeof nodeHttps>;

/** Lets all servers of node:http and node:https in this process listen at the daemon. */
export function slipstream(): void;

export const httpsys_version: string;

export interface RemoteAddress {
  transport: 'tcp';
  hostname: string;
  port: number;
}

export interface RequestInfo {
  readonly remoteAddr: RemoteAddress;
  readonly localAddr: RemoteAddress;
  readonly protocol: '1.0' | '1.1' | '2' | '3';
  /** Whether the client's connection is TLS. */
  readonly secure: boolean;
  /** What the client has shown, and the daemon's verdict on it (`trusted`, `expired`, …); undefined if it has shown none. */
  readonly clientCertificate: { authorized: boolean; verdict: string; reason: string; certificate: X509Certificate } | undefined;
  readonly tls: TlsInfo | undefined;
  /** Keeps the server from closing before the promise is settled. */
  waitUntil(promise: Promise<unknown>): void;
  passThroughOnException(): void;
  /** Sends a 1xx response before the final one. */
  respondInformation(status: number, headers?: Headers | Record<string, string | string[]>): void;
  /** Accepts a WebSocket: return `response`, and `socket` opens. Throws a TypeError if the request asks for none. */
  upgradeWebSocket(options?: { protocol?: string; maxPayload?: number }): { socket: ServerWebSocket; response: Response };
}

export interface ServerWebSocket extends EventTarget {
  readonly url: string;
  readonly protocol: string;
  readonly extensions: string;
  readonly readyState: number;
  readonly bufferedAmount: number;
  binaryType: 'blob' | 'arraybuffer' | 'nodebuffer';
  onopen: ((event: Event) => void) | null;
  onmessage: ((event: Event & { data: any }) => void) | null;
  onerror: ((event: Event & { error: Error }) => void) | null;
  onclose: ((event: Event & { code: number; reason: string; wasClean: boolean }) => void) | null;
  send(data: string | ArrayBuffer | ArrayBufferView | Blob): void;
  ping(data?: string | Uint8Array): void;
  close(code?: number, reason?: string): void;
}

export type Handler = (request: Request, info: RequestInfo, context: RequestInfo) => Response | Promise<Response>;

export interface ServeOptions {
  /** One prefix or several. */
  url?: Prefix | URL | Array<Prefix | URL>;
  urls?: Array<Prefix | URL>;
  /** Without url: `http://HOSTNAME:PORT/`, with `*` for a missing host name. */
  port?: number | string;
  hostname?: string;
  /** Of an https prefix, where no administrator has bound a certificate. */
  cert?: string | Buffer | Array<string | Buffer>;
  key?: nodeHttps.ServerOptions['key'];
  passphrase?: string;
  /** Clients are asked for a certificate of one of the authorities in `ca`. */
  requestCert?: boolean;
  ca?: string | Buffer | Array<string | Buffer>;
  fetch: Handler;
  /** Answers in the place of a handler that threw. */
  error?: (error: unknown, request: Request) => Response | Promise<Response>;
  /** Seconds for which the daemon may answer in the place of the handler; a response says otherwise with Httpsys-Cache-Control. */
  cacheDuration?: number;
  /** Closes the server. */
  signal?: AbortSignal;
  onListen?: (server: HttpsysServer) => void;
  /** The daemon will end in some seconds. Afterwards the WebSockets are closed with 1001. */
  onDaemonStop?: (server: HttpsysServer) => void;
  /** Name of a request queue that several processes share. */
  queue?: string;
  /** By what the requests of one client are kept with one of these processes; the first that a request has decides. */
  affinity?: Affinity;
  /** Lets the daemon compress responses, where that is worth it and safe. */
  compress?: boolean;
  /** Replaces the global Request and Response by ones that cost less. */
  overrideGlobalObjects?: boolean;
}

export interface HttpsysServer extends Fragments {
  /** Known when `ready` has resolved. */
  readonly url: string | undefined;
  readonly urls: string[];
  readonly port: number | undefined;
  readonly ready: Promise<HttpsysServer>;
  /** Resolves when the server has closed; rejects if it cannot listen. */
  readonly finished: Promise<void>;
  /** Takes no more requests and resolves when those that were begun are answered; with force they are cut. */
  close(force?: boolean): Promise<void>;
  shutdown(): Promise<void>;
  ref(): this;
  unref(): this;
  /** close(), where the program's Node has Symbol.asyncDispose. */
  [Symbol.asyncDispose](): Promise<void>;
}

export function serve(options: ServeOptions): HttpsysServer;
export function serve(options: Omit<ServeOptions, 'fetch'>, handler: Handler): HttpsysServer;
export function serve(handler: Handler, options: Omit<ServeOptions, 'fetch'>): HttpsysServer;

/** A Response that costs less than the global one. */
declare const LightResponse: typeof globalThis.Response;
export { LightResponse as Response };

export interface TcpResponse {
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localAddress: string;
  readonly localPort: number;
  readonly closed: boolean;
  /** Free for the program: what it knows of this client. */
  state: any;
  /** Sends bytes, or text as UTF-8; false: more should wait for drained(). */
  write(bytes: Uint8Array | string): boolean;
  drained(): Promise<void>;
  /** Closes the connection when everything has been sent. */
  end(bytes?: Uint8Array | string): void;
  destroy(): void;
}

/** The bytes that clients send to a TCP port, and those that they get. */
export class InboundTcpSocket {
  constructor(host: string | undefined, port: number | string);
  readonly url: string | undefined;
  readonly port: number | undefined;
  readonly ready: Promise<this> | null;
  /** request: a piece of bytes; null when the client has said everything, or, with error, is lost. */
  listen(handler: (request: Buffer | null, response: TcpResponse, error: Error | null) => void): this;
  close(): Promise<void>;
}

export interface HTTPResponse {
  status: number;
  headers: Headers;
  /** It was ended, or the client has left. */
  readonly closed: boolean;
  write(bytes: Uint8Array | string): boolean;
  drained(): Promise<void>;
  end(bytes?: Uint8Array | string): void;
  respondWith(response: Response): void;
}

/** The same with requests that are parsed. */
export class HTTPServer {
  constructor(host: string | undefined, port: number | string);
  readonly url: string | undefined;
  readonly port: number | undefined;
  readonly ready: Promise<unknown> | null;
  listen(handler: (request: Request, response: HTTPResponse, error: Error | null) => unknown): this;
  close(force?: boolean): Promise<void>;
}
