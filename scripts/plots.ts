/**
 * Draws the results of the benchmarks as SVG files.
 *
 *     deno run --allow-read --allow-write scripts/plots.ts target/bench docs/plots
 *
 * The first folder has the JSON files of `make bench` and `make bench-peers`; what is missing there is not drawn. All
 * scales are logarithmic: the figures of process managers differ by factors of thousands.
 */

import {
  axis,
  dot,
  framed,
  type Line,
  lineChart,
  number,
  ROW_HEIGHT,
  rule,
  text,
  WIDTH,
} from "./drawing.ts";

const SCHEMA = 1;

interface Figure {
  name: string;
  size: number | null;
  subject: string;
  value: number;
  unit: string;
}

interface Report {
  schema: number;
  date: string;
  machine: { kernel: string; processor: string; cores: number };
  figures: Figure[];
}

async function read(folder: string, bench: string): Promise<Report | undefined> {
  try {
    const report = JSON.parse(await Deno.readTextFile(`${folder}/${bench}.json`)) as Report;
    return report.schema === SCHEMA ? report : undefined;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** Where the figures come from. */
function source({ machine: { kernel, processor, cores }, date }: Report): string {
  const version = /^\w+ \d+\.\d+/.exec(kernel)?.[0] ?? kernel;
  return `${version}, ${cores} cores (${processor}), ${date.slice(0, 10)}`;
}

/** A row for each keeper of workers: p50 and p99 of a respawn. */
function respawn(report: Report): string | undefined {
  const of = (name: string) => report.figures.filter((figure) => figure.name === name);
  const p99s = of("respawn, p99");
  const rows = of("respawn, p50").map((p50) => ({
    subject: p50.subject,
    p50: p50.value,
    p99: p99s.find((p99) => p99.subject === p50.subject)?.value ?? p50.value,
  })).sort((one, other) => one.p50 - other.p50);
  if (rows.length === 0) return undefined;

  const [left, right, top] = [128, WIDTH - 80, 52];
  const bottom = top + rows.length * ROW_HEIGHT;
  const x = axis(rows.flatMap((row) => [row.p50, row.p99]), left, right);
  const parts = x.ticks.flatMap((tick) => [
    rule([x.at(tick), top], [x.at(tick), bottom], "grid"),
    text(x.at(tick), bottom + 16, number(tick), 'text-anchor="middle" class="quiet"'),
  ]);
  rows.forEach((row, n) => {
    const y = top + (n + 0.5) * ROW_HEIGHT;
    const [isOwn, isFloor] = [row.subject === "pm", row.subject.endsWith(" loop")];
    const [stroke, fill] = isFloor
      ? ["floor", "floor-dot"]
      : isOwn
      ? ["stroke0", "fill0"]
      : ["stroke1", "fill1"];
    parts.push(
      text(left - 12, y + 4, row.subject, `text-anchor="end" class="${isOwn ? "own" : ""}"`),
      rule([x.at(row.p50), y], [x.at(row.p99), y], `span ${stroke}`),
      dot(x.at(row.p99), y, `hollow ${stroke}`),
      dot(x.at(row.p50), y, fill),
      text(x.at(Math.max(row.p50, row.p99)) + 10, y + 4, number(row.p50), 'class="quiet"'),
    );
  });
  const label = "milliseconds from the death of a worker to the exec of the next";
  parts.push(
    text((left + right) / 2, bottom + 36, label, 'text-anchor="middle"'),
    text(16, 42, "dot: p50, with its figure; circle: p99", 'class="quiet"'),
  );
  return framed("A worker is killed", bottom + 66, source(report), parts);
}

/** Lines over the number of slots. */
function growth(report: Report, title: string, unit: string, names: string[]): string | undefined {
  const lines: Line[] = names.map((name) => {
    const figures = report.figures.filter((figure) => figure.name === name);
    const points = figures.map(({ size, value }) => ({ x: size ?? 0, y: value }));
    const drawn = points.filter(({ x, y }) => x > 0 && y > 0);
    return { label: name, points: drawn.sort((one, other) => one.x - other.x) };
  }).filter((line) => line.points.length > 0);
  if (lines.length === 0) return undefined;

  return lineChart(title, { x: "slots", y: unit }, lines, source(report));
}

async function main(from: string, to: string): Promise<void> {
  await Deno.mkdir(to, { recursive: true });
  const peers = await read(from, "peers");
  const scale = await read(from, "scale");
  const all: [string, string | undefined][] = [
    ["respawn.svg", peers && respawn(peers)],
    [
      "growth.svg",
      scale && growth(scale, "Time for all slots", "milliseconds", [
        "start",
        "storm",
        "stop",
        "reload, unchanged",
      ]),
    ],
    [
      "death.svg",
      scale &&
      growth(scale, "CPU time of one death", "microseconds", ["CPU of a death in a storm"]),
    ],
    ["memory.svg", scale && growth(scale, "Memory of pm", "MB (PSS)", ["PSS"])],
  ];
  for (const [name, svg] of all) {
    if (svg === undefined) {
      console.log(`${name}: there are no results for it in ${from}`);
      continue;
    }
    await Deno.writeTextFile(`${to}/${name}`, svg);
    console.log(`${to}/${name}`);
  }
}

const [from, to] = Deno.args;
if (from === undefined || to === undefined) {
  console.error("usage: plots.ts RESULTS FOLDER");
  Deno.exit(2);
}
await main(from, to);
