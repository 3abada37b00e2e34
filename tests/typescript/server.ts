/** Support for the tests of web.ts and proxy.ts: starts a script of the project and reads what it prints. */

import assert from "node:assert/strict";

export const PROJECT = new URL("../..", import.meta.url).pathname;
/** Much longer than anything here takes. It only limits the wait for a broken script. */
const PATIENCE_MS = 15_000;

export interface Started {
  readonly script: string;
  readonly args?: readonly string[];
  readonly permissions?: readonly string[];
  readonly cwd?: string;
  readonly env?: Record<string, string>;
}

/** A running script, its lines so far, and the port on which it listens. */
export class Server implements AsyncDisposable {
  readonly lines: string[] = [];
  readonly errors: string[] = [];
  port = 0;
  readonly status: Promise<Deno.CommandStatus>;
  readonly #child: Deno.ChildProcess;
  readonly #output: Promise<unknown>;
  #change = Promise.withResolvers<void>();
  #ended = false;

  constructor(start: Started) {
    this.#child = new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "--no-prompt",
        ...start.permissions ?? ["--allow-read", "--allow-net"],
        start.script,
        ...start.args ?? [],
      ],
      cwd: start.cwd ?? PROJECT,
      env: { NO_COLOR: "1", ...start.env },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.status = this.#child.status;
    this.#output = Promise.all([
      this.#collect(this.#child.stdout, this.lines),
      this.#collect(this.#child.stderr, this.errors),
    ]).then(() => {
      this.#ended = true;
      this.#change.resolve();
    });
  }

  /** Starts a script and waits until it listens. Give it port 0: it prints the port that it got. */
  static async listening(start: Started): Promise<Server> {
    const server = new Server(start);
    const line = await server.line(/^HTTP webserver running\. {2}Access it at: {2}/);
    server.port = Number(/:(\d+)\/$/.exec(line)?.[1]);
    return server;
  }

  /** Waits for the first line that matches. */
  async line(pattern: RegExp): Promise<string> {
    await this.until(() => this.lines.some((line) => pattern.test(line)), `a line ${pattern}`);
    return this.lines.find((line) => pattern.test(line)) as string;
  }

  /** Waits for a fact about the output. */
  async until(fact: () => boolean, name: string): Promise<void> {
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      this.#change.resolve();
    }, PATIENCE_MS);
    try {
      while (!fact()) {
        if (late || this.#ended) {
          const why = late ? "in time" : "before the end";
          const all = [...this.lines, ...this.errors].join("\n");
          throw new assert.AssertionError({ message: `no ${name} ${why}; output:\n${all}` });
        }
        await this.#change.promise;
      }
    } finally {
      clearTimeout(timer);
    }
  }

  /** Waits for its end and reads every line. Returns the exit status. */
  async exit(): Promise<number> {
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), PATIENCE_MS);
    const { code } = await this.status;
    clearTimeout(timer);
    await this.#output;
    return code;
  }

  url(path: string): string {
    return `http://127.0.0.1:${this.port}${path}`;
  }

  /** Sends one request. Returns the status of the answer. */
  async ask(path: string, init: RequestInit = {}): Promise<number> {
    const response = await fetch(this.url(path), { redirect: "manual", ...init });
    await response.body?.cancel();
    return response.status;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#child.kill("SIGTERM");
    } catch {
      // It has exited by itself, as in the tests of crashes.
    }
    await this.status;
    await this.#output;
  }

  async #collect(stream: ReadableStream<Uint8Array<ArrayBuffer>>, into: string[]): Promise<void> {
    let rest = "";
    for await (const text of stream.pipeThrough(new TextDecoderStream())) {
      const parts = (rest + text).split("\n");
      rest = parts.pop() as string;
      into.push(...parts);
      this.#change.resolve();
      this.#change = Promise.withResolvers();
    }
    if (rest !== "") into.push(rest);
  }
}

/** Sends these bytes unchanged, which fetch cannot, and returns the whole answer as text. */
export async function raw(port: number, bytes: string): Promise<string> {
  using connection = await Deno.connect({ hostname: "127.0.0.1", port });
  await writeAll(connection, new TextEncoder().encode(bytes));
  const decoder = new TextDecoder();
  const buffer = new Uint8Array(65536);
  let text = "";
  for (let size; (size = await connection.read(buffer)) !== null;) {
    text += decoder.decode(buffer.subarray(0, size), { stream: true });
  }
  return text;
}

export async function writeAll(connection: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await connection.write(bytes.subarray(at));
}

/** A port without a listener. */
export function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}
