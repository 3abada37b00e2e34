/**
 * Load for the lab: every answer is compared with its file in www/, byte by byte.
 *
 *     deno run --allow-net --allow-read scripts/load.ts [--url http://127.0.0.1:1337] [--requests 10000]
 *         [--workers 8 | --rate 100] [--deadline 300] [--json]
 *
 * --workers N is a closed loop: N clients, each of which sends its next request when it has its answer. --rate N is an
 * open loop: N requests start each second, answered or not. There the time of a request counts from when it was due, so
 * that a stall shows in the latency of every request that was due during it.
 *
 * No request is repeated: a failure that a second try would mend is a failure. Exit status: 0 without a failure, 1 with
 * one, 2 for wrong arguments.
 */

const USAGE = "usage: load.ts [--url http://HOST:PORT] [--requests N] [--workers N | --rate N] " +
  "[--deadline SECONDS] [--json]";
const PATHS = [["/", "index.html"], ["/index.css", "index.css"], ["/gp.png", "gp.png"]] as const;
/** Longer than the proxy's deadline: its 503 says more than a timeout here. */
const REQUEST_MS_MAX = 10_000;
const REASONS_SHOWN = 5;

interface Options {
  url: URL;
  requests: number;
  workers: number;
  /** Requests a second in an open loop; undefined in a closed one. */
  rate: number | undefined;
  deadlineSeconds: number;
  json: boolean;
}

interface Expected {
  readonly url: string;
  readonly body: Uint8Array;
}

const options = parsed(Deno.args);
const expected: Expected[] = await Promise.all(PATHS.map(async ([path, file]) => ({
  url: new URL(path, options.url).href,
  body: await Deno.readFile(`${import.meta.dirname}/../www/${file}`),
})));
// No connection is kept: on a kept one fetch would repeat a lost request, and its failure would not be seen.
const client = Deno.createHttpClient({ poolMaxIdlePerHost: 0 });

const latencies: number[] = [];
const reasons = new Map<string, number>();
let begun = 0;
let failures = 0;

const started = performance.now();
const overall = AbortSignal.timeout(options.deadlineSeconds * 1000);
const progress = Deno.stderr.isTerminal() ? setInterval(showProgress, 200) : undefined;
await (options.rate === undefined ? closedLoop(options.workers) : openLoop(options.rate));
const seconds = (performance.now() - started) / 1000;
if (progress !== undefined) {
  clearInterval(progress);
  Deno.stderr.writeSync(new TextEncoder().encode("\r\x1b[K"));
}
for (; begun < options.requests; begun++) fail(`not begun within ${options.deadlineSeconds} s`);
report();
Deno.exit(failures === 0 ? 0 : 1);

async function closedLoop(workers: number) {
  await Promise.all(Array.from({ length: workers }, async () => {
    while (begun < options.requests && !overall.aborted) await ask(begun++, performance.now());
  }));
}

async function openLoop(rate: number) {
  const underWay: Promise<void>[] = [];
  while (begun < options.requests && !overall.aborted) {
    const due = started + begun * 1000 / rate;
    const wait = due - performance.now();
    if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
    underWay.push(ask(begun++, due));
  }
  await Promise.all(underWay);
}

async function ask(number: number, due: number) {
  const { url, body } = expected[number % expected.length] as Expected;
  const limit = new AbortController();
  const stop = () => limit.abort(new Error(`no answer within ${REQUEST_MS_MAX} ms`));
  const stopAll = () => limit.abort(new Error(`not done within ${options.deadlineSeconds} s`));
  const timer = setTimeout(stop, REQUEST_MS_MAX);
  overall.addEventListener("abort", stopAll);
  try {
    const response = await fetch(url, { client, redirect: "manual", signal: limit.signal });
    const got = new Uint8Array(await response.arrayBuffer());
    if (response.status !== 200) fail(`status ${response.status}`);
    else if (!equal(got, body)) fail(`wrong body for ${new URL(url).pathname}`);
  } catch (error) {
    fail(reason(error));
  } finally {
    clearTimeout(timer);
    overall.removeEventListener("abort", stopAll);
    latencies.push(performance.now() - due);
  }
}

function fail(why: string) {
  failures++;
  reasons.set(why, (reasons.get(why) ?? 0) + 1);
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  // Not every(): one call for each byte costs more than the request.
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** Without addresses, so that equal failures are counted together. */
function reason(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const text = error.cause instanceof Error ? error.cause.message : error.message;
  return text.replace(/^.*?(client error|error reading)/, "$1");
}

function report() {
  latencies.sort((a, b) => a - b);
  const result = {
    requests: options.requests,
    failures,
    p50_ms: percentile(50),
    p90_ms: percentile(90),
    p99_ms: percentile(99),
    max_ms: percentile(100),
    requests_per_second: rounded(latencies.length / seconds),
  };
  const shown = [...reasons].sort((a, b) => b[1] - a[1]).slice(0, REASONS_SHOWN);
  if (options.json) {
    console.log(JSON.stringify({ ...result, reasons: Object.fromEntries(shown) }));
    return;
  }
  const loop = options.rate === undefined
    ? `${options.workers} at a time`
    : `${options.rate} a second`;
  console.log(`${result.requests} requests, ${loop}, to ${options.url.origin}`);
  console.log(`failures  ${failures}`);
  for (const [why, count] of shown) console.log(`          ${count} x ${why}`);
  console.log(
    `latency   p50 ${result.p50_ms} ms, p90 ${result.p90_ms} ms, p99 ${result.p99_ms} ms, ` +
      `max ${result.max_ms} ms`,
  );
  console.log(`rate      ${result.requests_per_second} requests/s over ${rounded(seconds)} s`);
}

/** The latency that this share of all requests did not exceed; null without requests. */
function percentile(share: number): number | null {
  const index = Math.max(0, Math.ceil(latencies.length * share / 100) - 1);
  const latency = latencies[index];
  return latency === undefined ? null : rounded(latency);
}

function rounded(value: number): number {
  return Math.round(value * 10) / 10;
}

function showProgress() {
  const line = `\r${latencies.length} of ${options.requests} requests, ${failures} failures\x1b[K`;
  Deno.stderr.writeSync(new TextEncoder().encode(line));
}

function parsed(texts: string[]): Options {
  const options: Options = {
    url: new URL("http://127.0.0.1:1337"),
    requests: 10_000,
    workers: 8,
    rate: undefined,
    deadlineSeconds: 300,
    json: false,
  };
  let workersGiven = false;
  for (let i = 0; i < texts.length; i++) {
    const [name, inline] = splitOnce(texts[i] as string);
    const value = () => inline ?? texts[++i] ?? refuse(`${name} needs a value`);
    if (name === "--json") options.json = true;
    else if (name === "--url") options.url = httpUrl(value());
    else if (name === "--requests") options.requests = count(name, value());
    else if (name === "--deadline") options.deadlineSeconds = count(name, value());
    else if (name === "--rate") options.rate = count(name, value());
    else if (name === "--workers") {
      options.workers = count(name, value());
      workersGiven = true;
    } else refuse(`"${name}" is not an option`);
  }
  if (workersGiven && options.rate !== undefined) refuse("--workers and --rate exclude each other");
  return options;
}

function splitOnce(text: string): [string, string | undefined] {
  const at = text.indexOf("=");
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
}

function httpUrl(text: string): URL {
  const url = URL.parse(text);
  return url?.protocol === "http:" ? url : refuse(`"${text}" is not an http:// address`);
}

function count(name: string, text: string): number {
  const number = /^[0-9]{1,9}$/.test(text) ? Number(text) : 0;
  return number > 0 ? number : refuse(`${name} is "${text}", not a number above 0`);
}

function refuse(why: string): never {
  console.error(`load.ts: ${why}; ${USAGE}`);
  Deno.exit(2);
}
