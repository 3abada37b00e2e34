/** The model of docs/growing.md: Erlang's formula against known values, and against a simulation. */

import {
  erlangB,
  lost,
  lostOnMachines,
  type Pool,
  seeded,
  simulated,
} from "../../scripts/pool_model.ts";

const LAB: Pool = {
  workers: 3,
  rate: 90,
  serviceSeconds: 0.01,
  deaths: 1 / 20,
  respawnSeconds: 0.038,
};

function isNear(is: number, should: number, within: number) {
  if (Math.abs(is - should) > within * should) {
    throw new Error(`${is} is not within ${within * 100} % of ${should}`);
  }
}

Deno.test("Erlang's formula has the values of its tables", () => {
  isNear(erlangB(1, 1), 0.5, 1e-9);
  isNear(erlangB(2, 1), 0.2, 1e-9);
  isNear(erlangB(5, 3), 0.11005, 1e-3);
  isNear(erlangB(100, 84.1), 0.01, 2e-2);
});

Deno.test("the formula is what a simulation shows, whatever a death takes", () => {
  for (const [workers, respawnSeconds] of [[3, 0.038], [3, 1], [10, 0.3]] as const) {
    const pool = { ...LAB, workers, rate: 30 * workers, respawnSeconds };
    isNear(simulated(pool, 400_000, seeded(1)), lost(pool), 0.05);
  }
});

Deno.test("a machine that is never away costs nothing, one that is half away costs half", () => {
  const never = { count: 1, failsEverySeconds: 1e9, awaySeconds: 0 };
  isNear(lostOnMachines(LAB, never), lost(LAB), 1e-9);
  const half = { count: 1, failsEverySeconds: 10, awaySeconds: 10 };
  isNear(lostOnMachines(LAB, half), 0.5 + lost(LAB) / 2, 1e-9);
});

Deno.test("two machines lose less than one", () => {
  const pool = { ...LAB, workers: 96, rate: 4_000 };
  const on = (count: number) =>
    lostOnMachines(pool, { count, failsEverySeconds: 1e6, awaySeconds: 1e3 });
  if (!(on(3) < on(2) && on(2) < on(1))) {
    throw new Error(`${on(1)}, ${on(2)}, ${on(3)}`);
  }
});
