import { v7 } from 'uuid';
import { eventually } from '../../support/signals.ts';
import type { Scenario, Stage } from '../scenario.ts';
import { queuedLater, waitingInPostgres } from './means.ts';

const mix = { work: 8, slow: 1, ordered: 1 };

/** What is due in more than a minute is nowhere but in Postgres; later it is in Redis too, which forgets it. */
async function killAllWhileTheyWait(stage: Stage): Promise<void> {
  const { stack, at } = stage;
  await at(3_200);
  stage.note(`${await waitingInPostgres(stage)} long delays waited in Postgres`);
  await stack.redis.client.flushall();
  await stack.postgres.crash();
  for (const role of stack.roles) role.kill();
  await at(5_000);
  await stack.postgres.start();
  await Promise.all(stack.roles.map((role) => role.start()));
  await at(30_000);
  stage.note(`${await queuedLater(stage)} tickets waited in Redis for their time`);
  await stack.redis.kill();
  await stack.redis.start();
  await at(45_000);
}

const oldOnes = 20;
const oldDays = 40;
/** A round of retention comes every minute. */
const roundWithinMs = 75_000;

interface Kept {
  readonly notifications: number;
  readonly entries: number;
  readonly rooms: number;
}

const keysOf = (user: string) => [`u:${user}`, `r:${user}:asked`];

/** Notifications of a user that are past their age, in both of their rooms, as they were committed then. */
async function plantOldOnes({ stack }: Stage, user: string): Promise<void> {
  const msecs = Date.now() - oldDays * 86_400_000;
  const ids = Array.from({ length: oldOnes }, (_, index) => v7({ msecs: msecs + index }));
  const { pool } = stack.postgres;
  await pool.query(
    `INSERT INTO notifications (id, type, "userId", "requestId", status, data, timestamp)
     SELECT id, 'fault.old', $2, 'asked', 'success', '{}', now() - $3 * interval '1 day' FROM unnest($1::uuid[]) AS t(id)`,
    [ids, user, oldDays],
  );
  await pool.query(
    `INSERT INTO rooms (key, epoch, "lastSeq", "publishedSeq")
     SELECT key, gen_random_uuid(), $2::int, $2::int FROM unnest($1::text[]) AS t(key)`,
    [keysOf(user), oldOnes],
  );
  await pool.query(
    `INSERT INTO room_entries (room, seq, "notificationId")
     SELECT r.key, n.seq, n.id FROM unnest($1::text[]) AS r(key), unnest($2::uuid[]) WITH ORDINALITY AS n(id, seq)`,
    [keysOf(user), ids],
  );
}

async function countKept({ stack }: Stage, user: string): Promise<Kept> {
  const { rows } = await stack.postgres.pool.query<Kept>(
    `SELECT (SELECT count(*)::int FROM notifications WHERE "userId" = $1) AS notifications,
            (SELECT count(*)::int FROM room_entries WHERE room = ANY($2::text[])) AS entries,
            (SELECT count(*)::int FROM rooms WHERE key = ANY($2::text[])) AS rooms`,
    [user, keysOf(user)],
  );
  return rows[0] ?? { notifications: 0, entries: 0, rooms: 0 };
}

/** Dying in the middle of it leaves all of it; the next round takes all of it, but for the room in which a user's numbers go on. */
async function killRetention(stage: Stage): Promise<void> {
  const user = `old-${stage.prefix}`;
  const dispatcher = stage.stack.one('dispatcher');
  await plantOldOnes(stage, user);
  await dispatcher.arm('retention.deleted:kill');
  await dispatcher.death(roundWithinMs);
  const kept = await countKept(stage, user);
  if (kept.notifications !== oldOnes || kept.entries !== 2 * oldOnes || kept.rooms !== 2)
    stage.find('pruned', `of what was being deleted ${JSON.stringify(kept)} was left`);
  await dispatcher.ready();
  stage.healed();
  const isGone = async () => ((await countKept(stage, user)).notifications === 0 ? true : undefined);
  await eventually(isGone, 'the next round of retention', roundWithinMs);
  const left = await countKept(stage, user);
  if (left.entries !== 0 || left.rooms !== 1)
    stage.find('pruned', `beside what was deleted ${JSON.stringify(left)} was left`);
}

export const time: readonly Scenario[] = [
  {
    // What is due in a minute fires within a second of its time, whatever was lost before.
    name: 'all killed while long delays wait',
    load: { perSecond: 10, seconds: 3, mix, extra: { distant: 12 } },
    bounds: { startMs: 1_000, callMs: 8_000, drainMs: 60_000 },
    act: killAllWhileTheyWait,
  },
  {
    name: 'killed at retention.deleted',
    load: { perSecond: 20, seconds: 4, mix },
    act: killRetention,
  },
];
