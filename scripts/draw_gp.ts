/**
 * Draws www/gp.png: the letters g and p, cut out of a web of components and the calls between them.
 *
 *     deno run --allow-write=www scripts/draw_gp.ts [FILE]
 *
 * The same picture on every run, from nothing but the numbers below: no font, no image library, no network. Shapes are
 * signed distances, so that every edge is smooth without drawing anything twice.
 */

type Point = readonly [x: number, y: number];
type Colour = readonly [red: number, green: number, blue: number];
/** How far a point is outside a shape, in pixels; negative inside. */
type Shape = (x: number, y: number) => number;

const WIDTH = 450;
const HEIGHT = 450;
const CORNER = 36;

const SKY: Colour = [18, 30, 58];
const DEPTH: Colour = [9, 15, 33];
const CALL: Colour = [58, 88, 138];
const COMPONENT: Colour = [38, 58, 104];
const RIM: Colour = [104, 146, 214];
const TRUSTED: Colour = [238, 178, 72];
const LETTER: Colour = [246, 240, 226];

/** Components: where, how large, and whether the picture warms it up. Placed by hand, clear of the letters. */
const COMPONENTS: readonly (readonly [Point, number, boolean])[] = [
  [[62, 74], 15, false],
  [[142, 48], 10, false],
  [[226, 66], 17, true],
  [[312, 44], 11, false],
  [[388, 82], 16, false],
  [[410, 168], 10, false],
  [[40, 168], 11, true],
  [[226, 152], 9, false],
  [[410, 262], 15, true],
  [[36, 268], 14, false],
  [[66, 352], 10, false],
  [[44, 412], 15, false],
  [[226, 318], 11, false],
  [[226, 402], 16, false],
  [[318, 352], 10, true],
  [[392, 340], 12, false],
  [[352, 412], 15, false],
  [[418, 412], 8, false],
];
/** Calls, by the numbers of caller and called. */
const CALLS: readonly (readonly [number, number])[] = [
  [0, 1],
  [1, 2],
  [2, 3],
  [3, 4],
  [4, 5],
  [0, 6],
  [6, 9],
  [2, 7],
  [5, 8],
  [8, 15],
  [9, 10],
  [10, 11],
  [7, 12],
  [12, 13],
  [13, 11],
  [14, 15],
  [14, 16],
  [15, 17],
  [16, 17],
  [13, 16],
  [7, 0],
  [7, 4],
  [8, 14],
];

const STROKE = 34;
const BOWL = 52;
const G_CENTRE: Point = [132, 208];
const P_CENTRE: Point = [320, 208];

/** The bowl of the g, its straight right side, and the tail that turns left under it. */
const letterG = union(
  ring(G_CENTRE, BOWL, STROKE),
  line([G_CENTRE[0] + BOWL, 156], [G_CENTRE[0] + BOWL, 284], STROKE),
  arc([G_CENTRE[0], 284], BOWL, STROKE, 0, 0.86 * Math.PI),
);
/** The bowl of the p, and the straight left side that goes down below the line. */
const letterP = union(
  ring(P_CENTRE, BOWL, STROKE),
  line([P_CENTRE[0] - BOWL, 156], [P_CENTRE[0] - BOWL, 346], STROKE),
);
const letters = union(letterG, letterP);
const frame = roundedBox([WIDTH / 2, HEIGHT / 2], [WIDTH / 2, HEIGHT / 2], CORNER);

const target = Deno.args[0] ?? `${import.meta.dirname}/../www/gp.png`;
await Deno.writeFile(target, await png(WIDTH, HEIGHT, pixel));

function pixel(x: number, y: number): [...Colour, number] {
  // The ground gets darker downwards in whole steps of colour, which a PNG packs far better than noise.
  let colour = mix(SKY, DEPTH, y / HEIGHT);
  for (const [from, to] of CALLS) {
    const [a, b] = [componentAt(from), componentAt(to)];
    colour = mix(colour, CALL, cover(line(a, b, 2)(x, y)) * 0.75);
  }
  for (const [centre, radius, trusted] of COMPONENTS) {
    const away = disc(centre, radius)(x, y);
    const fill = trusted ? TRUSTED : COMPONENT;
    colour = mix(colour, fill, cover(away));
    colour = mix(colour, trusted ? LETTER : RIM, cover(Math.abs(away) - 1));
  }
  const letter = letters(x, y);
  // A gap of the ground around the letters lifts them off the web behind.
  colour = mix(colour, mix(SKY, DEPTH, y / HEIGHT), cover(letter - 9));
  colour = mix(colour, LETTER, cover(letter));
  return [...colour, Math.round(255 * cover(frame(x, y)))];
}

function componentAt(index: number): Point {
  const component = COMPONENTS[index];
  if (component === undefined) throw new RangeError(`there is no component ${index}`);
  return component[0];
}

function disc([cx, cy]: Point, radius: number): Shape {
  return (x, y) => Math.hypot(x - cx, y - cy) - radius;
}

function ring([cx, cy]: Point, radius: number, width: number): Shape {
  return (x, y) => Math.abs(Math.hypot(x - cx, y - cy) - radius) - width / 2;
}

/** A stroke with round ends. */
function line([ax, ay]: Point, [bx, by]: Point, width: number): Shape {
  const [dx, dy] = [bx - ax, by - ay];
  return (x, y) => {
    const along = ((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy);
    const nearest = Math.min(1, Math.max(0, along));
    return Math.hypot(x - ax - dx * nearest, y - ay - dy * nearest) - width / 2;
  };
}

/** A bent stroke with round ends; angles clockwise from three o'clock, as y grows downwards. */
function arc([cx, cy]: Point, radius: number, width: number, from: number, to: number): Shape {
  const end = (angle: number): Point => [
    cx + radius * Math.cos(angle),
    cy + radius * Math.sin(angle),
  ];
  const ends = union(disc(end(from), width / 2), disc(end(to), width / 2));
  const round = ring([cx, cy], radius, width);
  return (x, y) => {
    const angle = (Math.atan2(y - cy, x - cx) + 2 * Math.PI) % (2 * Math.PI);
    return angle >= from && angle <= to ? round(x, y) : ends(x, y);
  };
}

function roundedBox([cx, cy]: Point, [halfWidth, halfHeight]: Point, radius: number): Shape {
  return (x, y) => {
    const dx = Math.abs(x - cx) - halfWidth + radius;
    const dy = Math.abs(y - cy) - halfHeight + radius;
    return Math.hypot(Math.max(dx, 0), Math.max(dy, 0)) + Math.min(Math.max(dx, dy), 0) - radius;
  };
}

function union(...shapes: Shape[]): Shape {
  return (x, y) => Math.min(...shapes.map((shape) => shape(x, y)));
}

/** How much of a pixel lies inside an edge that is this far away. */
function cover(distance: number): number {
  return Math.min(1, Math.max(0, 0.5 - distance));
}

function mix(below: Colour, above: Colour, share: number): Colour {
  const channel = (index: 0 | 1 | 2) =>
    Math.round(below[index] + (above[index] - below[index]) * share);
  return [channel(0), channel(1), channel(2)];
}

/** PNG (RFC 2083), 8 bits a channel with alpha, every row filtered by the one above it. */
async function png(
  width: number,
  height: number,
  colourAt: (x: number, y: number) => readonly number[],
): Promise<Uint8Array> {
  const UP = 2;
  const stride = width * 4;
  const rows = new Uint8Array(height * (stride + 1));
  let above = new Uint8Array(stride);
  for (let y = 0; y < height; y++) {
    const row = new Uint8Array(stride);
    // The middle of each pixel, or all shapes would sit half a pixel too far up and left.
    for (let x = 0; x < width; x++) row.set(colourAt(x + 0.5, y + 0.5), x * 4);
    rows[y * (stride + 1)] = UP;
    for (let i = 0; i < stride; i++) {
      rows[y * (stride + 1) + 1 + i] = (row[i] ?? 0) - (above[i] ?? 0);
    }
    above = row;
  }
  const header = new Uint8Array(13);
  const view = new DataView(header.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  header.set([8, 6, 0, 0, 0], 8);
  return joined([
    new Uint8Array([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    chunk("IHDR", header),
    chunk("IDAT", await deflated(rows)),
    chunk("IEND", new Uint8Array()),
  ]);
}

function chunk(type: string, data: Uint8Array): Uint8Array {
  const named = joined([new TextEncoder().encode(type), data]);
  const length = new Uint8Array(4);
  new DataView(length.buffer).setUint32(0, data.length);
  const check = new Uint8Array(4);
  new DataView(check.buffer).setUint32(0, crc32(named));
  return joined([length, named, check]);
}

function crc32(data: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of data) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return (crc ^ 0xffffffff) >>> 0;
}

async function deflated(data: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  const packed = new Blob([data]).stream().pipeThrough(new CompressionStream("deflate"));
  return new Uint8Array(await new Response(packed).arrayBuffer());
}

function joined(parts: Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
