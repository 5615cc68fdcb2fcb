import { sql } from 'kysely';
import { Lanes, LaneWatch } from '../../src/dispatch/lanes.js';
import { EventAcceptor } from '../../src/events/acceptor.js';
import { EventStore } from '../../src/events/store.js';
import { JobAdministration } from '../../src/execution/administration.js';
import { systemClock } from '../../src/platform/clock.js';
import { createLogger } from '../../src/platform/logger.js';
import { createMetrics } from '../../src/platform/metrics.js';
import type { Core, QueueMode } from './core.js';
import { ask, startProbe, type Run } from './probe.js';
import { eventually } from './signals.js';

const logger = createLogger({ level: 'silent', pretty: false });
export const block = { ordered: { onDead: 'block' } } as const;
export const skip = { ordered: { onDead: 'skip' } } as const;
export const acting = { actor: 'olga' };

export interface Effect {
  readonly aggregate: string;
  readonly n: number;
}

/** A handler that leaves `begun` and `done` of each attempt, the second in a transaction. */
export const traced =
  (during: (n: number, attempt: number) => Promise<void> | void = () => undefined): Run =>
  async ({ event, attempt, step, notify }) => {
    const { aggregateId } = event;
    const { n } = event.data;
    await step.transaction(`begin ${attempt}`, async (tx) => {
      await sql`INSERT INTO effects (aggregate, n, what) VALUES (${aggregateId}, ${n}, 'begun')`.execute(tx);
    });
    await during(n, attempt);
    await step.transaction('act', async (tx) => {
      await sql`INSERT INTO effects (aggregate, n, what) VALUES (${aggregateId}, ${n}, 'done')`.execute(tx);
    });
    notify.success('probe.run.completed', { n });
  };

export async function startOrdered(mode: QueueMode, run: Run, more: Parameters<typeof startProbe>[2] = block) {
  const core = await startProbe(mode, run, more);
  await core.testDatabase.pool.query(
    'CREATE TABLE effects (seq bigserial, aggregate text NOT NULL, n int NOT NULL, what text NOT NULL)',
  );
  const { database, publisher, onRunnable, onLanesEnded } = core;
  return { ...core, administration: new JobAdministration({ database, publisher, onRunnable, onLanesEnded }) };
}

export async function effectsOf({ testDatabase }: Core, what: 'begun' | 'done'): Promise<Map<string, number[]>> {
  const { rows } = await testDatabase.pool.query<Effect>(
    'SELECT aggregate, n FROM effects WHERE what = $1 ORDER BY seq',
    [what],
  );
  return new Map(
    [...Map.groupBy(rows, ({ aggregate }) => aggregate)].map(([key, list]) => [key, list.map(({ n }) => n)]),
  );
}

export const endedAll = ({ testDatabase }: Core, count: number) =>
  eventually(
    async () => {
      const { rows } = await testDatabase.pool.query<{ n: number }>(
        'SELECT count(*)::int AS n FROM jobs WHERE "finishedAt" IS NOT NULL',
      );
      return rows[0]?.n === count ? true : undefined;
    },
    `${count} jobs to end`,
    30_000,
  );

export const untilState = ({ testDatabase }: Core, id: string, state: string) =>
  eventually(async () => {
    const { rows } = await testDatabase.pool.query<{ state: string }>('SELECT state FROM jobs WHERE id = $1', [id]);
    return rows[0]?.state === state ? true : undefined;
  }, `${id} to be ${state}`);

export const lanesIn = async ({ testDatabase }: Core) =>
  (await testDatabase.pool.query<{ head: string }>('SELECT head FROM lanes')).rows;
export const isReleased = async ({ testDatabase }: Core, id: string) =>
  (await testDatabase.pool.query<{ isReleased: boolean }>('SELECT "isReleased" FROM jobs WHERE id = $1', [id])).rows[0]
    ?.isReleased;
export const outboxOf = async ({ testDatabase }: Core) =>
  (await testDatabase.pool.query<{ jobId: string }>('SELECT "jobId" FROM outbox')).rows.map(({ jobId }) => jobId);

export const upTo = (count: number) => Array.from({ length: count }, (_, n) => n);

/** Ends a job as an attempt of a process would that died before it could release anybody. */
export async function endSilently(
  core: Core,
  id: string,
  state: 'completed' | 'cancelled' = 'completed',
): Promise<void> {
  await core.testDatabase.pool.query(
    `WITH j AS (UPDATE jobs SET state = $2, "finishedAt" = now() WHERE id = $1 RETURNING lane)
     INSERT INTO lane_ends (lane) SELECT lane FROM j`,
    [id, state],
  );
}

/** @param skipping of another release of the program; the core's own without it. */
export function watchOf({ database: { pool }, lanes, onRunnable }: Core, skipping?: readonly string[]): LaneWatch {
  const theirs = skipping === undefined ? lanes : new Lanes({ pool, skipping, onRunnable, logger });
  return new LaneWatch({ pool, lanes: theirs, clock: systemClock, logger, graceMs: 0 });
}

export async function lanesOf({ testDatabase }: Core): Promise<string[]> {
  return (await testDatabase.pool.query<{ key: string }>('SELECT key FROM lanes')).rows.map(({ key }) => key);
}

/** The ids of `count` jobs in one lane. */
export async function acceptLane(core: Core, count: number): Promise<[string, string, string]> {
  const answers = await core.acceptor.acceptAll(
    'ada',
    upTo(count).map((n) => ask(n, { aggregateId: 'one' })),
  );
  return answers.map((answer) => ('eventId' in answer ? answer.eventId : '')) as [string, string, string];
}

/** Another process on the same database. */
export function otherAcceptor({ database, catalogue }: Core): EventAcceptor {
  const store = new EventStore({ pool: database.pool, onRunnable: () => undefined });
  return new EventAcceptor({ catalogue, store, clock: systemClock, metrics: createMetrics('synap_') });
}

export const appendOf = (id: string) => ({
  id,
  type: 'probe.run.requested',
  aggregateId: 'one',
  aggregateType: 'probe',
  userId: 'ada',
  data: { n: 9 },
  version: 1,
  source: 'api',
  causationId: null,
  correlationId: id,
  requestId: id,
  priority: 10,
  runAt: null,
  handled: true,
  lane: JSON.stringify(['probe.run.requested', 'ada', 'one']),
  key: null,
  requestHash: null,
});
