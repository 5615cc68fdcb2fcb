import { setTimeout as delay } from 'node:timers/promises';
import type { Stage } from '../scenario.ts';

/** Long enough for the fast path to leave rows to the dispatcher. */
export async function withoutRedis({ stack }: Stage): Promise<void> {
  stack.redisProxy.let('refuse');
  await delay(800);
  stack.redisProxy.let('pass');
}

const keyOf = (queue: string, name: string) => `{synap:${queue}}:${queue}:${name}`;

/** Tickets of work that wait, while no worker looks. */
async function whileTheyWait(stage: Stage, act: (ids: readonly string[]) => Promise<void>): Promise<void> {
  const { stack } = stage;
  const workers = stack.of('worker');
  for (const worker of workers) worker.freeze();
  try {
    await delay(700);
    await act(await stack.redis.client.zrange(keyOf('fault.work.requested', 'prioritized'), '0', '4'));
  } finally {
    for (const worker of workers) worker.thaw();
  }
}

/** As an operator's mistake would: the ticket is gone without a trace. */
export async function loseTickets(stage: Stage): Promise<void> {
  const { redis } = stage.stack;
  await whileTheyWait(stage, async (ids) => {
    if (ids.length === 0) throw new Error('no ticket was waiting');
    await redis.client.zrem(keyOf('fault.work.requested', 'prioritized'), ...ids);
    await redis.client.del(ids.map((id) => keyOf('fault.work.requested', id)));
    stage.note(`${ids.length} tickets were lost`);
  });
}

/** The queue still lists the ticket, and knows nothing of it. */
export async function loseHashes(stage: Stage): Promise<void> {
  const { redis } = stage.stack;
  await whileTheyWait(stage, async (ids) => {
    if (ids.length === 0) throw new Error('no ticket was waiting');
    await redis.client.del(ids.map((id) => keyOf('fault.work.requested', id)));
    stage.note(`${ids.length} tickets lost their data`);
  });
}

/** Redis forgets everything while there is something to forget. */
export function forgetBacklog(stage: Stage): Promise<void> {
  return whileTheyWait(stage, async (ids) => {
    if (ids.length === 0) throw new Error('no ticket was waiting');
    await stage.stack.redis.client.flushall();
    // As long as the dispatcher needs to see it; the workers may not take what it brings back before that.
    await delay(2_000);
  });
}

/** How many jobs are due too late for a queue to have them; there must be some. */
export async function waitingInPostgres({ stack, prefix }: Stage): Promise<number> {
  const { rows } = await stack.postgres.pool.query<{ count: number }>(
    `SELECT count(*)::int FROM outbox WHERE "userId" LIKE $1 AND "runAt" > now() + interval '60 seconds'`,
    [`${prefix}-%`],
  );
  const count = rows[0]?.count ?? 0;
  if (count === 0) throw new Error('no long delay was waiting in Postgres');
  return count;
}

/** How many tickets of work wait in Redis for their time; there must be some. */
export async function queuedLater({ stack }: Stage): Promise<number> {
  const count = await stack.redis.client.zcard(keyOf('fault.work.requested', 'delayed'));
  if (count === 0) throw new Error('no ticket was waiting for its time');
  return count;
}
