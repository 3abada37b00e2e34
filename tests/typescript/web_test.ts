import assert from "node:assert/strict";
import { PROJECT, raw, Server } from "./server.ts";

const NEVER = "0";
const ALWAYS = "1";
const web = (...args: string[]) => Server.listening({ script: "web.ts", args: ["0", ...args] });

Deno.test("every file of www is served complete, with its content type", async () => {
  await using server = await web(NEVER);
  for (
    const [path, file, type] of [
      ["/", "index.html", "text/html; charset=utf-8"],
      ["/index.html", "index.html", "text/html; charset=utf-8"],
      ["/index.css", "index.css", "text/css; charset=utf-8"],
      ["/gp.png?again=1", "gp.png", "image/png"],
    ] as const
  ) {
    const response = await fetch(server.url(path));
    const body = new Uint8Array(await response.arrayBuffer());
    assert.equal(response.status, 200);
    assert.equal(response.headers.get("content-type"), type);
    assert.equal(response.headers.get("cache-control"), "no-store");
    assert.deepEqual(body, await Deno.readFile(`${PROJECT}www/${file}`));
  }
});

Deno.test("HEAD tells the length and sends no body", async () => {
  await using server = await web(NEVER);
  const answer = await raw(
    server.port,
    "HEAD /gp.png HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
  );
  const { size } = await Deno.stat(`${PROJECT}www/gp.png`);
  assert.match(answer, /^HTTP\/1\.1 200 /);
  assert.match(answer.toLowerCase(), new RegExp(`\r\ncontent-length: ${size}\r\n`));
  assert.ok(answer.endsWith("\r\n\r\n"));
});

Deno.test("other methods get 405 with Allow and never crash the server", async () => {
  await using server = await web(ALWAYS);
  for (const method of ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"]) {
    const response = await fetch(server.url("/index.html"), { method });
    await response.body?.cancel();
    assert.equal(response.status, 405);
    assert.equal(response.headers.get("allow"), "GET, HEAD");
  }
});

Deno.test("a missing file gets 404 and never crashes the server", async () => {
  await using server = await web(ALWAYS);
  for (const path of ["/nothing", "/www/index.html", "/gp.png/", "/index.html%00", "/Index.html"]) {
    assert.equal(await server.ask(path), 404, path);
  }
  assert.equal(await server.ask(`/${"a".repeat(4000)}`), 404);
});

Deno.test("a crash exits with status 255 and prints the expected lines", async () => {
  await using server = await web(ALWAYS);
  await assert.rejects(server.ask("/gp.png"));
  assert.equal(await server.exit(), 255);
  assert.deepEqual(server.lines, [
    `port: ${server.port}`,
    `HTTP webserver running.  Access it at:  http://localhost:${server.port}/`,
    "gp.png",
    "Chaos Monkey strikes again!",
  ]);
  assert.deepEqual(server.errors, []);
});

Deno.test("HEAD can crash the server as GET can", async () => {
  await using server = await web(ALWAYS);
  await assert.rejects(server.ask("/", { method: "HEAD" }));
  assert.equal(await server.exit(), 255);
});

Deno.test("without ODDS about one request in twenty crashes the server", async () => {
  // The requests of 48 servers have a mean of 960 and a standard deviation of 135. Five of these are allowed.
  const survived = await Promise.all(Array.from({ length: 4 }, async () => {
    let requests = 0;
    for (let life = 0; life < 12; life++) {
      await using server = await web();
      const deadly = () => server.ask("/index.css").then(() => false, () => true);
      do requests++; while (!await deadly());
      assert.equal(await server.exit(), 255);
    }
    return requests;
  }));
  const requests = survived.reduce((sum, one) => sum + one);
  assert.ok(requests > 285 && requests < 1635, `${requests} requests for 48 lives`);
});

Deno.test("no request reads a file outside www", async () => {
  const copy = await Deno.makeTempDir();
  try {
    await Deno.copyFile(`${PROJECT}web.ts`, `${copy}/web.ts`);
    await Deno.mkdir(`${copy}/www/folder`, { recursive: true });
    await Deno.mkdir(`${copy}/wwwsecret`);
    await Deno.writeTextFile(`${copy}/www/index.html`, "home");
    for (const file of ["secret", "wwwsecret/secret"]) {
      await Deno.writeTextFile(`${copy}/${file}`, "the secret");
    }
    await Deno.symlink("../secret", `${copy}/www/link`);
    await Deno.symlink("../wwwsecret", `${copy}/www/folderlink`);
    await Deno.symlink(`${copy}/secret`, `${copy}/www/folder/absolute`);
    await Deno.symlink("loop", `${copy}/www/loop`);
    await Deno.symlink("../index.html", `${copy}/www/folder/inside`);

    await using server = await Server.listening({
      script: `${copy}/web.ts`,
      args: ["0", NEVER],
    });
    for (
      const target of [
        "/link",
        "/folderlink/secret",
        "/folder/absolute",
        "/loop",
        "/folder",
        "/folder/",
        "/../secret",
        "/%2e%2e/secret",
        "/folder/..%2f..%2fsecret",
        "/folder/%2e%2e%2f%2e%2e%2fsecret",
        "/..%2fsecret",
        "/..%5csecret",
        "/..\\secret",
        "/%2e%2e%5c%2e%2e%5csecret",
        `//${copy}/secret`,
        `/%2f${copy.slice(1).replaceAll("/", "%2f")}%2fsecret`,
        "/../wwwsecret/secret",
        "/..%2fwwwsecret%2fsecret",
        "/index.html%00",
        "/%00/../../secret",
        "/%zz",
        "/%",
        "/%c0%ae%c0%ae/secret",
        "/.%2e/secret",
        "/folder%2finside",
        `http://elsewhere${copy}/secret`,
        "*",
      ]
    ) {
      const answer = await raw(
        server.port,
        `GET ${target} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n`,
      );
      assert.match(answer, /^HTTP\/1\.1 40[04] /, target);
      assert.ok(!answer.includes("the secret"), target);
    }
    // A link that stays inside www is followed.
    assert.equal(await server.ask("/folder/inside"), 200);
    assert.deepEqual(server.errors, []);
  } finally {
    await Deno.remove(copy, { recursive: true });
  }
});

Deno.test("a request cannot forge a line of the log", async () => {
  await using server = await web(NEVER);
  await server.ask("/a%0AChaos%20Monkey%20strikes%20again!");
  assert.equal(await server.line(/^a/), "a%0AChaos%20Monkey%20strikes%20again!");
});

Deno.test("an invalid host is refused and the server goes on", async () => {
  await using server = await web(NEVER);
  const answer = await raw(server.port, "GET / HTTP/1.1\r\nhost: [\r\nconnection: close\r\n\r\n");
  assert.match(answer, /^HTTP\/1\.1 [245]00 /);
  assert.equal(await server.ask("/"), 200);
});

Deno.test("it serves its own www from any folder, with the least permissions", async () => {
  await using server = await Server.listening({
    script: `${PROJECT}web.ts`,
    args: ["0", NEVER],
    permissions: [`--allow-read=${PROJECT}www`, "--allow-net=127.0.0.1"],
    cwd: "/",
  });
  assert.equal(await server.ask("/"), 200);
  assert.equal(await server.ask("/gp.png"), 200);
});

Deno.test("invalid arguments are refused with status 2", async () => {
  for (
    const args of [["80a"], ["70000"], ["-1"], [""], ["0", "x"], ["0", "1.5"], ["0", "1", "2"]]
  ) {
    await using server = new Server({ script: "web.ts", args });
    assert.equal(await server.exit(), 2, args.join(" "));
    assert.match(server.errors.join("\n"), /^web\.ts: .*usage: web\.ts \[PORT \[ODDS\]\]/);
    assert.deepEqual(server.lines, []);
  }
});

Deno.test("a used port is reported in one line, with status 1", async () => {
  using other = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  await using server = new Server({ script: "web.ts", args: [String(other.addr.port)] });
  assert.equal(await server.exit(), 1);
  assert.deepEqual(server.errors, [
    `web.ts: cannot listen on 127.0.0.1:${other.addr.port}: another process has this port`,
  ]);
});
