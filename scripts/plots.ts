/**
 * Draws the results of the benchmarks as SVG files.
 *
 *     deno run --allow-read --allow-write scripts/plots.ts target/bench docs/plots
 *
 * The first folder has the JSON files of `make bench` and `make bench-peers`; what is missing there is not drawn. The
 * pictures follow the colour scheme of the reader, light or dark. All scales are logarithmic: the figures of process
 * managers differ by factors of thousands.
 */

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

/** One logarithmic axis: values to pixels. */
interface Axis {
  ticks: number[];
  at(value: number): number;
}

interface Line {
  label: string;
  points: { x: number; y: number }[];
}

const WIDTH = 720;
const FONT_SIZE = 12;
const ROW_HEIGHT = 24;

const STYLE = `
  svg { color-scheme: light dark; font: ${FONT_SIZE}px system-ui, sans-serif; }
  .back { fill: #ffffff; } text { fill: #1f2328; } .quiet { fill: #59636e; }
  .title { font-size: 14px; font-weight: 600; } .own { font-weight: 600; }
  .grid { stroke: #d1d9e0; } .span { stroke-width: 2; } .line { fill: none; stroke-width: 2; }
  .stroke0 { stroke: #0969da; } .stroke1 { stroke: #bc4c00; } .stroke2 { stroke: #1a7f37; } .stroke3 { stroke: #8250df; }
  .fill0 { fill: #0969da; } .fill1 { fill: #bc4c00; } .fill2 { fill: #1a7f37; } .fill3 { fill: #8250df; }
  .floor { stroke: #818b98; } .floor-dot { fill: #818b98; } .hollow { fill: #ffffff; stroke-width: 2; }
  @media (prefers-color-scheme: dark) {
    .back, .hollow { fill: #0d1117; } text { fill: #f0f6fc; } .quiet { fill: #9198a1; } .grid { stroke: #3d444d; }
    .stroke0 { stroke: #4493f8; } .stroke1 { stroke: #f0883e; } .stroke2 { stroke: #3fb950; } .stroke3 { stroke: #ab7df8; }
    .fill0 { fill: #4493f8; } .fill1 { fill: #f0883e; } .fill2 { fill: #3fb950; } .fill3 { fill: #ab7df8; }
    .floor { stroke: #656c76; } .floor-dot { fill: #656c76; }
  }`;

async function read(folder: string, bench: string): Promise<Report | undefined> {
  try {
    const report = JSON.parse(await Deno.readTextFile(`${folder}/${bench}.json`)) as Report;
    return report.schema === SCHEMA ? report : undefined;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** An axis of whole powers of ten around these values, from one pixel to another. */
function axis(values: number[], from: number, to: number): Axis {
  const first = Math.floor(Math.log10(Math.min(...values)));
  const last = Math.max(Math.ceil(Math.log10(Math.max(...values))), first + 1);
  const ticks = Array.from({ length: last - first + 1 }, (_, n) => 10 ** (first + n));
  const at = (value: number) => from + (to - from) * (Math.log10(value) - first) / (last - first);
  return { ticks, at };
}

function number(value: number): string {
  return value.toLocaleString("en", { maximumSignificantDigits: 3 });
}

function text(x: number, y: number, words: string, attributes = ""): string {
  const escaped = words.replace(/&/g, "&amp;").replace(/</g, "&lt;");
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" ${attributes}>${escaped}</text>`;
}

function rule(from: [number, number], to: [number, number], style: string): string {
  const [x1, y1, x2, y2] = [...from, ...to].map((pixel) => pixel.toFixed(1));
  return `<line x1="${x1}" y1="${y1}" x2="${x2}" y2="${y2}" class="${style}"/>`;
}

function dot(x: number, y: number, style: string): string {
  return `<circle cx="${x.toFixed(1)}" cy="${y.toFixed(1)}" r="4" class="${style}"/>`;
}

function picture(title: string, height: number, report: Report, parts: string[]): string {
  const { kernel, processor, cores } = report.machine;
  const version = /^\w+ \d+\.\d+/.exec(kernel)?.[0] ?? kernel;
  const source = `${version}, ${cores} cores (${processor}), ${report.date.slice(0, 10)}`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img">`,
    `<title>${title}</title>`,
    `<style>${STYLE}</style>`,
    `<rect width="${WIDTH}" height="${height}" class="back"/>`,
    text(16, 24, title, 'class="title"'),
    ...parts,
    text(16, height - 10, source, 'class="quiet"'),
    "</svg>\n",
  ].join("\n");
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
  return picture("A worker is killed", bottom + 66, report, parts);
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

  const [left, right, top, bottom] = [72, WIDTH - 168, 44, 300];
  const points = lines.flatMap((line) => line.points);
  const x = axis(points.map((point) => point.x), left, right);
  const y = axis(points.map((point) => point.y), bottom, top);
  const parts = [
    ...x.ticks.flatMap((tick) => [
      rule([x.at(tick), top], [x.at(tick), bottom], "grid"),
      text(x.at(tick), bottom + 16, number(tick), 'text-anchor="middle" class="quiet"'),
    ]),
    ...y.ticks.flatMap((tick) => [
      rule([left, y.at(tick)], [right, y.at(tick)], "grid"),
      text(left - 8, y.at(tick) + 4, number(tick), 'text-anchor="end" class="quiet"'),
    ]),
    text((left + right) / 2, bottom + 36, "slots", 'text-anchor="middle"'),
    text(
      18,
      (top + bottom) / 2,
      unit,
      `text-anchor="middle" transform="rotate(-90 18 ${(top + bottom) / 2})"`,
    ),
  ];
  // Each label stands at the end of its line, or a row below the one above it.
  let free = -Infinity;
  const height = (line: Line) => y.at(line.points.at(-1)?.y ?? 1);
  const fromTop = lines.map((line, n) => ({ line, n })).sort((one, other) =>
    height(one.line) - height(other.line)
  );
  for (const { line, n } of fromTop) {
    const path = line.points.map((point) =>
      `${x.at(point.x).toFixed(1)},${y.at(point.y).toFixed(1)}`
    );
    const row = Math.max(height(line), free + FONT_SIZE + 4);
    free = row;
    parts.push(
      `<polyline points="${path.join(" ")}" class="line stroke${n % 4}"/>`,
      ...line.points.map((point) => dot(x.at(point.x), y.at(point.y), `fill${n % 4}`)),
      text(right + 12, row + 4, line.label),
    );
  }
  return picture(title, bottom + 66, report, parts);
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
