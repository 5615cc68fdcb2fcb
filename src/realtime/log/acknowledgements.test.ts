import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { createTestDatabase, type TestDatabase } from '../../../test/support/database.js';
import { silent } from '../../../test/support/realtime.js';
import { systemClock } from '../../platform/clock.js';
import type { Database } from '../../platform/database.js';
import { newId } from '../../platform/ids.js';
import { Acknowledgements } from './acknowledgements.js';
import { NotificationLog } from './postgres-log.js';
import { requestRoom, roomKey, userRoom } from '../rooms.js';

let database: TestDatabase;
let log: NotificationLog;
let users = 0;
let user: string;
beforeAll(async () => {
  database = await createTestDatabase();
  log = new NotificationLog(database);
});
afterAll(() => database.drop());
beforeEach(() => {
  user = `user-${++users}`;
});

const open = (pool: Database['pool'] = database.pool) =>
  new Acknowledgements({ database: { pool }, clock: systemClock, logger: silent });

/** @returns the epoch of the user's room, or of the request's */
async function sayMany(count: number, requestId?: string): Promise<string> {
  let epoch = '';
  for (let n = 1; n <= count; n++) {
    const request = requestId === undefined ? {} : { requestId };
    const entries = await log.append({ type: 'test.said', status: 'success', data: { n }, userId: user, ...request });
    epoch = entries.findLast(({ room }) => room.startsWith('r:') === (requestId !== undefined))?.epoch ?? '';
  }
  return epoch;
}

interface FactRow {
  readonly deliveredAt: Date | null;
  readonly seenAt: Date | null;
}

/** Of the user's notifications, oldest first. */
async function factRows(): Promise<FactRow[]> {
  const statement = `SELECT "deliveredAt", "seenAt" FROM notifications WHERE "userId" = $1 ORDER BY id`;
  return (await database.pool.query<FactRow>(statement, [user])).rows;
}
const facts = async () =>
  (await factRows()).map(({ deliveredAt, seenAt }, index) => [index + 1, deliveredAt !== null, seenAt !== null]);

test('acknowledgements of one room are written together, the highest of each kind, when the process closes at the latest', async () => {
  const epoch = await sayMany(4);
  const acknowledgements = open();
  const key = roomKey(userRoom(user));
  acknowledgements.note(key, { epoch, delivered: 3 });
  acknowledgements.note(key, { epoch, delivered: 2, seen: 1 });
  await acknowledgements.drain();
  expect(await facts()).toEqual([
    [1, true, true],
    [2, true, false],
    [3, true, false],
    [4, false, false],
  ]);
});

test('acknowledgements said again, or by another device, leave the first time', async () => {
  const epoch = await sayMany(2, 'req-ack');
  const acknowledgements = open();
  const key = roomKey(requestRoom(user, 'req-ack'));
  acknowledgements.note(key, { epoch, seen: 1 });
  await acknowledgements.drain();
  const [before] = await factRows();
  acknowledgements.note(key, { epoch, delivered: 2, seen: 2 });
  await acknowledgements.drain();
  const [after, second] = await factRows();
  expect(after).toEqual(before);
  expect(second?.seenAt).not.toBeNull();
});

test('acknowledgements of another epoch, or of a room that is not there, mark nothing', async () => {
  await sayMany(1);
  const acknowledgements = open();
  acknowledgements.note(roomKey(userRoom(user)), { epoch: newId(), delivered: 1, seen: 1 });
  acknowledgements.note(roomKey(requestRoom(user, 'nowhere')), { epoch: newId(), delivered: 1 });
  await acknowledgements.drain();
  expect(await facts()).toEqual([[1, false, false]]);
});

test('acknowledgements of a long absence reach down to its beginning', async () => {
  const epoch = await sayMany(1);
  const key = roomKey(userRoom(user));
  await database.pool.query(
    `WITH made AS (
       INSERT INTO notifications (id, type, "userId", status, data)
       SELECT gen_random_uuid(), 't', $1, 'success', '{}' FROM generate_series(2, 1700) RETURNING id
     ), entries AS (INSERT INTO room_entries SELECT $2, 1 + row_number() OVER (), id FROM made)
     UPDATE rooms SET "lastSeq" = 1700 WHERE key = $2`,
    [user, key],
  );
  const acknowledgements = open();
  acknowledgements.note(key, { epoch, delivered: 1_650 });
  await acknowledgements.drain();
  const { rows } = await database.pool.query<{ n: number }>(
    `SELECT count(*)::int AS n FROM notifications WHERE "userId" = $1 AND "deliveredAt" IS NOT NULL`,
    [user],
  );
  expect(rows).toEqual([{ n: 1_650 }]);
});

test('acknowledgements wait where Postgres is away, and are written when it is back', async () => {
  const epoch = await sayMany(1);
  const { pool } = database;
  let isAway = true;
  const query = (...args: [never]) => (isAway ? Promise.reject(new Error('away')) : pool.query(...args));
  const acknowledgements = open({ query } as never);
  acknowledgements.note(roomKey(userRoom(user)), { epoch, delivered: 1 });
  await expect(acknowledgements.drain()).rejects.toThrow('away');
  isAway = false;
  await acknowledgements.drain();
  expect(await facts()).toEqual([[1, true, false]]);
});

test('acknowledgements are written once a second', async () => {
  const epoch = await sayMany(1);
  const timers: (() => void)[] = [];
  const after = (ms: number, fn: () => void) => {
    expect(ms).toBe(1_000);
    timers.push(fn);
    return () => undefined;
  };
  const acknowledgements = new Acknowledgements({ database, clock: { now: () => 0, after }, logger: silent });
  const key = roomKey(userRoom(user));
  for (let n = 0; n < 5; n++) acknowledgements.note(key, { epoch, delivered: 1 });
  expect(timers).toHaveLength(1);
  timers[0]?.();
  await acknowledgements.drain();
  expect(await facts()).toEqual([[1, true, false]]);
});
