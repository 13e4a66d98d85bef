'use strict';

// LightResponse is a Response whose native form is made only when a member is
// asked for that needs it. A program gets it as httpsys.Response, or as the
// global Response with `overrideGlobalObjects`; native ones work as well, and cost
// some ten times as much.

const kLight = Symbol('httpsys response');

const NativeResponse = globalThis.Response;
const NativeHeaders = globalThis.Headers;

const TOKEN = /^[!#$%&'*+\-.^_`|~\w]+$/;
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;
const REASON = VALUE;
const NULL_BODY = new Set([101, 204, 205, 304]);

class LightResponse {
  constructor(body = null, init = undefined) {
    const light = { status: 200, statusText: '', list: null, headers: null, body, native: null };
    if (init !== undefined && init !== null) {
      const { status, statusText, headers } = init;
      if (status !== undefined) light.status = checkStatus(status);
      if (statusText !== undefined) light.statusText = checkReason(`${statusText}`);
      if (headers !== undefined) fields(light, headers);
    }
    if (body === undefined) light.body = null;
    else if (body !== null && NULL_BODY.has(light.status)) throw new TypeError(`Response constructor: status ${light.status} has no body`);
    this[kLight] = light;
    if (body !== null && body !== undefined && typeof body !== 'string' && !(body instanceof Uint8Array)) native(this); // checks it
  }

  static json(data, init = {}) {
    const text = JSON.stringify(data);
    if (text === undefined) throw new TypeError('Value is not JSON serializable');
    const response = new LightResponse(text, init);
    const light = response[kLight];
    if (light.list === null && light.headers === null) light.list = ['content-type', 'application/json'];
    else if (!response.headers.has('content-type')) response.headers.set('content-type', 'application/json');
    return response;
  }

  static redirect(...args) { return NativeResponse.redirect(...args); }
  static error() { return NativeResponse.error(); }

  static [Symbol.hasInstance](object) {
    return this === LightResponse ? object instanceof NativeResponse : Function.prototype[Symbol.hasInstance].call(this, object);
  }

  get status() { return this[kLight].status; }
  get statusText() { return this[kLight].statusText; }
  get ok() { return this[kLight].status >= 200 && this[kLight].status <= 299; }

  get headers() {
    const light = this[kLight];
    if (light.native !== null) return light.native.headers;
    if (light.headers === null) {
      const headers = light.headers = new NativeHeaders();
      const { list } = light;
      if (list !== null) for (let i = 0; i < list.length; i += 2) headers.append(list[i], list[i + 1]);
      light.list = null;
      if (typeof light.body === 'string' && !headers.has('content-type')) headers.set('content-type', 'text/plain;charset=UTF-8');
    }
    return light.headers;
  }

  get bodyUsed() {
    const { native: made } = this[kLight];
    return made !== null && made.bodyUsed;
  }

  get [Symbol.toStringTag]() { return 'Response'; }
}

function checkStatus(value) {
  const status = Number(value);
  if (!Number.isInteger(status) || status < 200 || status > 599) {
    throw new RangeError(`Response constructor: status ${String(value)} is not between 200 and 599`);
  }
  return status;
}

function checkReason(text) {
  if (!REASON.test(text)) throw new TypeError('Response constructor: invalid statusText');
  return text;
}

// fields keeps simple header fields as a list, and others as native Headers.
function fields(light, headers) {
  if (headers === null || typeof headers !== 'object' || headers instanceof NativeHeaders || typeof headers[Symbol.iterator] === 'function') {
    light.headers = new NativeHeaders(headers);
    if (typeof light.body === 'string' && !light.headers.has('content-type')) light.headers.set('content-type', 'text/plain;charset=UTF-8');
    return;
  }
  const list = [];
  for (const name of Object.keys(headers)) {
    const value = `${headers[name]}`.trim();
    if (!TOKEN.test(name)) throw new TypeError(`Headers: ${name} is an invalid header name`);
    if (!VALUE.test(value)) throw new TypeError(`Headers: the value of ${name} is an invalid header value`);
    list.push(name, value);
  }
  light.list = list;
}

// native makes the native Response of a light one.
function native(response) {
  const light = response[kLight];
  if (light.native === null) {
    light.native = new NativeResponse(light.body, {
      status: light.status, statusText: light.statusText, headers: light.headers || pairs(light.list),
    });
    light.body = null;
  }
  return light.native;
}

function pairs(list) {
  const all = [];
  if (list !== null) for (let i = 0; i < list.length; i += 2) all.push([list[i], list[i + 1]]);
  return all;
}

function delegate(names, from) {
  for (const name of names) {
    if (Object.prototype.hasOwnProperty.call(LightResponse.prototype, name)) continue;
    const d = Object.getOwnPropertyDescriptor(from, name);
    const method = d !== undefined && typeof d.value === 'function';
    Object.defineProperty(LightResponse.prototype, name, {
      configurable: true,
      enumerable: false,
      ...(method ? { value(...args) { return native(this)[name](...args); }, writable: true } : { get() { return native(this)[name]; } }),
    });
  }
}
delegate(Reflect.ownKeys(NativeResponse.prototype), NativeResponse.prototype);
delegate(Object.getOwnPropertySymbols(new NativeResponse()), {});
Object.setPrototypeOf(LightResponse.prototype, NativeResponse.prototype);

module.exports = { LightResponse, NativeResponse, kLight };
