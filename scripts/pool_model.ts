/**
 * How many requests find no worker: a pool of workers that die at some of their requests, on machines that fail.
 *
 * A worker takes one request at a time. A request that finds none free is lost. This is Erlang's loss system, whose
 * formula holds for any distribution of the time that a request keeps a worker away: its service, and where the worker
 * dies of it, the time until the next one is ready.
 */

export interface Pool {
  workers: number;
  /** Requests a second, of all clients together. */
  rate: number;
  serviceSeconds: number;
  /** The share of requests of which the worker dies. */
  deaths: number;
  /** From a death until the next worker is ready. */
  respawnSeconds: number;
}

/** The mean number of workers that would be away if there were endlessly many. */
export function offeredLoad({ rate, serviceSeconds, deaths, respawnSeconds }: Pool): number {
  return rate * (serviceSeconds + deaths * respawnSeconds);
}

/** The share of requests that find all of so many workers away (Erlang B). */
export function erlangB(workers: number, load: number): number {
  let inverse = 1;
  for (let n = 1; n <= workers; n++) {
    inverse = 1 + inverse * n / load;
  }
  return 1 / inverse;
}

export function lost(pool: Pool): number {
  return erlangB(pool.workers, offeredLoad(pool));
}

export interface Machines {
  count: number;
  /** From one failure of a machine to its next. */
  failsEverySeconds: number;
  /** From its failure until its workers are there again, on it or elsewhere. */
  awaySeconds: number;
}

/** The same where the workers are spread evenly over machines that fail independently of each other. */
export function lostOnMachines(
  pool: Pool,
  { count, failsEverySeconds, awaySeconds }: Machines,
): number {
  const away = awaySeconds / (failsEverySeconds + awaySeconds);
  let sum = 0;
  let chance = (1 - away) ** count;
  for (let failed = 0; failed <= count; failed++) {
    const workers = Math.floor(pool.workers * (count - failed) / count);
    sum += chance * lost({ ...pool, workers });
    chance *= (count - failed) / (failed + 1) * away / (1 - away);
  }
  return sum;
}

/** The same as `lost`, by trying: requests arrive at random, and each death takes as long as it takes. */
export function simulated(pool: Pool, requests: number, random: () => number): number {
  const freeAt = new Float64Array(pool.workers);
  let now = 0;
  let refused = 0;
  for (let n = 0; n < requests; n++) {
    now -= Math.log(1 - random()) / pool.rate;
    const worker = freeAt.findIndex((at) => at <= now);
    if (worker === -1) {
      refused++;
      continue;
    }
    const dies = random() < pool.deaths;
    freeAt[worker] = now + pool.serviceSeconds + (dies ? pool.respawnSeconds : 0);
  }
  return refused / requests;
}

/** Numbers from 0 to 1 that are the same in each run (xorshift, 32 bits). */
export function seeded(seed: number): () => number {
  let state = seed | 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}
