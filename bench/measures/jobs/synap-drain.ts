import pg from 'pg';
import { eventually } from '../../../test/support/signals.ts';
import { effectsTable } from '../../app/effects.ts';
import { acceptBacklog } from '../../load/backlog.ts';
import type { Place } from '../../place.ts';
import { Synap, type RoleName } from '../../synap.ts';
import { UsageWatch } from '../../usage.ts';
import { steadyRate, type Drained } from './contender.ts';

export interface SynapSetup {
  readonly processes: readonly (readonly RoleName[])[];
  readonly env: Readonly<Record<string, string>>;
  readonly nodeFlags?: readonly string[];
}

const type = 'bench.work.requested';
const users = 1_000;
const drainsWithinMs = 120_000;

/**
 * One round of Synap: a fresh database, the backlog accepted by an api process that then ends (its fast path has filled the
 * queue's window, the rest waits in Postgres), and then worked off by the processes that are measured.
 */
export async function drainSynap(place: Place, setup: SynapSetup, count: number): Promise<Drained> {
  const databaseUrl = await place.database({ isMigrated: true });
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    await client.query(effectsTable);
    const jobs = await accept(place, databaseUrl, count);
    await place.analyze(databaseUrl);
    await place.checkpoint();
    const synap = await Synap.start(place, { databaseUrl, ...setup });
    const usage = await UsageWatch.start(synap.watched(place));
    try {
      const ends = await untilDrained(client, jobs);
      return { jobs, perSecond: steadyRate(ends), usage: await usage.stop() };
    } finally {
      await synap.stop();
    }
  } finally {
    await client.end();
  }
}

async function accept(place: Place, databaseUrl: string, count: number): Promise<number> {
  const api = await Synap.start(place, { databaseUrl, processes: [['api']] });
  try {
    return await acceptBacklog(api, { type, count, users });
  } finally {
    await api.stop();
  }
}

/** Every job must have its effect, its event and its two room entries: what is counted is whole. */
async function untilDrained(client: pg.Client, jobs: number): Promise<number[]> {
  const isDone = async (): Promise<true | undefined> => {
    await new Promise((resolve) => setTimeout(resolve, 500));
    const { rowCount } = await client.query(
      `SELECT FROM jobs WHERE state IN ('scheduled', 'queued', 'running') LIMIT 1`,
    );
    return rowCount === 0 ? true : undefined;
  };
  await eventually(isDone, 'the backlog to be worked off', drainsWithinMs);
  const { rows } = await client.query<{ ends: number[]; effects: number; events: number; entries: number }>(`
    SELECT (SELECT array_agg(extract(epoch FROM "finishedAt")::float8 * 1000) FROM jobs WHERE state = 'completed') AS ends,
           (SELECT count(*)::int FROM bench_effects) AS effects,
           (SELECT count(*)::int FROM events WHERE type = 'bench.work.completed') AS events,
           (SELECT count(*)::int FROM room_entries) AS entries`);
  const [found] = rows;
  const counted = [found?.ends.length, found?.effects, found?.events, (found?.entries ?? 0) / 2];
  if (counted.some((value) => value !== jobs))
    throw new Error(`of ${jobs} jobs were found: ${counted.join(', ')} ends, effects, events, notifications`);
  return found?.ends ?? [];
}
