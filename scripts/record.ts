/**
 * Records a session of pm in a terminal, as an SVG that plays by itself: a crash, its replacement, `pm why`, a roll,
 * and Ctrl-C.
 *
 *     deno run --allow-run --allow-read --allow-write --allow-env scripts/record.ts target/release/pm docs/pictures/session.svg
 *
 * tmux(1) is the terminal: pm runs in the upper pane, commands are typed in the lower one. What happens is waited for,
 * and its time is kept, but a pause is never longer than a reader needs.
 */

import { Screen, toSvg } from "./terminal_svg.ts";

const COLUMNS = 100;
const ROWS = { upper: 17, lower: 14 };

/** No pause of the recording is longer, in seconds. */
const PAUSE_MAX = 2.5;

const DEADLINE_MS = 20_000;

const socket = `pm-recording-${Deno.pid}`;

async function tmux(...words: string[]): Promise<string> {
  const command = new Deno.Command("tmux", { args: ["-L", socket, "-f", "/dev/null", ...words] });
  const { success, stdout, stderr } = await command.output();
  if (!success) {
    throw new Error(`tmux ${words.join(" ")}: ${new TextDecoder().decode(stderr)}`);
  }
  return new TextDecoder().decode(stdout);
}

const UPPER = "recording:0.0";
const LOWER = "recording:0.1";

class Recording {
  readonly screens: Screen[] = [];
  #last = "";
  #isOver = false;
  #taking: Promise<void> = Promise.resolve();

  /** Takes what the terminal shows, until it is ended. */
  begin() {
    const begin = performance.now();
    this.#taking = (async () => {
      while (!this.#isOver) {
        const [upper, lower] = await Promise.all(
          [UPPER, LOWER].map((pane) => tmux("capture-pane", "-pe", "-t", pane)),
        );
        const lines = [
          ...padded(upper ?? "", ROWS.upper),
          "\u2500".repeat(COLUMNS),
          ...padded(lower ?? "", ROWS.lower),
        ];
        if (lines.join("\n") !== this.#last) {
          this.#last = lines.join("\n");
          this.screens.push({ at: (performance.now() - begin) / 1000, lines });
        }
        await pause(25);
      }
    })();
  }

  async end() {
    await pause(100);
    this.#isOver = true;
    await this.#taking;
  }

  /** With long pauses cut short. */
  shortened(): Screen[] {
    let cut = 0;
    let last = 0;
    return this.screens.map(({ at, lines }) => {
      cut += Math.max(0, at - last - PAUSE_MAX);
      last = at;
      return { at: at - cut, lines };
    });
  }
}

function padded(text: string, rows: number): string[] {
  const lines = text.split("\n").slice(0, rows);
  return [...lines, ...Array(rows - lines.length).fill("")];
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

async function waitFor(pane: string, what: RegExp) {
  const until = performance.now() + DEADLINE_MS;
  while (!what.test(await tmux("capture-pane", "-p", "-t", pane))) {
    if (performance.now() > until) {
      throw new Error(`${what} did not come: ${await tmux("capture-pane", "-p", "-t", pane)}`);
    }
    await pause(20);
  }
}

/** Types a command as a person does. */
async function type(pane: string, text: string) {
  for (const letter of text) {
    await tmux("send-keys", "-t", pane, "-l", letter);
    await pause(45);
  }
  await pause(300);
  await tmux("send-keys", "-t", pane, "Enter");
}

/** Where pm runs: its path is to be seen, so it is short and no one's own. */
const LAB = "/tmp/lab";

async function makeLab(pm: string) {
  // It fails if something is there.
  await Deno.mkdir(LAB);
  await Deno.mkdir(`${LAB}/www`);
  for (const name of ["web.ts", "proxy.ts", "www/index.html"]) {
    await Deno.copyFile(name, `${LAB}/${name}`);
  }
  await Deno.mkdir(`${LAB}/bin`);
  await Deno.symlink(await Deno.realPath(pm), `${LAB}/bin/pm`);
}

/** The time in which a reader takes in what has come. */
const READ_MS = 1_800;

async function main() {
  const [pm, file] = Deno.args;
  if (pm === undefined || file === undefined) {
    console.error("usage: record.ts PM FILE");
    Deno.exit(2);
  }
  await makeLab(pm);
  const path = `${LAB}/bin:${Deno.env.get("PATH")}`;
  const shell =
    `cd ${LAB} && exec env -i PATH='${path}' HOME='${LAB}' TERM=tmux-256color LANG=C.UTF-8 PS1='$ ' sh`;
  try {
    await tmux(
      "new-session",
      "-d",
      "-s",
      "recording",
      "-x",
      `${COLUMNS}`,
      "-y",
      `${ROWS.upper + 1 + ROWS.lower}`,
      shell,
    );
    await tmux("set", "-g", "status", "off");
    await tmux("split-window", "-v", "-l", `${ROWS.lower}`, "-t", "recording", shell);
    for (const pane of [UPPER, LOWER]) {
      await waitFor(pane, /^\$/m);
    }
    const recording = new Recording();
    recording.begin();
    await play();
    await recording.end();
    await Deno.writeTextFile(
      file,
      toSvg(recording.shortened(), { columns: COLUMNS, title: "pm: a crash, a roll, and Ctrl-C" }),
    );
  } finally {
    await tmux("kill-server").catch(() => {});
    await Deno.remove(LAB, { recursive: true });
  }
}

async function play() {
  await type(UPPER, "pm");
  await waitFor(UPPER, /web\.3 is ready/);
  await pause(READ_MS);
  await type(LOWER, "pm kill web.2");
  await waitFor(UPPER, /web\.2 is ready .*generation 2/);
  await pause(READ_MS);
  await type(LOWER, "pm why web.2");
  await waitFor(LOWER, /\| port: 8081/);
  await pause(READ_MS * 1.5);
  await type(LOWER, "pm restart web --roll");
  await waitFor(LOWER, /web\.1, web\.2 and web\.3 are ready/);
  await pause(READ_MS);
  await type(LOWER, "pm status");
  await waitFor(LOWER, /web\.3 +ready/);
  await pause(READ_MS);
  await tmux("send-keys", "-t", UPPER, "C-c");
  await waitFor(UPPER, /all workers stopped/);
  await pause(READ_MS);
}

await main();
