import type { Clock } from '../platform/clock.js';
import { SynapError } from '../platform/errors.js';

const maxTries = 10;
const longestWaitMs = 5_000;

/** Postgres is away, or has more to do than it can. */
export function isUnavailable(thrown: unknown): boolean {
  return thrown instanceof SynapError && (thrown.code === 'unavailable' || thrown.code === 'overloaded');
}

/**
 * Tries again while Postgres is away, for about half a minute: what an attempt has done need not be done again because
 * its end found no connection. `commit` must be harmless when repeated, because a lost answer says nothing.
 */
export async function untilAvailable<T>(commit: () => Promise<T>, clock: Clock, shutdown: AbortSignal): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await commit();
    } catch (thrown) {
      if (!isUnavailable(thrown) || tries === maxTries || shutdown.aborted) throw thrown;
      await wait(clock, Math.min(longestWaitMs, 100 * 2 ** tries));
    }
  }
}

function wait(clock: Clock, ms: number): Promise<void> {
  return new Promise((resolve) => void clock.after(ms, resolve));
}
