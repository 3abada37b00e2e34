/**
 * Draws how the availability of the lab grows with workers and machines, and prints the figures of docs/growing.md.
 *
 *     deno run --allow-write scripts/growing.ts docs/plots
 */

import { type Line, lineChart } from "./drawing.ts";
import { lost, lostOnMachines, type Pool, seeded, simulated } from "./pool_model.ts";

/** One worker gets so many requests a second, each of which takes it this long. */
const RATE = 30;
const SERVICE_SECONDS = 0.01;
/** The monkey of the lab. */
const DEATHS = 1 / 20;

/** From a death until the next Deno worker answers, in seconds. */
const RESPAWNS: [string, number][] = [
  ["pm, with a spare: 11 ms", 0.011],
  ["pm: 38 ms", 0.038],
  ["1 s", 1],
  ["10 s", 10],
];

const WORKERS = [3, 5, 10, 20, 30, 50, 100, 200, 300, 500, 1000, 2000, 3000];

const DAY = 24 * 3_600;
const FAILS_EVERY = 30 * DAY;
const AWAYS: [string, number][] = [["by hand: 4 h", 4 * 3_600], ["by an engine: 340 s", 340]];
const MACHINES = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 96];

/** What is less is drawn nowhere: nobody measures it. */
const LEAST = 1e-9;

function pool(workers: number, respawnSeconds: number): Pool {
  return {
    workers,
    rate: workers * RATE,
    serviceSeconds: SERVICE_SECONDS,
    deaths: DEATHS,
    respawnSeconds,
  };
}

function drawn(points: { x: number; y: number }[]) {
  return points.filter(({ y }) => y >= LEAST);
}

function percent(share: number): string {
  return share < 1e-7 ? "under 0.00001 %" : `${Number((share * 100).toPrecision(2))} %`;
}

async function main(folder: string) {
  const source = `${RATE} requests a second for each worker, ${
    SERVICE_SECONDS * 1000
  } ms each, 1 in 20 kills it`;
  const byWorkers: Line[] = RESPAWNS.map(([label, seconds]) => ({
    label,
    points: drawn(WORKERS.map((workers) => ({ x: workers, y: lost(pool(workers, seconds)) }))),
  }));
  const labels = { x: "workers", y: "share that finds no free worker" };
  await Deno.writeTextFile(
    `${folder}/workers.svg`,
    lineChart("Requests that find no free worker", labels, byWorkers, source),
  );

  const spread = { ...pool(96, 0.038), rate: 96 * 50 };
  const byMachines: Line[] = AWAYS.map(([label, awaySeconds]) => ({
    label,
    points: drawn(MACHINES.map((count) => ({
      x: count,
      y: lostOnMachines(spread, { count, failsEverySeconds: FAILS_EVERY, awaySeconds }),
    }))),
  }));
  await Deno.writeTextFile(
    `${folder}/machines.svg`,
    lineChart(
      "A machine fails once a month",
      { x: "machines", y: labels.y },
      byMachines,
      "96 workers with 50 requests a second each",
    ),
  );

  console.log(
    "| workers | " + RESPAWNS.map(([label]) => label).join(" | ") + " | 38 ms, simulated |",
  );
  console.log("|---|" + "---|".repeat(RESPAWNS.length + 1));
  const random = seeded(7);
  for (const workers of [3, 5, 10, 30, 300, 3000]) {
    const cells = RESPAWNS.map(([, seconds]) => percent(lost(pool(workers, seconds))));
    const tried = workers <= 10 ? percent(simulated(pool(workers, 0.038), 4_000_000, random)) : "-";
    console.log(`| ${workers} | ${cells.join(" | ")} | ${tried} |`);
  }
  console.log("\n| machines | " + AWAYS.map(([label]) => label).join(" | ") + " |\n|---|---|---|");
  for (const count of [1, 2, 3, 8, 32]) {
    const cells = AWAYS.map(([, awaySeconds]) =>
      percent(lostOnMachines(spread, { count, failsEverySeconds: FAILS_EVERY, awaySeconds }))
    );
    console.log(`| ${count} | ${cells.join(" | ")} |`);
  }
}

const [folder] = Deno.args;
if (folder === undefined) {
  console.error("usage: growing.ts FOLDER");
  Deno.exit(2);
}
await main(folder);
