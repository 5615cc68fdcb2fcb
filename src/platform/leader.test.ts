import { afterEach, expect, test } from '@jest/globals';
import { pino } from 'pino';
import { createTestDatabase, type TestDatabase } from '../../test/support/database.js';
import { eventually } from '../../test/support/signals.js';
import { systemClock, type Clock } from './clock.js';
import { Leader } from './leader.js';
import { Periodic } from './periodic.js';

const logger = pino({ level: 'silent' });
const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

async function database(): Promise<TestDatabase> {
  const made = await createTestDatabase();
  cleanups.push(() => made.drop());
  return made;
}

function candidate({ url }: TestDatabase, clock: Clock = systemClock): Leader {
  const leader = new Leader({ databaseUrl: url, clock, logger });
  leader.start();
  cleanups.push(() => leader.stop());
  return leader;
}

const leads = (leader: Leader, deadlineMs?: number) =>
  eventually(() => Promise.resolve(leader.isLeader ? true : undefined), 'it to lead', deadlineMs);
const followed = (leader: Leader, deadlineMs?: number) =>
  eventually(() => Promise.resolve(leader.isLeader ? undefined : true), 'it to lead no more', deadlineMs);

/** A clock that can be stopped, as a process is by SIGSTOP: its timers do not fire, and time goes on. */
function freezable(): Clock & { freeze(): void; thaw(): void; skip(ms: number): void } {
  const due: (() => void)[] = [];
  let isFrozen = false;
  let skipped = 0;
  return {
    now: () => systemClock.now() + skipped,
    skip: (ms) => {
      skipped += ms;
    },
    after: (delayMs, fn) => systemClock.after(delayMs, () => (isFrozen ? due.push(fn) : fn())),
    freeze: () => {
      isFrozen = true;
    },
    thaw: () => {
      isFrozen = false;
      for (const fn of due.splice(0)) fn();
    },
  };
}

test('one of several leads, and the next one when it stops', async () => {
  const db = await database();
  const first = candidate(db);
  await leads(first);
  const others = [candidate(db), candidate(db)];
  await eventually(async () => {
    const { rows } = await db.pool.query(
      `SELECT FROM pg_stat_activity WHERE application_name = 'synap-leader' AND datname = current_database()`,
    );
    return rows.length === 3 ? true : undefined;
  }, 'all to ask');
  expect(others.map(({ isLeader }) => isLeader)).toEqual([false, false]);
  await first.stop();
  expect(first.isLeader).toBe(false);
  await eventually(
    () => Promise.resolve(others.filter(({ isLeader }) => isLeader).length === 1 ? true : undefined),
    'one of the others',
    2_500,
  );
});

test('who loses the connection leads no more at once, and somebody does within two seconds', async () => {
  const db = await database();
  const first = candidate(db);
  await leads(first);
  const second = candidate(db);
  const ended = Date.now();
  await db.pool.query(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'synap-leader' AND datname = current_database()`,
  );
  await followed(first, 1_000);
  await eventually(() => Promise.resolve(first.isLeader || second.isLeader ? true : undefined), 'one to lead');
  expect(Date.now() - ended).toBeLessThan(2_500);
});

test('who freezes is replaced, and on waking up does not believe it leads', async () => {
  const db = await database();
  const clock = freezable();
  const frozen = candidate(db, clock);
  await leads(frozen);
  let rounds = 0;
  const periodic = new Periodic({
    name: 'led',
    everyMs: 10,
    clock,
    logger,
    leader: frozen,
    run: () => Promise.resolve(void rounds++),
  });
  periodic.start();
  cleanups.push(() => periodic.stop());
  await eventually(() => Promise.resolve(rounds > 0 ? true : undefined), 'a round');
  const next = candidate(db);
  clock.freeze();
  // Its connection stands and nobody has told it anything.
  clock.skip(1_500);
  expect(frozen.isLeader).toBe(false);
  await leads(next, 5_000);
  const before = rounds;
  clock.thaw();
  expect(frozen.isLeader).toBe(false);
  await eventually(async () => {
    const { rows } = await db.pool.query(
      `SELECT FROM pg_stat_activity WHERE application_name = 'synap-leader' AND datname = current_database()`,
    );
    return rows.length === 2 ? true : undefined;
  }, 'it to ask again');
  expect(frozen.isLeader).toBe(false);
  expect(next.isLeader).toBe(true);
  expect(rounds).toBe(before);
});
