/**
 * Words for people, numbers for BullMQ, where a lower number goes first and 0 (or none) jumps the whole line and starves it.
 */
export const priorities = { high: 1, normal: 10, low: 100 } as const;

/** How long a job waits before it counts as normal, and before it counts as high. */
const normalAfterMs = 30_000;
const highAfterMs = 60_000;

/** The number of a job that has been due for so long: whoever waits gets more urgent, so nothing starves. */
export function agedPriority(priority: number, waitedMs: number): number {
  if (waitedMs >= highAfterMs) return Math.min(priority, priorities.high);
  if (waitedMs >= normalAfterMs) return Math.min(priority, priorities.normal);
  return priority;
}
