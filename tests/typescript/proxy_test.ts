import assert from "node:assert/strict";
import { freePort, raw, Server, writeAll } from "./server.ts";

const LINE_END = "\r\n";
const GONE_WINDOW_MS = 300;

const proxy = (...backends: number[]) => started({}, ...backends);

function started(env: Record<string, string>, ...backends: number[]): Promise<Server> {
  return Server.listening({
    script: "proxy.ts",
    args: ["0", ...backends.map(String)],
    permissions: ["--allow-net"],
    env,
  });
}

/** A backend that decides about each byte of its answers, and keeps the requests that it has read. */
class Backend implements Disposable {
  requests: string[] = [];
  readonly port: number;
  readonly #listener: Deno.TcpListener;
  readonly #connections = new Set<Deno.TcpConn>();

  /** `reply` writes the answer. The connection is closed unless it returns "keep". */
  constructor(
    reply: (connection: Deno.TcpConn, request: string, number: number) => Promise<unknown>,
    port = 0,
  ) {
    const listener = Deno.listen({ hostname: "127.0.0.1", port });
    this.#listener = listener;
    this.port = listener.addr.port;
    (async () => {
      for await (const connection of listener) {
        this.#connections.add(connection);
        this.#serve(connection, reply).catch(() => {}).finally(() => {
          if (this.#connections.delete(connection)) connection.close();
        });
      }
    })().catch(() => {});
  }

  /** A backend that always answers this. */
  static saying(body: string, head = "HTTP/1.1 200 OK"): Backend {
    return new Backend((connection) => send(connection, message(body, head)));
  }

  async #serve(
    connection: Deno.TcpConn,
    reply: (connection: Deno.TcpConn, request: string, number: number) => Promise<unknown>,
  ) {
    const buffer = new Uint8Array(65536);
    let text = "";
    for (let size; (size = await connection.read(buffer)) !== null;) {
      text += new TextDecoder().decode(buffer.subarray(0, size));
      if (!text.includes("\r\n\r\n")) continue;
      this.requests.push(text);
      if (await reply(connection, text, this.requests.length) !== "keep") return;
      text = "";
    }
  }

  [Symbol.dispose]() {
    this.#listener.close();
    for (const connection of this.#connections) connection.close();
    this.#connections.clear();
  }
}

function message(body: string, head = "HTTP/1.1 200 OK"): string {
  return [head, `content-length: ${body.length}`, "", body].join(LINE_END);
}

function send(connection: Deno.Conn, text: string): Promise<void> {
  return writeAll(connection, new TextEncoder().encode(text));
}

async function text(server: Server, path = "/"): Promise<string> {
  const response = await fetch(server.url(path), { redirect: "manual" });
  return `${response.status} ${await response.text()}`;
}

Deno.test("the backends are asked in turn", async () => {
  using a = Backend.saying("a");
  using b = Backend.saying("b");
  using c = Backend.saying("c");
  await using server = await proxy(a.port, b.port, c.port);
  const answers = [];
  for (let i = 0; i < 6; i++) answers.push(await text(server));
  assert.deepEqual(answers, ["200 a", "200 b", "200 c", "200 a", "200 b", "200 c"]);
});

Deno.test("a backend that is down is skipped, and the expected lines report it", async () => {
  const dead = freePort();
  using good = Backend.saying("good");
  await using server = await proxy(dead, good.port);
  assert.equal(await text(server, "/index.css?v=1"), "200 good");
  assert.deepEqual(server.lines, [
    `HTTP webserver running.  Access it at:  http://localhost:${server.port}/`,
    `GET localhost:${server.port}/index.css?v=1`,
    `PROXY to localhost:${dead}/index.css?v=1 FAIL`,
    `PROXY to localhost:${good.port}/index.css?v=1 SUCCESS`,
  ]);
  assert.deepEqual(server.errors, []);
});

Deno.test("a backend that hangs costs the time of one attempt", async () => {
  using hung = new Backend(() => new Promise(() => {}));
  using good = Backend.saying("good");
  await using server = await proxy(hung.port, good.port);
  const began = performance.now();
  assert.equal(await text(server), "200 good");
  const took = performance.now() - began;
  assert.ok(took > 1_900 && took < 4_000, `${took} ms`);
  assert.equal(hung.requests.length, 1);
});

Deno.test("a backend that stops in the middle of a body costs the time of one attempt", async () => {
  using hung = new Backend(async (connection) => {
    await send(connection, message("half").replace("length: 4", "length: 8"));
    await new Promise(() => {});
  });
  using good = Backend.saying("good");
  await using server = await proxy(hung.port, good.port);
  assert.equal(await text(server), "200 good");
});

Deno.test("half a body never reaches the client", async () => {
  using byLength = new Backend((connection) =>
    send(connection, message("half").replace("length: 4", "length: 8"))
  );
  using byChunks = new Backend((connection) =>
    send(connection, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n")
  );
  using inHeaders = new Backend((connection) => send(connection, "HTTP/1.1 200 OK\r\ncontent-"));
  using good = Backend.saying("good");
  await using server = await proxy(byLength.port, byChunks.port, inHeaders.port, good.port);
  assert.equal(await text(server), "200 good");
  assert.equal(server.lines.filter((line) => line.endsWith("FAIL")).length, 3);
});

Deno.test("a backend that answers 5xx is skipped", async () => {
  using bad = Backend.saying("bad", "HTTP/1.1 500 Oh");
  using busy = new Backend(async (connection) => {
    await send(connection, message("busy", "HTTP/1.1 503 Busy").replace("length: 4", "length: 9"));
    return "keep";
  });
  using good = Backend.saying("good");
  await using server = await proxy(bad.port, busy.port, good.port);
  assert.equal(await text(server), "200 good");
  assert.deepEqual(server.errors, []);
});

Deno.test("without a backend the client gets 503 with Retry-After at the deadline", async () => {
  await using server = await proxy(freePort(), freePort(), freePort());
  const began = performance.now();
  const response = await fetch(server.url("/"));
  const took = performance.now() - began;
  assert.equal(response.status, 503);
  assert.equal(response.headers.get("retry-after"), "1");
  assert.equal(await response.text(), "no worker answered in time\n");
  assert.ok(took > 4_900 && took < 6_000, `${took} ms`);
  // Only the first pass prints a line for each attempt, so that five seconds do not fill the terminal.
  assert.equal(server.lines.filter((line) => line.endsWith("FAIL")).length, 3);
  assert.deepEqual(server.errors, []);
});

Deno.test("a pool that comes back within the deadline answers", async () => {
  const port = freePort();
  await using server = await proxy(port);
  const answer = text(server);
  await server.line(/FAIL$/);
  using _late = new Backend((connection) => send(connection, message("late")), port);
  assert.equal(await answer, "200 late");
});

Deno.test("each attempt delivers the request once, in whatever way the connection ends", async () => {
  const closing = () => new Backend(() => Promise.resolve());
  using first = closing();
  using second = closing();
  using good = Backend.saying("good");
  await using server = await proxy(first.port, second.port, good.port);
  assert.equal(await text(server), "200 good");
  assert.equal(first.requests.length, 1);
  assert.equal(second.requests.length, 1);
});

Deno.test("a request is not sent again on a connection that was kept open", async () => {
  // On a kept connection, fetch would deliver the second request twice.
  using flaky = new Backend(async (connection, _request, number) => {
    if (number !== 1) return;
    await send(connection, message("first"));
    return "keep";
  });
  using good = Backend.saying("good");
  await using server = await proxy(flaky.port, good.port);
  assert.equal(await text(server), "200 first");
  assert.equal(await text(server), "200 good");
  assert.equal(await text(server), "200 good");
  assert.equal(flaky.requests.length, 2);
});

Deno.test("no attempt is made for a client that has disconnected", async () => {
  using closing = new Backend(() => Promise.resolve());
  await using server = await proxy(closing.port);
  const client = await Deno.connect({ hostname: "127.0.0.1", port: server.port });
  await send(client, "GET / HTTP/1.1\r\nhost: a\r\n\r\n");
  await server.line(/FAIL$/);
  client.close();

  // A later request of another client has been answered, so the proxy knows of the disconnection.
  assert.equal(await server.ask("/", { method: "POST" }), 405);
  const known = closing.requests.length;
  // That nothing happens takes time to see. A proxy that goes on makes about forty attempts in this time.
  await new Promise((resolve) => setTimeout(resolve, GONE_WINDOW_MS));
  const more = closing.requests.length - known;
  assert.ok(more <= 1, `${more} attempts after the client had disconnected`);
  assert.deepEqual(server.errors, []);
});

Deno.test("an attempt for a client that disconnects is aborted", async () => {
  const asked = Promise.withResolvers<void>();
  const closed = Promise.withResolvers<void>();
  using hung = new Backend(async (connection) => {
    asked.resolve();
    while (await connection.read(new Uint8Array(64)).catch(() => null) !== null);
    closed.resolve();
  });
  await using server = await proxy(hung.port);
  const client = await Deno.connect({ hostname: "127.0.0.1", port: server.port });
  await send(client, "GET / HTTP/1.1\r\nhost: a\r\n\r\n");
  await asked.promise;
  const began = performance.now();
  client.close();
  await closed.promise;
  assert.ok(performance.now() - began < 1_500, "it was broken off by its own time limit");
});

Deno.test("answers below 500 are passed on as they are", async () => {
  using missing = Backend.saying("nothing here", "HTTP/1.1 404 Not Found");
  using moved = Backend.saying("", "HTTP/1.1 302 Found\r\nlocation: /elsewhere");
  using same = Backend.saying("", 'HTTP/1.1 304 Not Modified\r\netag: "7"');
  using part = Backend.saying("bc", "HTTP/1.1 206 Partial Content\r\ncontent-range: bytes 1-2/4");
  await using server = await proxy(missing.port, moved.port, same.port, part.port);
  assert.equal(await text(server), "404 nothing here");
  const redirect = await fetch(server.url("/"), { redirect: "manual" });
  assert.equal(redirect.status, 302);
  assert.equal(redirect.headers.get("location"), "/elsewhere");
  await redirect.body?.cancel();
  const unchanged = await fetch(server.url("/"));
  assert.equal(unchanged.status, 304);
  assert.equal(unchanged.headers.get("etag"), '"7"');
  await unchanged.body?.cancel();
  const partial = await fetch(server.url("/"), { headers: { range: "bytes=1-2" } });
  assert.equal(partial.status, 206);
  assert.equal(partial.headers.get("content-range"), "bytes 1-2/4");
  assert.equal(await partial.text(), "bc");
  assert.match(part.requests[0] ?? "", /\r\nrange: bytes=1-2\r\n/);
  assert.equal([missing, moved, same, part].every((one) => one.requests.length === 1), true);
});

Deno.test("an answer that is not HTTP is skipped and the proxy goes on", async () => {
  using noise = new Backend((connection) => send(connection, "SSH-2.0-noise\r\n\r\n"));
  using control = new Backend((connection) =>
    send(connection, "HTTP/1.1 200 OK\r\nx: a\x01b\r\ncontent-length: 0\r\n\r\n")
  );
  using strange = Backend.saying("", "HTTP/1.1 999 Strange");
  using good = Backend.saying("good");
  await using server = await proxy(noise.port, good.port, strange.port, good.port, control.port);
  assert.equal(await text(server), "200 good");
  assert.equal(await text(server), "200 good");
  assert.equal(await text(server), "200 good");
  assert.equal(await text(server), "200 good");
  assert.match(await text(server), /^200 (good)?$/);
  assert.deepEqual(server.errors, []);
});

Deno.test("a large body arrives byte for byte", async () => {
  const body = new Uint8Array(16 * 1024 * 1024);
  for (let at = 0; at < body.length; at += 65536) {
    crypto.getRandomValues(body.subarray(at, at + 65536));
  }
  using large = new Backend(async (connection) => {
    await send(connection, `HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n\r\n`);
    await writeAll(connection, body);
  });
  await using server = await proxy(large.port);
  const got = new Uint8Array(await (await fetch(server.url("/"))).arrayBuffer());
  assert.equal(got.length, body.length);
  assert.ok(got.every((byte, index) => byte === body[index]));
});

Deno.test("a body over the limit is refused with 502 and a reason, after one request", async () => {
  using said = new Backend((connection) =>
    send(connection, `HTTP/1.1 200 OK\r\ncontent-length: ${65 * 1024 * 1024}\r\n\r\n`)
  );
  const megabyte = "x".repeat(1024 * 1024);
  using unsaid = new Backend(async (connection) => {
    await send(connection, "HTTP/1.1 200 OK\r\n\r\n");
    for (let i = 0; i < 80; i++) await send(connection, megabyte);
  });
  await using server = await proxy(said.port, unsaid.port);
  const refused = "502 the answer is larger than the 67108864 bytes this proxy holds\n";
  assert.equal(await text(server), refused);
  assert.equal(await text(server), refused);
  assert.equal(said.requests.length, 1);
  assert.equal(unsaid.requests.length, 1);
  assert.deepEqual(server.errors, []);
});

Deno.test("HEAD is passed on as HEAD and keeps the length", async () => {
  using backend = new Backend((connection) =>
    send(connection, "HTTP/1.1 200 OK\r\ncontent-type: image/png\r\ncontent-length: 40000\r\n\r\n")
  );
  await using server = await proxy(backend.port);
  const answer = await raw(
    server.port,
    "HEAD /gp.png HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
  );
  assert.match(answer, /^HTTP\/1\.1 200 /);
  assert.match(answer, /\r\ncontent-length: 40000\r\n/);
  assert.match(answer, /\r\ncontent-type: image\/png\r\n/);
  assert.ok(answer.endsWith("\r\n\r\n"));
  assert.match(backend.requests[0] ?? "", /^HEAD \/gp\.png HTTP\/1\.1\r\n/);
});

Deno.test("other methods get 405 with Allow and are not passed on", async () => {
  using backend = Backend.saying("a");
  await using server = await proxy(backend.port);
  for (const method of ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"]) {
    const response = await fetch(server.url("/"), { method });
    await response.body?.cancel();
    assert.equal(response.status, 405);
    assert.equal(response.headers.get("allow"), "GET, HEAD");
  }
  assert.equal(backend.requests.length, 0);
});

Deno.test("headers are passed on in both directions, except those of one connection", async () => {
  using backend = Backend.saying(
    "a",
    "HTTP/1.1 200 OK\r\nset-cookie: a=1\r\nset-cookie: b=2\r\nx-kept: yes\r\nkeep-alive: timeout=5\r\n" +
      "connection: close, x-private\r\nx-private: 1",
  );
  await using server = await proxy(backend.port);
  const answer = await raw(
    server.port,
    "GET /a%20b?c=d&e HTTP/1.1\r\nhost: lab.example:1337\r\ncookie: k=v\r\nx-mine: 1\r\n" +
      "connection: close, x-hop\r\nx-hop: 1\r\nte: trailers\r\naccept-encoding: gzip\r\n\r\n",
  );
  assert.match(answer, /\r\nset-cookie: a=1\r\nset-cookie: b=2\r\n/);
  assert.match(answer, /\r\nx-kept: yes\r\n/);
  assert.doesNotMatch(answer, /\r\n(x-private|keep-alive):/);
  const request = backend.requests[0] ?? "";
  assert.match(request, /^GET \/a%20b\?c=d&e HTTP\/1\.1\r\n/);
  assert.match(request, /\r\nhost: lab\.example:1337\r\n/);
  assert.match(request, /\r\ncookie: k=v\r\n/);
  assert.match(request, /\r\nx-mine: 1\r\n/);
  assert.match(request, /\r\naccept-encoding: gzip\r\n/);
  assert.doesNotMatch(request, /\r\n(x-hop|te):/);
});

Deno.test("a compressed body arrives compressed, with its header", async () => {
  const plain = "so it goes ".repeat(100);
  const stream = new Blob([plain]).stream().pipeThrough(new CompressionStream("gzip"));
  const packed = new Uint8Array(await new Response(stream).arrayBuffer());
  using backend = new Backend(async (connection) => {
    const head = `HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: ${packed.length}`;
    await send(connection, `${head}\r\n\r\n`);
    await writeAll(connection, packed);
  });
  await using server = await proxy(backend.port);
  // fetch decompresses. If the proxy did too, or dropped the header, the texts would differ.
  assert.equal(await text(server), `200 ${plain}`);
});

Deno.test("an http_proxy in the environment does not redirect the traffic of the pool", async () => {
  using elsewhere = Backend.saying("elsewhere");
  using good = Backend.saying("good");
  const away = `http://127.0.0.1:${elsewhere.port}`;
  const env = { HTTP_PROXY: away, http_proxy: away, ALL_PROXY: away, NO_PROXY: "", no_proxy: "" };
  await using server = await started(env, good.port);
  assert.equal(await text(server), "200 good");
  assert.equal(elsewhere.requests.length, 0);
});

Deno.test("invalid arguments are refused with status 2", async () => {
  for (
    const args of [["80a"], ["70000"], ["0", "0"], ["0", "8080", "x"], ["9000", "8080", "9000"]]
  ) {
    await using server = new Server({ script: "proxy.ts", args });
    assert.equal(await server.exit(), 2, args.join(" "));
    assert.match(server.errors.join("\n"), /^proxy\.ts: /);
    assert.deepEqual(server.lines, []);
  }
});

Deno.test("a used port is reported in one line, with status 1", async () => {
  using other = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  await using server = new Server({ script: "proxy.ts", args: [String(other.addr.port)] });
  assert.equal(await server.exit(), 1);
  assert.deepEqual(server.errors, [
    `proxy.ts: cannot listen on 127.0.0.1:${other.addr.port}: another process has this port`,
  ]);
});
