import { eventually } from '../../test/support/signals.ts';
import type { Bench } from '../measure.ts';
import { Synap, type SynapOptions } from '../synap.ts';
import { backlogQueue } from './fill-statements.ts';
import { applyLoad } from './generator.ts';
import type { LoadPlan } from './plan.ts';
import type { Store } from './stores.ts';

/** What the arithmetic of docs/scaling.md is made of. */
export interface Costs {
  /** Of an event that is accepted alone (64 connections), with its job, outbox row and no key. */
  readonly walBytesPerAccept: number;
  /** Of a whole job: accepted by batch, dispatched, claimed, one transactional step, finished with an event and a notification in two rooms, published. */
  readonly walBytesPerJob: number;
  /** In Postgres, when it is over: rows and their index entries of events, jobs, steps, notifications, entries and rooms. */
  readonly storedBytesPerJob: number;
  /** A ticket that waits in its queue. */
  readonly redisBytesPerTicket: number;
}

const jobs = 2_000;

/** Measured by what Postgres wrote and how much it grew, without other load. Nothing is checkpointed in between: whole pages are not counted again. */
export async function measureCosts(
  bench: Bench,
  options: SynapOptions,
  store: Store,
  plan: (synap: Synap) => Promise<LoadPlan>,
): Promise<Costs> {
  const synap = await Synap.start(bench.place, options);
  try {
    const base = { ...(await plan(synap)), ratePerSecond: 0, highPerSecond: 0, warmUpMs: 0, measuredMs: 0 };
    const walOf = async (
      load: Pick<LoadPlan, 'acceptMs' | 'jobs'>,
    ): Promise<{ readonly bytes: number; readonly accepts: number }> => {
      const before = await store.counters();
      const { accepts, jobIds } = await applyLoad({ ...base, ...load });
      await eventually(
        async () => ((await store.unfinishedOf(jobIds)) === 0 ? true : undefined),
        'the jobs to be finished',
        120_000,
      );
      return { bytes: (await store.counters()).walBytes - before.walBytes, accepts };
    };
    await walOf({ acceptMs: 1_000, jobs: 1_000 });
    const accepted = await walOf({ acceptMs: bench.pick(5_000, 1_000), jobs: 0 });
    const sizeBefore = await store.size();
    const run = await walOf({ acceptMs: 0, jobs });
    return {
      walBytesPerAccept: accepted.bytes / accepted.accepts,
      walBytesPerJob: run.bytes / jobs,
      storedBytesPerJob: ((await store.size()) - sizeBefore) / jobs,
      redisBytesPerTicket: await ticketBytes(bench),
    };
  } finally {
    await synap.stop();
  }
}

/** Of what lies in the window of the backlog's queue: the ticket's hash, and its share of the list. */
async function ticketBytes({ place }: Bench): Promise<number> {
  const { client } = place.redis;
  const [list] = (await client.keys(`*:${backlogQueue}:prioritized`)).slice(0, 1);
  if (list === undefined) return Number.NaN;
  const ids = await client.zrange(list, '0', '99');
  const prefix = list.slice(0, -'prioritized'.length);
  const hashes = await Promise.all(ids.map((id) => client.memory('USAGE', `${prefix}${id}`)));
  const known = hashes.flatMap((bytes) => bytes ?? []);
  const whole = (await client.memory('USAGE', list, 'SAMPLES', 0)) ?? 0;
  return known.reduce((sum, bytes) => sum + bytes, 0) / known.length + whole / (await client.zcard(list));
}
