/**
 * The lab's unreliable web server: it serves the files of www/ and exits on one request in twenty.
 *
 *     deno run --allow-read --allow-net web.ts [PORT [ODDS]]
 *
 * PORT defaults to 8080; 0 lets the kernel choose. With ODDS n the process exits on one request in n; with 0, never.
 * It never writes a file, never serves one from outside www/, and does not try to recover: pm does that.
 */

const USAGE = "usage: web.ts [PORT [ODDS]]   PORT 0 to 65535, ODDS n for one in n, 0 for never";
const CONTENT_TYPES: Record<string, string> = {
  css: "text/css; charset=utf-8",
  html: "text/html; charset=utf-8",
  ico: "image/x-icon",
  jpeg: "image/jpeg",
  jpg: "image/jpeg",
  js: "text/javascript; charset=utf-8",
  json: "application/json",
  png: "image/png",
  svg: "image/svg+xml",
  txt: "text/plain; charset=utf-8",
  webp: "image/webp",
};

if (Deno.args.length > 2) refuse(2, USAGE);
const port = wholeNumber("PORT", Deno.args[0] ?? "8080", 65535);
const odds = wholeNumber("ODDS", Deno.args[1] ?? "20", Number.MAX_SAFE_INTEGER);
const root = realRoot();

try {
  Deno.serve({ hostname: "127.0.0.1", port, onListen, onError }, answer);
} catch (error) {
  refuse(1, `cannot listen on 127.0.0.1:${port}: ${reason(error)}`);
}

function onListen(address: Deno.NetAddr) {
  // The bound address, which differs from the requested one with port 0 or with DENO_SERVE_ADDRESS set.
  console.log(`port: ${address.port}`);
  console.log(`HTTP webserver running.  Access it at:  http://localhost:${address.port}/`);
}

/** The order matters: only a request for an existing file can end the process. */
async function answer(request: Request): Promise<Response> {
  if (request.method !== "GET" && request.method !== "HEAD") {
    return new Response(null, { status: 405, headers: { allow: "GET, HEAD" } });
  }

  const path = requestedPath(request.url);
  if (path === null) return new Response(null, { status: 400 });
  // Still encoded: a decoded newline would forge a line of the log.
  console.log(path);

  const file = await fileInRoot(path);
  if (file === null) return new Response(null, { status: 404 });

  if (odds > 0 && Math.floor(Math.random() * odds) === 0) {
    console.log("Chaos Monkey strikes again!");
    Deno.exit(-1);
  }

  const body = await Deno.readFile(file);
  const headers = {
    "content-type": contentType(file),
    "content-length": String(body.length),
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
  };
  return new Response(request.method === "HEAD" ? null : body, { headers });
}

function onError(error: unknown): Response {
  console.error(`web.ts: ${reason(error)}`);
  return new Response(null, { status: 500 });
}

/** The path below www/, still encoded and without its first slash; null if the URL is invalid. */
function requestedPath(url: string): string | null {
  const parsed = URL.parse(url);
  return parsed === null ? null : parsed.pathname.slice(1) || "index.html";
}

/**
 * The real path of a regular file below www/, or null.
 *
 * Each segment is decoded by itself and may not become a separator or `..`. Then the kernel resolves all links, and
 * the result has to be in www/.
 */
async function fileInRoot(path: string): Promise<string | null> {
  const segments = path.split("/").map(decodedSegment);
  if (segments.includes(null)) return null;
  try {
    const real = await Deno.realPath(`${root}/${segments.join("/")}`);
    if (!real.startsWith(`${root}/`)) return null;
    return (await Deno.stat(real)).isFile ? real : null;
  } catch (error) {
    // Missing, too long a name, a broken or circular link, an unreadable folder: no such file. Only a permission that
    // `deno run` was not given is not the client's fault.
    if (error instanceof Deno.errors.NotCapable) throw error;
    return null;
  }
}

function decodedSegment(segment: string): string | null {
  let decoded;
  try {
    decoded = decodeURIComponent(segment);
  } catch {
    return null;
  }
  return /^\.{0,2}$|[/\\\0]/.test(decoded) ? null : decoded;
}

function contentType(file: string): string {
  const extension = /\.([^./]+)$/.exec(file)?.[1]?.toLowerCase() ?? "";
  return CONTENT_TYPES[extension] ?? "application/octet-stream";
}

/** The real path of www/ beside this script, for any current folder. */
function realRoot(): string {
  const www = `${import.meta.dirname}/www`;
  try {
    return Deno.realPathSync(www);
  } catch (error) {
    return refuse(1, `cannot serve ${www}: ${reason(error)}`);
  }
}

function wholeNumber(name: string, text: string, max: number): number {
  const number = /^[0-9]+$/.test(text) ? Number(text) : NaN;
  if (!(number <= max)) refuse(2, `${name} is "${text}"; ${USAGE}`);
  return number;
}

function reason(error: unknown): string {
  if (error instanceof Deno.errors.AddrInUse) return "another process has this port";
  return error instanceof Error ? error.message : String(error);
}

function refuse(status: number, why: string): never {
  console.error(`web.ts: ${why}`);
  Deno.exit(status);
}
