import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { pino } from 'pino';
import { z } from 'zod';
import { createTestDatabase, type TestDatabase } from '../../test/support/database.js';
import { defineEvent } from '../events/definition.js';
import { defineSchedule, type Schedule, type ScheduleOptions } from '../events/schedule.js';
import { EventStore } from '../events/store.js';
import { systemClock } from '../platform/clock.js';
import { createDatabase, type Database } from '../platform/database.js';
import type { Runnable } from '../queues/ticket.js';
import { ScheduleRunner } from './schedule-runner.js';

interface Data {
  readonly at: string;
}

const Struck = defineEvent<Data>({
  type: 'clock.minute.struck',
  aggregateType: 'clock',
  origin: 'handler',
  data: z.object({ at: z.string() }),
});
const minutely: ScheduleOptions<Data> = {
  name: 'probe',
  on: Struck,
  cron: '* * * * *',
  timeZone: 'UTC',
  data: (tick) => ({ at: tick.toISOString() }),
  ifMissed: 'skip',
};
const logger = pino({ level: 'silent' });
const at = (time: string) => new Date(`2026-11-22T${time}Z`);

let testDatabase: TestDatabase;
let database: Database;
let runnable: Runnable[];
let time: Date;
/** Of the event's type, where it is handled in order. */
let lane: string | null;

beforeEach(async () => {
  testDatabase = await createTestDatabase();
  const { url } = testDatabase;
  const settings = { url, poolMin: 0, poolMax: 10, idleTimeoutMs: 1_000, queryTimeoutMs: 10_000 };
  database = createDatabase(url, settings, logger);
  runnable = [];
  time = at('08:00:30');
  lane = null;
});
afterEach(async () => {
  await database.close();
  await testDatabase.drop();
});

/** A process' runner, on the test's time. */
function runnerOf(schedules: readonly Schedule[], store?: Pick<EventStore, 'append'>): ScheduleRunner {
  const { pool } = database;
  return new ScheduleRunner({
    schedules,
    pool,
    store: store ?? new EventStore({ pool, onRunnable: (more) => runnable.push(...more) }),
    catalogue: { hasHandler: () => true, laneOf: () => lane },
    clock: systemClock,
    logger,
    now: () => Promise.resolve(time),
  });
}

const runner = (more: Partial<ScheduleOptions<Data>> = {}) => runnerOf([defineSchedule({ ...minutely, ...more })]);

async function sent(): Promise<string[]> {
  const { rows } = await testDatabase.pool.query<{ at: string }>(
    `SELECT substr(data->>'at', 12, 5) AS at FROM events ORDER BY id`,
  );
  return rows.map((row) => row.at);
}

async function lastTick(): Promise<Date | undefined> {
  const { rows } = await testDatabase.pool.query<{ lastTickAt: Date }>('SELECT "lastTickAt" FROM schedules');
  return rows[0]?.lastTickAt;
}

test('a new schedule starts from now, and its first tick is the next', async () => {
  const probe = runner();
  expect(await probe.runOnce()).toBe(30_000);
  expect(await sent()).toEqual([]);
  time = at('08:01:00');
  expect(await probe.runOnce()).toBe(60_000);
  expect(await sent()).toEqual(['08:01']);
});

test('by the database’s clock a new schedule begins at the millisecond, never after it', async () => {
  const probe = new ScheduleRunner({
    schedules: [defineSchedule(minutely)],
    pool: database.pool,
    store: { append: () => Promise.reject(new Error('nothing is due')) },
    catalogue: { hasHandler: () => true, laneOf: () => lane },
    clock: systemClock,
    logger,
  });
  const untilNext = await probe.runOnce();
  const { rows } = await testDatabase.pool.query<{ isPast: boolean }>(
    'SELECT "lastTickAt" <= clock_timestamp() AND "lastTickAt" > clock_timestamp() - interval \'20 seconds\' AS "isPast" FROM schedules',
  );
  expect(rows).toEqual([{ isPast: true }]);
  expect(untilNext).toBeGreaterThan(0);
  expect(untilNext).toBeLessThanOrEqual(60_000);
});

test('a tick is an event like any other: of its user, with a job in the outbox and offered to the fast path', async () => {
  const probe = runner({ userId: 'ada' });
  await probe.runOnce();
  time = at('08:01:00.400');
  await probe.runOnce();
  const { rows } = await testDatabase.pool.query(
    `SELECT e.type, e."userId", e.source, e."requestId", e."causationId", j.state, j."isRoot", o.generation, e.id
     FROM events e JOIN jobs j USING (id) JOIN outbox o ON o."jobId" = e.id`,
  );
  expect(rows).toEqual([
    {
      id: runnable[0]?.jobId,
      type: 'clock.minute.struck',
      userId: 'ada',
      source: 'automation',
      requestId: 'schedule:probe:2026-11-22T08:01:00.000Z',
      causationId: null,
      state: 'queued',
      isRoot: true,
      generation: 1,
    },
  ]);
});

test('a tick of a type that is handled in order stands in its lane', async () => {
  lane = 'clock.minute.struck system wall';
  const probe = runner();
  await probe.runOnce();
  for (const minute of ['08:01:00', '08:02:00']) {
    time = at(minute);
    await probe.runOnce();
  }
  const { rows } = await testDatabase.pool.query('SELECT lane, "isReleased" FROM jobs ORDER BY position');
  expect(rows).toEqual([
    { lane, isReleased: true },
    { lane, isReleased: false },
  ]);
  expect(runnable).toHaveLength(1);
});

test('a fleet of runners sends each tick once', async () => {
  const schedules = ['one', 'two', 'three'].map((name) => defineSchedule({ ...minutely, name }));
  const fleet = [runnerOf(schedules), runnerOf(schedules), runnerOf(schedules)];
  await Promise.all(fleet.map((one) => one.runOnce()));
  for (let second = 45; second <= 330; second += 15) {
    time = new Date(at('08:00:00').getTime() + second * 1_000);
    await Promise.all(fleet.map((one) => one.runOnce()));
  }
  expect(await sent()).toEqual(['08:01', '08:02', '08:03', '08:04', '08:05'].flatMap((tick) => [tick, tick, tick]));
  expect(runnable).toHaveLength(15);
});

describe('after downtime', () => {
  test('a tick that is late by less than a minute is sent', async () => {
    await runner().runOnce();
    time = at('08:01:59');
    await runner().runOnce();
    expect(await sent()).toEqual(['08:01']);
  });

  test.each([
    ['skip', ['08:00', '12:00', '12:01']],
    ['run once', ['08:00', '11:59', '12:00', '12:01']],
  ] as const)('%s: of the ticks that were missed that many are sent, once', async (ifMissed, expected) => {
    time = at('07:59:30');
    await runner({ ifMissed }).runOnce();
    time = at('08:00:00');
    await runner({ ifMissed }).runOnce();
    time = at('12:00:10');
    const fleet = [runner({ ifMissed }), runner({ ifMissed })];
    await Promise.all(fleet.map((one) => one.runOnce()));
    for (const one of fleet) await one.runOnce();
    time = at('12:01:00');
    for (const one of fleet) await one.runOnce();
    expect(await sent()).toEqual(expected);
  });

  test.each([
    ['skip', []],
    ['run once', ['09:00']],
  ] as const)('%s: a day’s only tick that was missed', async (ifMissed, expected) => {
    const daily = { cron: '0 9 * * *', ifMissed };
    await runner(daily).runOnce();
    time = at('17:45:00');
    const probe = runner(daily);
    await probe.runOnce();
    await probe.runOnce();
    expect(await sent()).toEqual(expected);
    expect(await lastTick()).toEqual(at('09:00:00'));
  });
});

describe('a process that dies', () => {
  test('between append and record leaves a tick that is sent once', async () => {
    await runner().runOnce();
    time = at('08:01:00');
    const arguments_ = ['test/support/schedule-process.js', testDatabase.url, time.toISOString()];
    await expect(promisify(execFile)(process.execPath, arguments_)).rejects.toMatchObject({ signal: 'SIGKILL' });
    expect(await sent()).toEqual(['08:01']);
    expect(await lastTick()).toEqual(at('08:00:30'));
    time = at('08:01:05');
    await runner().runOnce();
    expect(await sent()).toEqual(['08:01']);
    expect(runnable).toEqual([]);
    expect(await lastTick()).toEqual(at('08:01:00'));
  });

  test('before it could append leaves the tick to the next', async () => {
    await runner().runOnce();
    time = at('08:01:00');
    const failing = runnerOf([defineSchedule(minutely)], { append: () => Promise.reject(new Error('gone')) });
    await failing.runOnce();
    expect(await lastTick()).toEqual(at('08:00:30'));
    await runner().runOnce();
    expect(await sent()).toEqual(['08:01']);
  });
});

test('a schedule that another process has in hand is left to it, without waiting', async () => {
  await runner().runOnce();
  time = at('08:01:00');
  const client = await testDatabase.pool.connect();
  await client.query('BEGIN');
  await client.query('SELECT FROM schedules FOR UPDATE');
  await runner().runOnce();
  expect(await sent()).toEqual([]);
  await client.query('ROLLBACK');
  client.release();
  await runner().runOnce();
  expect(await sent()).toEqual(['08:01']);
});

describe('a changed timetable', () => {
  test('starts anew from now', async () => {
    await runner({ ifMissed: 'run once' }).runOnce();
    time = at('10:00:30');
    const changed = runner({ cron: '*/30 * * * *', ifMissed: 'run once' });
    await changed.runOnce();
    expect(await sent()).toEqual([]);
    time = at('10:30:00');
    await changed.runOnce();
    expect(await sent()).toEqual(['10:30']);
  });

  test('is served by its own release while both run, and by the other when that is gone', async () => {
    const old = runner();
    await old.runOnce();
    const fresh = runner({ timeZone: 'Europe/Berlin', cron: '* 9 * * *' });
    await fresh.runOnce();
    time = at('08:01:00');
    await old.runOnce();
    expect(await sent()).toEqual([]);
    await fresh.runOnce();
    expect(await sent()).toEqual(['08:01']);
    // Rolled back: nobody serves the new one any more, and the old one that ran on takes over, from then.
    time = at('08:03:00');
    await old.runOnce();
    time = at('08:04:00');
    await old.runOnce();
    expect(await sent()).toEqual(['08:01', '08:04']);
  });

  test('is not taken over while its processes live, however rare its ticks', async () => {
    const old = runner();
    await old.runOnce();
    const yearly = runner({ cron: '0 0 1 1 *' });
    await yearly.runOnce();
    for (let minute = 1; minute <= 5; minute++) {
      time = at(`08:0${minute}:30`);
      await yearly.runOnce();
      await old.runOnce();
    }
    expect(await sent()).toEqual([]);
  });
});

test('a tick whose data is not valid is passed over, and the next is sent', async () => {
  const data = (tick: Date) => ({
    at: tick.getTime() === at('08:01:00').getTime() ? 'U+0000 \u0000' : tick.toISOString(),
  });
  const probe = runner({ data });
  await probe.runOnce();
  time = at('08:01:00');
  await probe.runOnce();
  expect(await lastTick()).toEqual(time);
  time = at('08:02:00');
  await probe.runOnce();
  expect(await sent()).toEqual(['08:02']);
});
