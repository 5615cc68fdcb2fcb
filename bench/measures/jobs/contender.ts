import type { ProcessUsage } from '../../measure.ts';

/** One contender's backlog, worked off. */
export interface Drained {
  readonly jobs: number;
  /** Of the middle 80 % of the jobs, by the order in which they ended. */
  readonly perSecond: number;
  readonly usage: readonly ProcessUsage[];
}

const left = 0.1;

/** The rate between the tenth and the ninetieth percent of the ends: neither the start nor the last few. */
export function steadyRate(ends: readonly number[]): number {
  const sorted = Float64Array.from(ends).toSorted();
  const first = Math.floor(sorted.length * left);
  const last = Math.ceil(sorted.length * (1 - left)) - 1;
  const ms = (sorted[last] ?? Number.NaN) - (sorted[first] ?? Number.NaN);
  return ((last - first) * 1_000) / ms;
}
