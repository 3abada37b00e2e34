/**
 * Makes an SVG of a screen of a terminal that is read from stdin, with the control sequences of its colours.
 *
 *     tmux capture-pane -pe | deno run --allow-write scripts/picture_of_top.ts docs/pictures/top.svg
 */

import { toSvg } from "./terminal_svg.ts";

const COLUMNS = 100;

const [file] = Deno.args;
if (file === undefined) {
  console.error("usage: picture_of_top.ts FILE");
  Deno.exit(2);
}
const lines = (await new Response(Deno.stdin.readable).text()).trimEnd().split("\n");
await Deno.writeTextFile(
  file,
  toSvg([{ at: 0, lines }], {
    columns: COLUMNS,
    title: "pm top: the slots of the lab, and their log",
  }),
);
