import type { Violation } from '../scenario.ts';
import type { Stack } from '../stack/stack.ts';

/** Where BullMQ has a ticket, in whatever state; of those that are completed the last 1,000. */
const listsOf = { list: ['wait', 'paused', 'active'], set: ['prioritized', 'delayed', 'completed', 'failed'] };

/**
 * One dispatch of a job is one ticket, however often it was added: whoever dies between adding and writing down that it was added leaves
 * it to others to add again. A second ticket would do no harm, the claim finds it obsolete, so only here it shows.
 */
export async function findDoubleTickets({ redis, postgres }: Stack, prefix: string): Promise<Violation[]> {
  const { rows } = await postgres.pool.query<{ id: string; queue: string }>(
    `SELECT id, queue FROM jobs WHERE "userId" LIKE $1`,
    [`${prefix}-%`],
  );
  const jobs = new Set(rows.map(({ id }) => id));
  const tickets: string[] = [];
  for (const queue of new Set(rows.map((row) => row.queue))) {
    const key = (name: string) => `{synap:${queue}}:${queue}:${name}`;
    for (const name of listsOf.list) tickets.push(...(await redis.client.lrange(key(name), 0, -1)));
    for (const name of listsOf.set) tickets.push(...(await redis.client.zrange(key(name), '0', '-1')));
  }
  const dispatches = Map.groupBy(
    tickets.filter((id) => jobs.has(id.split('.')[0] ?? '')),
    (id) => id.split('.', 2).join('.'),
  );
  return toViolations(
    'ticket-twice',
    [...dispatches.values()].filter((ids) => ids.length > 1).map((ids) => ids.join(' and ')),
  );
}

/**
 * Nothing of an attempt is committed once another one has taken its job over, which the claim notes in the same transaction. By the times of
 * the commits themselves, not of their statements.
 */
export async function findLateCommits({ postgres }: Stack, prefix: string): Promise<Violation[]> {
  const { rows } = await postgres.pool.query<{ late: string }>(
    `SELECT f.step || ' of attempt ' || f.attempt || ' at ' || f."eventId" AS late
     FROM fault_effects f JOIN failed_attempts a ON a."jobId" = f."eventId" AND a.attempt >= f.attempt AND a.error->>'code' = 'crashed'
     WHERE f."userId" LIKE $1 AND pg_xact_commit_timestamp(f.xmin) > pg_xact_commit_timestamp(a.xmin)`,
    [`${prefix}-%`],
  );
  return toViolations(
    'committed-late',
    rows.map(({ late }) => late),
  );
}

function toViolations(invariant: Violation['invariant'], examples: readonly string[]): Violation[] {
  const [example] = examples;
  return example === undefined ? [] : [{ invariant, count: examples.length, example }];
}
