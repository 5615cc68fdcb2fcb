import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { RealtimeStage } from '../../test/support/realtime.js';
import { RetentionKit } from '../../test/support/retention.js';
import { NotificationLog } from '../realtime/postgres-log.js';
import { requestRoom, roomKey, userRoom } from '../realtime/rooms.js';
import { pruneRooms } from './prune-rooms.js';

let kit: RetentionKit;
beforeEach(async () => {
  kit = await RetentionKit.start();
});
afterEach(async () => {
  await kit.end();
});

const keep = 100;
const user = roomKey(userRoom('ada'));
const prune = () => kit.prune(kit.retention({ notificationsPerRoom: keep }));

async function say(count: number, more: { userId?: string; requestId?: string } = {}): Promise<void> {
  const log = new NotificationLog(kit.database);
  const draft = { type: 'test.said', status: 'success' as const, data: {}, userId: 'ada', ...more };
  for (let n = 0; n < count; n++) await log.append(draft);
}

/** Entries of Ada's room and nothing else, without the work of saying them; no id of theirs is past its age. */
async function fill(from: number, to: number): Promise<void> {
  await kit.query(
    `WITH made AS (
       INSERT INTO notifications (id, type, "userId", status, data)
       SELECT ('f' || substr(gen_random_uuid()::text, 2))::uuid, 't', 'ada', 'success', '{}' FROM generate_series($2::int, $3::int) RETURNING id
     ), entries AS (INSERT INTO room_entries SELECT $1, $2::int - 1 + row_number() OVER (), id FROM made)
     INSERT INTO rooms (key, epoch, "lastSeq") VALUES ($1, gen_random_uuid(), $3::int)
     ON CONFLICT (key) DO UPDATE SET "lastSeq" = $3::int`,
    [user, from, to],
  );
}

const span = async (room: string) => {
  const [row] = await kit.query<{ n: number; first: number; last: number }>(
    'SELECT count(*)::int AS n, min(seq)::int AS first, max(seq)::int AS last FROM room_entries WHERE room = $1',
    [room],
  );
  return [row?.n, row?.first, row?.last];
};

test('a room keeps its newest, its numbers go on, and other rooms keep all of theirs', async () => {
  await say(130);
  await say(20, { userId: 'bob' });
  await prune();
  expect(await span(user)).toEqual([100, 31, 130]);
  expect(await span(roomKey(userRoom('bob')))).toEqual([20, 1, 20]);
  expect(await kit.count('notifications')).toBe(120);
  await say(1);
  expect(await span(user)).toEqual([101, 31, 131]);
  await prune();
  expect(await span(user)).toEqual([100, 32, 131]);
});

test('a room keeps exactly what it may have', async () => {
  await say(keep);
  await prune();
  expect(await span(user)).toEqual([100, 1, 100]);
});

test('what a room loses goes from its request’s room too, and that goes with its last', async () => {
  await say(30, { requestId: 'first' });
  await say(10, { requestId: 'second' });
  await say(95);
  await prune();
  expect(await span(roomKey(requestRoom('ada', 'first')))).toEqual([0, null, null]);
  expect(await span(roomKey(requestRoom('ada', 'second')))).toEqual([5, 6, 10]);
  const rooms = await kit.query<{ key: string }>('SELECT key FROM rooms ORDER BY key');
  expect(rooms.map(({ key }) => key)).toEqual([roomKey(requestRoom('ada', 'second')), user].toSorted());
});

test('a long excess goes in batches, and a sweep comes past many rooms', async () => {
  await fill(1, 1_700);
  await kit.query(
    `INSERT INTO rooms (key, epoch, "lastSeq") SELECT 'r:ada:' || n, gen_random_uuid(), 3 FROM generate_series(1, 1500) n`,
  );
  expect(await prune()).toBeGreaterThan(4);
  expect(await span(user)).toEqual([100, 1_601, 1_700]);
  expect(await kit.count('notifications')).toBe(100);
});

test('a batch takes no lock that numbering, reading or marking waits for, and waits for none', async () => {
  await fill(1, 150);
  const [held] = await kit.query<{ id: string }>(
    'SELECT "notificationId" AS id FROM room_entries WHERE room = $1 AND seq = 3',
    [user],
  );
  const holdOne = 'UPDATE notifications SET "seenAt" = now() WHERE id = $1';
  await kit.whileOpen(holdOne, [held?.id], async () => {
    await prune();
    expect(await span(user)).toEqual([101, 3, 150]);
  });
  const pruned = Promise.withResolvers<void>();
  const commit = Promise.withResolvers<void>();
  await fill(151, 160);
  const pruning = kit.database.sql.transaction().execute(async (tx) => {
    await pruneRooms(tx, keep);
    pruned.resolve();
    await commit.promise;
  });
  await pruned.promise;
  // Would wait for the end of the other transaction, and that for it.
  await say(1);
  commit.resolve();
  await pruning;
  expect(await span(user)).toEqual([101, 61, 161]);
});

test('entries whose notification is gone already do not hold up a batch', async () => {
  await fill(1, 700);
  await kit.query('DELETE FROM notifications WHERE id IN (SELECT "notificationId" FROM room_entries WHERE seq <= 550)');
  await prune();
  expect(await span(user)).toEqual([100, 601, 700]);
});

test('a reader from before what is left is told to start anew; one that has it goes on', async () => {
  await say(130);
  await prune();
  const stage = new RealtimeStage(kit.url);
  await stage.start('local');
  try {
    const client = await stage.connect('ada');
    const { epoch } = await client.subscribe({ room: 'user_ada' });
    const since = async (seq: number) => {
      const { recovered, notifications } = await client.subscribe({ room: 'user_ada', since: { epoch, seq } });
      return [recovered, notifications.length];
    };
    expect([await since(0), await since(29), await since(30), await since(130)]).toEqual([
      [false, 0],
      [false, 0],
      [true, 100],
      [true, 0],
    ]);
  } finally {
    await stage.close();
  }
});
