/**
 * The lab's proxy: one address in front of the pool. A worker may die behind it, and no client sees an error.
 *
 *     deno run --allow-net proxy.ts [LISTEN_PORT [BACKEND_PORT...]]
 *
 * The defaults are 1337 in front of 8080, 8081 and 8082. Each request starts with the next backend in turn. A failed
 * try goes on to the next backend; a failed pass over all of them is repeated after a pause, until the deadline. The
 * proxy reads an answer completely before it sends the first byte: if the worker died in between, the client would
 * get half a file. It forwards only GET and HEAD: only those may be repeated.
 */

import http from "node:http";

const USAGE = "usage: proxy.ts [LISTEN_PORT [BACKEND_PORT...]]";
const BODY_BYTES_MAX = 64 * 1024 * 1024;
const TRY_MS_MAX = 2_000;
const REQUEST_MS_MAX = 5_000;
/** A refused connection costs 0.2 ms and a new worker needs 35 ms: several tries in that time, and no busy loop. */
const PAUSE_MS = 5;
/** The pause where a worker answers 5xx itself: each try costs it a request. */
const PAUSE_AFTER_5XX_MS = 100;
/** They belong to one connection, not to the message (RFC 9110, section 7.6.1). */
const HOP_BY_HOP = [
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
];
const STATUSES_WITHOUT_BODY = [204, 205, 304];

type Try =
  | { readonly outcome: "answered"; readonly response: Response }
  | { readonly outcome: "too big" }
  | { readonly outcome: "status 5xx" }
  | { readonly outcome: "no answer" };

const listenPort = portNumber(Deno.args[0] ?? "1337", 0);
const backends = backendPorts(Deno.args.slice(1));
/** The bound address, which differs from the requested one with port 0 or with DENO_SERVE_ADDRESS set. */
let boundPort = listenPort;
let cursor = 0;

try {
  Deno.serve({ hostname: "127.0.0.1", port: listenPort, onListen, onError }, answer);
} catch (error) {
  refuse(1, `cannot listen on 127.0.0.1:${listenPort}: ${reason(error)}`);
}

function onListen(address: Deno.NetAddr) {
  boundPort = address.port;
  console.log(`HTTP webserver running.  Access it at:  http://localhost:${address.port}/`);
}

async function answer(request: Request, info: Deno.ServeHandlerInfo): Promise<Response> {
  if (request.method !== "GET" && request.method !== "HEAD") {
    return plain(405, "only GET and HEAD are passed on", { allow: "GET, HEAD" });
  }
  const url = URL.parse(request.url);
  if (url === null) return plain(400, "this URL makes no sense");
  const target = url.pathname + url.search;
  // If the client hangs up, the promise is rejected when the answer is due. There is nothing to do then.
  info.completed.catch(() => {});
  console.log(`${request.method} localhost:${boundPort}${target}`);

  const started = performance.now();
  const deadline = started + REQUEST_MS_MAX;
  const first = cursor;
  cursor = (cursor + 1) % backends.length;

  for (let pass = 0; !request.signal.aborted; pass++) {
    let pause = PAUSE_MS;
    for (let step = 0; step < backends.length; step++) {
      const backend = backends[(first + step) % backends.length] as number;
      const limit = Math.min(TRY_MS_MAX, deadline - performance.now());
      if (limit <= 0 || request.signal.aborted) break;
      const result = await tryOnce(backend, request, target, limit);
      const success = result.outcome === "answered";
      // Later passes would print the same lines 200 times a second, and take CPU time from the workers that start. The
      // try that ends the wait is always printed.
      if (success || (pass === 0 && !request.signal.aborted)) {
        console.log(`PROXY to localhost:${backend}${target} ${success ? "SUCCESS" : "FAIL"}`);
      }
      if (result.outcome === "answered") return result.response;
      if (result.outcome === "too big") {
        return plain(502, `the answer is larger than the ${BODY_BYTES_MAX} bytes this proxy holds`);
      }
      if (result.outcome === "status 5xx") pause = PAUSE_AFTER_5XX_MS;
    }
    const left = deadline - performance.now();
    if (left <= 0) {
      console.log(`GIVE UP localhost:${boundPort}${target} after ${REQUEST_MS_MAX} ms`);
      return plain(503, "no worker answered in time", { "retry-after": "1" });
    }
    await sleep(Math.min(pause, left), request.signal);
  }
  // The client has hung up: the answer is not sent.
  return plain(499, "");
}

/** One request to one backend, delivered at most once, and its complete answer. */
async function tryOnce(
  port: number,
  request: Request,
  target: string,
  limit: number,
): Promise<Try> {
  const abort = new AbortController();
  const stop = () => abort.abort();
  const timer = setTimeout(stop, limit);
  request.signal.addEventListener("abort", stop);
  try {
    const { status, statusText, headers, chunks } = await send(port, request, target, abort.signal);
    if (status >= 500) return { outcome: "status 5xx" };
    const bodiless = request.method === "HEAD" || STATUSES_WITHOUT_BODY.includes(status);
    const announced = Number(headers.get("content-length"));
    if (!bodiless && announced > BODY_BYTES_MAX) return { outcome: "too big" };
    const body: Uint8Array[] = [];
    let size = 0;
    // This throws if the connection ends before the body does.
    for await (const chunk of chunks) {
      size += chunk.length;
      if (size > BODY_BYTES_MAX) return { outcome: "too big" };
      body.push(chunk);
    }
    return {
      outcome: "answered",
      response: new Response(bodiless ? null : joined(body, size), {
        status,
        statusText,
        headers: withoutHopByHop(headers),
      }),
    };
  } catch {
    // Refused, reset, closed early, timed out, or the client has hung up: there is no answer.
    return { outcome: "no answer" };
  } finally {
    // Closes what is still open of this try.
    abort.abort();
    clearTimeout(timer);
    request.signal.removeEventListener("abort", stop);
  }
}

interface Answer {
  readonly status: number;
  readonly statusText: string;
  readonly headers: Headers;
  readonly chunks: AsyncIterable<Uint8Array>;
}

/**
 * Not fetch, for three reasons. On a kept connection fetch sends a request twice if the server closes without an
 * answer, and each delivery can end a worker. It sends the requests through an http_proxy of the environment. And it
 * decompresses bodies. Without an agent there is only the connection made here, and the bytes are passed on as they are.
 */
function send(
  port: number,
  request: Request,
  path: string,
  signal: AbortSignal,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const { method } = request;
    const headers = [...requestHeaders(request.headers)].flat();
    const options = { host: "127.0.0.1", port, path, method, headers, agent: false, signal };
    http.request(options, (message) => {
      // A body that is not read any more may still fail, and an error without a listener ends the process.
      message.on("error", () => {});
      try {
        resolve({
          status: message.statusCode ?? 0,
          statusText: message.statusMessage ?? "",
          headers: responseHeaders(message.rawHeaders),
          chunks: message,
        });
      } catch (error) {
        reject(error);
      }
    }).on("error", reject).end();
  });
}

/** Headers from alternating names and values. Throws if one is invalid. */
function responseHeaders(raw: string[]): Headers {
  const headers = new Headers();
  for (let i = 0; i + 1 < raw.length; i += 2) {
    headers.append(raw[i] as string, raw[i + 1] as string);
  }
  return headers;
}

function joined(chunks: Uint8Array[], size: number): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole;
}

function requestHeaders(from: Headers): Headers {
  const headers = withoutHopByHop(from);
  // The body of a GET is not forwarded, nor the headers that announce it.
  for (const name of ["content-length", "content-type", "expect"]) headers.delete(name);
  headers.set("connection", "close");
  return headers;
}

function withoutHopByHop(from: Headers): Headers {
  const headers = new Headers(from);
  const named = (from.get("connection") ?? "").split(",").map((name) => name.trim());
  for (const name of [...HOP_BY_HOP, ...named]) {
    // `Connection: "x"` does not name a header, and Headers would throw.
    if (/^[\w!#$%&'*+.^`|~-]+$/.test(name)) headers.delete(name);
  }
  return headers;
}

function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener("abort", end);
  });
}

function plain(status: number, text: string, headers: Record<string, string> = {}): Response {
  return new Response(text === "" ? null : `${text}\n`, {
    status,
    headers: { "content-type": "text/plain; charset=utf-8", ...headers },
  });
}

function onError(error: unknown): Response {
  console.error(`proxy.ts: ${reason(error)}`);
  return plain(500, "the proxy itself failed");
}

function backendPorts(texts: string[]): number[] {
  const ports = texts.length === 0 ? [8080, 8081, 8082] : texts.map((text) => portNumber(text, 1));
  // The proxy would forward each request to itself, again and again.
  if (ports.includes(listenPort)) {
    refuse(2, `port ${listenPort} is both listened on and passed on to`);
  }
  return ports;
}

function portNumber(text: string, min: number): number {
  const number = /^[0-9]+$/.test(text) ? Number(text) : NaN;
  if (!(number >= min && number <= 65535)) refuse(2, `"${text}" is not a port; ${USAGE}`);
  return number;
}

function reason(error: unknown): string {
  if (error instanceof Deno.errors.AddrInUse) return "another process has this port";
  return error instanceof Error ? error.message : String(error);
}

function refuse(status: number, why: string): never {
  console.error(`proxy.ts: ${why}`);
  Deno.exit(status);
}
