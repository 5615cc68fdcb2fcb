/**
 * Words for people, numbers for BullMQ, where a lower number goes first and 0 (or none) jumps the whole line and starves it.
 */
export const priorities = { high: 1, normal: 10, low: 100 } as const;

/**
 * Of what has waited long: before all that is normal or low, and still behind high, or a backlog that is a minute old would be as
 * urgent as everything. So that it does not starve behind high either, a few of the oldest at a time become high (src/dispatch/aging.ts).
 */
export const agedNumber = 2;

/** How long a job waits before it counts as normal, and before it counts as aged. */
const normalAfterMs = 30_000;
const agedAfterMs = 60_000;

/** The number of a job that has been due for so long: whoever waits gets more urgent, so nothing starves. */
export function agedPriority(priority: number, waitedMs: number): number {
  if (waitedMs >= agedAfterMs) return Math.min(priority, agedNumber);
  if (waitedMs >= normalAfterMs) return Math.min(priority, priorities.normal);
  return priority;
}
