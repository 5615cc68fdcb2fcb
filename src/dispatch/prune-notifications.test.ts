import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { v7 } from 'uuid';
import { RealtimeStage } from '../../test/support/realtime.js';
import { dayMs, RetentionKit } from '../../test/support/retention.js';
import { armFault } from '../platform/fault-points.js';
import { newId } from '../platform/ids.js';
import { NotificationLog } from '../realtime/log/postgres-log.js';
import { requestRoom, roomKey, userRoom } from '../realtime/rooms.js';
import { pruneNotifications } from './prune-notifications.js';

let kit: RetentionKit;
beforeEach(async () => {
  kit = await RetentionKit.start();
});
afterEach(async () => {
  armFault(undefined);
  await kit.end();
});

const user = roomKey(userRoom('ada'));
const request = roomKey(requestRoom('ada', 'req'));

/** So many notifications of Ada's request, of which the first `old` were made 31 days ago. */
async function say(total: number, old: number, requestId = 'req'): Promise<void> {
  const log = new NotificationLog(kit.database);
  for (let n = 1; n <= total; n++) {
    await log.append({ type: 'test.said', status: 'success', data: { n }, userId: 'ada', requestId });
    const fresh = v7({ msecs: Date.now() - 31 * dayMs + n });
    if (n <= old)
      await kit.query(
        `WITH made AS (SELECT id FROM notifications ORDER BY id DESC LIMIT 1),
              renamed AS (UPDATE room_entries SET "notificationId" = $1 WHERE "notificationId" = (SELECT id FROM made))
         UPDATE notifications SET id = $1 WHERE id = (SELECT id FROM made)`,
        [fresh],
      );
  }
}

const entriesOf = async (room: string) =>
  (await kit.query<{ seq: string }>('SELECT seq FROM room_entries WHERE room = $1 ORDER BY seq', [room])).map(
    ({ seq }) => Number(seq),
  );
const roomsNow = async () =>
  (await kit.query<{ key: string; lastSeq: string }>('SELECT key, "lastSeq" FROM rooms ORDER BY key')).map((row) => [
    row.key,
    Number(row.lastSeq),
  ]);

test('notifications past their age go with their entries; a room that has some left goes on with its numbers', async () => {
  await say(5, 3);
  await kit.prune();
  expect(await kit.count('notifications')).toBe(2);
  expect(await entriesOf(user)).toEqual([4, 5]);
  expect(await entriesOf(request)).toEqual([4, 5]);
  expect(await roomsNow()).toEqual([
    [request, 5],
    [user, 5],
  ]);
});

test('notifications of a whole request go with its room; its user’s room keeps its row, so that its numbers go on', async () => {
  await say(3, 3);
  await kit.prune();
  expect(await kit.count('notifications')).toBe(0);
  expect(await kit.count('room_entries')).toBe(0);
  expect(await roomsNow()).toEqual([[user, 3]]);
  await say(1, 0);
  expect(await roomsNow()).toEqual([
    [request, 1],
    [user, 4],
  ]);
});

test('notifications in batches leave nothing behind', async () => {
  const made = 620;
  await kit.query(
    `INSERT INTO notifications (id, type, "userId", "requestId", status, data)
     SELECT ('01000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 't', 'ada', 'req', 'success', '{}' FROM generate_series(1, ${made}) n`,
  );
  // As with many processes: an entry stands up to ten places from where its notification's id says.
  await kit.query(
    `INSERT INTO room_entries SELECT room, row_number() OVER (PARTITION BY room ORDER BY n + (n * 7) % 11), id FROM (
       SELECT r.room, n.id, row_number() OVER (PARTITION BY r.room ORDER BY n.id) AS n FROM notifications n, unnest($1::text[]) AS r(room)) x`,
    [[user, request]],
  );
  await kit.query(
    `INSERT INTO rooms (key, epoch, "lastSeq") SELECT r, gen_random_uuid(), ${made} FROM unnest($1::text[]) r`,
    [[user, request]],
  );
  expect(await kit.prune()).toBe(2);
  expect(await kit.count('room_entries')).toBe(0);
  expect(await roomsNow()).toEqual([[user, made]]);
});

test('notifications of a request that has not ended leave its room, because it will be numbered into', async () => {
  await say(2, 2);
  await kit.addJob({ state: 'running' });
  await kit.prune();
  expect(await entriesOf(request)).toEqual([]);
  expect(await roomsNow()).toContainEqual([request, 2]);
});

test('notifications go although a statement holds the rooms, which stay then with what it adds', async () => {
  await say(2, 2);
  const number = `WITH heads AS (UPDATE rooms SET "lastSeq" = "lastSeq" + 1 RETURNING key, "lastSeq")
    INSERT INTO room_entries SELECT key, "lastSeq", $1 FROM heads`;
  await kit.whileOpen(number, [newId()], async () => {
    await kit.prune();
    expect(await kit.count('notifications')).toBe(0);
  });
  expect(await roomsNow()).toContainEqual([request, 3]);
  expect(await entriesOf(request)).toEqual([3]);
});

test('notifications whose room is being deleted do not get in the way of a new one: it waits a moment and starts another epoch', async () => {
  await say(2, 2);
  const epochs = async () =>
    (await kit.query<{ epoch: string }>('SELECT epoch FROM rooms WHERE key = $1', [request])).map(({ epoch }) => epoch);
  const [before] = await epochs();
  const deleted = Promise.withResolvers<void>();
  const commit = Promise.withResolvers<void>();
  const retention = kit.database.sql.transaction().execute(async (tx) => {
    await pruneNotifications(tx, new Date(Date.now() - 30 * dayMs));
    deleted.resolve();
    await commit.promise;
  });
  await deleted.promise;
  const saying = say(1, 0);
  commit.resolve();
  await Promise.all([retention, saying]);
  expect(await roomsNow()).toEqual([
    [request, 1],
    [user, 3],
  ]);
  expect(await entriesOf(request)).toEqual([1]);
  const [after] = await epochs();
  expect(after).not.toBe(before);
});

test('notifications go whole or not at all where the process ends in the middle', async () => {
  await say(3, 3);
  armFault({ point: 'retention.deleted', action: 'throw', nth: 1 });
  await kit.retention().runOnce();
  expect(await kit.count('notifications')).toBe(3);
  expect(await kit.count('room_entries')).toBe(6);
  await kit.prune();
  expect(await kit.count('notifications')).toBe(0);
  expect(await kit.count('room_entries')).toBe(0);
});

test('a reader whose room lost what it had not seen is told to start anew; one that had seen it goes on', async () => {
  await say(5, 3);
  await kit.prune();
  const stage = new RealtimeStage(kit.url);
  await stage.start('local');
  try {
    const client = await stage.connect('ada');
    for (const room of ['user_ada', 'request_req']) {
      const { epoch } = await client.subscribe({ room });
      const answers = [];
      for (const seq of [0, 2, 3, 5]) answers.push(await client.subscribe({ room, since: { epoch, seq } }));
      answers.push(await client.subscribe({ room, since: { epoch: null, seq: 0 } }));
      expect(answers.map(({ recovered, notifications }) => [recovered, notifications.map(({ seq }) => seq)])).toEqual([
        [false, []],
        [false, []],
        [true, [4, 5]],
        [true, []],
        [false, []],
      ]);
    }
  } finally {
    await stage.close();
  }
});

test('a reader of a room of which nothing is left is told to start anew, also where a request’s room has been made again', async () => {
  await say(3, 3);
  const stage = new RealtimeStage(kit.url);
  await stage.start('local');
  try {
    const client = await stage.connect('ada');
    const room = 'request_req';
    const { epoch } = await client.subscribe({ room });
    const own = await client.subscribe({ room: 'user_ada' });
    await kit.prune();
    const since = { epoch, seq: 1 };
    expect(await client.subscribe({ room: 'user_ada', since: { epoch: own.epoch, seq: 1 } })).toMatchObject({
      epoch: own.epoch,
      seq: 3,
      recovered: false,
    });
    expect(await client.subscribe({ room, since })).toMatchObject({ epoch: null, seq: 0, recovered: false });
    await stage.say('ada', 1, 'req');
    const heard = await client.heard.first((notification) => notification.room === room, 'the new epoch');
    expect([heard.seq, heard.epoch === epoch]).toEqual([1, false]);
    expect(await client.subscribe({ room, since })).toMatchObject({ seq: 1, recovered: false, notifications: [] });
  } finally {
    await stage.close();
  }
});
