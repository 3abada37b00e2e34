/** What the pictures of the documents are drawn with. They follow the colour scheme of the reader, light or dark. */

/** One logarithmic axis: values to pixels. */
export interface Axis {
  ticks: number[];
  at(value: number): number;
}

export interface Line {
  label: string;
  points: { x: number; y: number }[];
}

export const WIDTH = 720;
const FONT_SIZE = 12;
export const ROW_HEIGHT = 24;

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

/** An axis of whole powers of ten around these values, from one pixel to another. */
export function axis(values: number[], from: number, to: number): Axis {
  const first = Math.floor(Math.log10(Math.min(...values)));
  const last = Math.max(Math.ceil(Math.log10(Math.max(...values))), first + 1);
  const ticks = Array.from({ length: last - first + 1 }, (_, n) => 10 ** (first + n));
  const at = (value: number) => from + (to - from) * (Math.log10(value) - first) / (last - first);
  return { ticks, at };
}

export function number(value: number): string {
  if (value < 0.001) return value.toExponential(0);
  return value.toLocaleString("en", { maximumSignificantDigits: 3 });
}

export function text(x: number, y: number, words: string, attributes = ""): string {
  const escaped = words.replace(/&/g, "&amp;").replace(/</g, "&lt;");
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" ${attributes}>${escaped}</text>`;
}

export function rule(from: [number, number], to: [number, number], style: string): string {
  const [x1, y1, x2, y2] = [...from, ...to].map((pixel) => pixel.toFixed(1));
  return `<line x1="${x1}" y1="${y1}" x2="${x2}" y2="${y2}" class="${style}"/>`;
}

export function dot(x: number, y: number, style: string): string {
  return `<circle cx="${x.toFixed(1)}" cy="${y.toFixed(1)}" r="4" class="${style}"/>`;
}

/** A picture with its title above and its source below. */
export function framed(title: string, height: number, source: string, parts: string[]): string {
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

/** Lines over a logarithmic axis, each with its label at its end. */
export function lineChart(
  title: string,
  labels: { x: string; y: string },
  lines: Line[],
  source: string,
): string {
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
    text((left + right) / 2, bottom + 36, labels.x, 'text-anchor="middle"'),
    text(
      18,
      (top + bottom) / 2,
      labels.y,
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
  return framed(title, bottom + 66, source, parts);
}
