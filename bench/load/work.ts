import type { Place } from '../place.ts';
import type { Synap } from '../synap.ts';

const users = 1_000;

/** One event of the benchmark's work, as a client posts it; see LoadPlan. */
const event = '{"type":"bench.work.requested","requestId":"{{id}}","data":{"n":1}}';
export const singleBody = event;
export const batchBody = (size: number): string =>
  `{"events":[${Array.from({ length: size }, () => event).join(',')}]}`;

/** Of a thousand users. */
export const mintTokens = (synap: Synap): Promise<string[]> =>
  Promise.all(Array.from({ length: users }, (_, nth) => synap.mint(`user-${nth}`)));

const takeEveryMs = 200;

/**
 * Takes what lies in the queues, in the place of workers on other machines: so that they never reach their window, which would spare
 * the api the cost of filling them.
 */
export async function takingJobs<T>(place: Place, work: () => Promise<T>): Promise<T> {
  let taking: Promise<unknown> = Promise.resolve();
  const timer = setInterval(() => {
    taking = taking.then(() => place.redis.client.flushall('ASYNC'));
  }, takeEveryMs);
  try {
    return await work();
  } finally {
    clearInterval(timer);
    await taking;
  }
}

/** The share of the accepted events that went to Redis at once, as the process itself counts them. */
export async function readFastShare(metricsUrl: string): Promise<number> {
  const text = await (await fetch(metricsUrl)).text();
  const total = (name: string): number => Number(new RegExp(`^synap_${name} (\\S+)$`, 'm').exec(text)?.[1] ?? 0);
  return (
    total(String.raw`outbox_dispatched_total\{path="fast"\}`) /
    total(String.raw`events_accepted_total\{type="bench.work.requested"\}`)
  );
}
