import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { RealtimeStage } from '../../test/support/realtime.js';
import { dayMs, RetentionKit } from '../../test/support/retention.js';
import { NotificationLog } from '../realtime/log/postgres-log.js';
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
const firstRoom = roomKey(requestRoom('ada', 'first'));
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

test('what a room loses goes from its request’s room too, whose row stays and counts on', async () => {
  await say(30, { requestId: 'first' });
  await say(10, { requestId: 'second' });
  await say(95);
  await prune();
  expect(await span(firstRoom)).toEqual([0, null, null]);
  expect(await span(roomKey(requestRoom('ada', 'second')))).toEqual([5, 6, 10]);
  const headOf = async () => {
    const [row] = await kit.query('SELECT epoch, "lastSeq"::int AS seq FROM rooms WHERE key = $1', [firstRoom]);
    return row;
  };
  const before = await headOf();
  expect(before).toMatchObject({ seq: 30 });
  await say(1, { requestId: 'first' });
  expect(await headOf()).toEqual({ ...before, seq: 31 });
});

test('a request’s room that was emptied goes once notifications of its time would have gone, and not while it is in use', async () => {
  const requests = ['idle', 'young', 'unfinished', 'spoken'];
  for (const requestId of requests) await say(1, { requestId });
  await say(keep);
  await prune();
  const left = async () => {
    const rows = await kit.query<{ key: string }>(`SELECT key FROM rooms WHERE key LIKE 'r:%' ORDER BY key`);
    return rows.map(({ key }) => key.replace('r:ada:', ''));
  };
  expect(await left()).toEqual(requests.toSorted());
  const isAged = `UPDATE rooms SET "emptiedAt" = now() - $1::int * interval '1 day' WHERE key LIKE 'r:%' AND key <> $2`;
  await kit.query(isAged, [31, roomKey(requestRoom('ada', 'young'))]);
  await kit.query(`UPDATE rooms SET "emptiedAt" = now() - interval '29 days' WHERE key = $1`, [
    roomKey(requestRoom('ada', 'young')),
  ]);
  await kit.addJob({ state: 'running' });
  await kit.query(`UPDATE jobs SET "requestId" = 'unfinished', "finishedAt" = NULL`);
  await say(1, { requestId: 'spoken' });
  await kit.prune();
  expect(await left()).toEqual(['spoken', 'unfinished', 'young']);
  // Whatever stays is looked at again after as long, and holds up no other.
  const due = await kit.query(`SELECT FROM rooms WHERE "emptiedAt" < now() - interval '30 days'`);
  expect(due).toHaveLength(0);
});

test('who looked at a request before it said anything is never told that nothing was said', async () => {
  const stage = new RealtimeStage(kit.url);
  await stage.start('local', { notificationsLastMs: 30 * dayMs });
  try {
    const client = await stage.connect('ada');
    const { epoch, seq, at } = await client.subscribe({ room: 'request_first' });
    expect([epoch, seq]).toEqual([null, 0]);
    await say(3, { requestId: 'first' });
    await say(keep);
    await prune();
    const answer = await client.subscribe({ room: 'request_first', since: { epoch: null, seq: 0, at } });
    expect(answer).toMatchObject({ recovered: false, reset: 'too_old', seq: 3, notifications: [] });
    const aged = `UPDATE rooms SET "emptiedAt" = now() - interval '31 days' WHERE "emptiedAt" IS NOT NULL`;
    expect(await kit.query(`${aged} RETURNING key`)).toHaveLength(1);
    await kit.prune();
    const looked = new Date(Date.now() - 31 * dayMs).toISOString();
    const later = await client.subscribe({ room: 'request_first', since: { epoch: null, seq: 0, at: looked } });
    expect(later).toMatchObject({ recovered: false, reset: 'too_old', epoch: null });
  } finally {
    await stage.close();
  }
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

test('a batch of which all is held by others is left for the next round', async () => {
  await fill(1, 600);
  await kit.whileOpen('SELECT FROM notifications WHERE type = $1 FOR UPDATE', ['t'], async () => {
    const once = await kit.database.sql.transaction().execute((tx) => pruneRooms(tx, keep));
    expect([once.cursor, await span(user)]).toEqual([user, [600, 1, 600]]);
  });
  await prune();
  expect(await span(user)).toEqual([100, 501, 600]);
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
