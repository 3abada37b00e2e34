/** The screens of a terminal, one after another, as one SVG that plays by itself. */

/** What a terminal shows from this moment on: lines with the control sequences of their colours. */
export type Screen = { at: number; lines: string[] };

type Cell = { text: string; colour: string | null; isBold: boolean; isDim: boolean };

const CELL = { width: 8.4, height: 17 };
const MARGIN = 14;

/** After the last screen, in seconds. */
const REST = 3;

const COLOURS = [
  "#484f58",
  "#ff7b72",
  "#3fb950",
  "#d29922",
  "#58a6ff",
  "#bc8cff",
  "#39c5cf",
  "#b1bac4",
];
const BRIGHT = [
  "#6e7681",
  "#ffa198",
  "#56d364",
  "#e3b341",
  "#79c0ff",
  "#d2a8ff",
  "#56d4dd",
  "#f0f6fc",
];

export function toSvg(
  screens: Screen[],
  { columns, title }: { columns: number; title: string },
): string {
  const rows = Math.max(...screens.map(({ lines }) => lines.length));
  const total = (screens.at(-1)?.at ?? 0) + REST;
  const width = Math.ceil(columns * CELL.width) + 2 * MARGIN;
  const height = rows * CELL.height + 2 * MARGIN;
  const styles: string[] = [];
  const texts: string[] = [];
  for (let row = 0; row < rows; row++) {
    for (const { line, from, to } of spans(screens, row, total)) {
      const content = spansOfLine(line);
      if (content === "") {
        continue;
      }
      const name = `l${texts.length}`;
      const y = (MARGIN + (row + 0.75) * CELL.height).toFixed(1);
      const isLast = to === total;
      styles.push(
        `.${name}{animation-name:${name}${isLast ? ";visibility:visible" : ""}}${
          keyframes(name, from / total, to / total)
        }`,
      );
      texts.push(`<text class="${name}" x="${MARGIN}" y="${y}">${content}</text>`);
    }
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img">
<title>${escaped(title)}</title>
<style>
text{font:14px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;fill:#d0d7de;white-space:pre;visibility:hidden;animation:${
    total.toFixed(2)
  }s step-end infinite}
.b{font-weight:700}.d{opacity:.6}
@media (prefers-reduced-motion:reduce){text{animation:none!important}}
${styles.join("\n")}
</style>
<rect width="100%" height="100%" rx="8" fill="#0d1117"/>
${texts.join("\n")}
</svg>
`;
}

/** What stands in a row, and from when to when. */
function spans(
  screens: Screen[],
  row: number,
  total: number,
): { line: string; from: number; to: number }[] {
  const all: { line: string; from: number; to: number }[] = [];
  for (const { at, lines } of screens) {
    const line = lines[row] ?? "";
    const last = all[all.length - 1];
    if (last?.line === line) {
      continue;
    }
    if (last !== undefined) {
      last.to = at;
    }
    all.push({ line, from: at, to: total });
  }
  return all;
}

function keyframes(name: string, from: number, to: number): string {
  const percent = (part: number) => `${Number((part * 100).toFixed(2))}%`;
  const before = from > 0 ? "0%{visibility:hidden}" : "";
  const after = to < 1 ? `${percent(to)}{visibility:hidden}` : "";
  return `@keyframes ${name}{${before}${percent(from)}{visibility:visible}${after}100%{visibility:${
    to < 1 ? "hidden" : "visible"
  }}}`;
}

/** The colours of a line as elements, each at its column: fonts differ in the width of a letter. */
function spansOfLine(line: string): string {
  let column = 0;
  const parts = cells(line.trimEnd()).map(({ text, colour, isBold, isDim }) => {
    const x = (MARGIN + column * CELL.width).toFixed(1);
    const length = ([...text].length * CELL.width).toFixed(1);
    column += [...text].length;
    if (text.trim() === "") {
      return "";
    }
    const classes = [isBold ? "b" : "", isDim ? "d" : ""].filter((name) => name !== "").join(" ");
    const style = (colour === null ? "" : ` fill="${colour}"`) +
      (classes === "" ? "" : ` class="${classes}"`);
    return `<tspan x="${x}" textLength="${length}"${style}>${escaped(text)}</tspan>`;
  });
  return parts.join("");
}

/** Parts of one colour. Only SGR (ECMA-48) is there: tmux has carried out everything else. */
function cells(line: string): Cell[] {
  const all: Cell[] = [];
  let style = { colour: null as string | null, isBold: false, isDim: false };
  // deno-lint-ignore no-control-regex -- control sequences are what is looked for
  for (const part of line.split(/(\x1b\[[0-9;]*m)/)) {
    // deno-lint-ignore no-control-regex -- as above
    const sequence = /^\x1b\[([0-9;]*)m$/.exec(part);
    if (sequence === null) {
      if (part !== "") {
        all.push({ text: part, ...style });
      }
      continue;
    }
    const codes = (sequence[1] ?? "").split(";").map(Number);
    for (let code = codes.shift(); code !== undefined; code = codes.shift()) {
      if (code === 38 && codes[0] === 5) {
        // One of 256 colours; the first 16 have a place here.
        const [, number] = codes.splice(0, 2);
        style = { ...style, colour: [...COLOURS, ...BRIGHT][number ?? 0] ?? null };
      } else if (code === 0) {
        style = { colour: null, isBold: false, isDim: false };
      } else if (code === 1) {
        style = { ...style, isBold: true };
      } else if (code === 2) {
        style = { ...style, isDim: true };
      } else if (code === 39) {
        style = { ...style, colour: null };
      } else if (code >= 30 && code <= 37) {
        style = { ...style, colour: COLOURS[code - 30] ?? null };
      } else if (code >= 90 && code <= 97) {
        style = { ...style, colour: BRIGHT[code - 90] ?? null };
      }
    }
  }
  return all;
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
