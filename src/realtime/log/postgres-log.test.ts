import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createTestDatabase, type TestDatabase } from '../../../test/support/database.js';
import { silent } from '../../../test/support/realtime.js';
import { createDatabase, type Database } from '../../platform/database.js';
import type { Json } from '../../platform/text.js';
import { NotificationLog } from './postgres-log.js';
import { requestRoom, roomKey, userRoom } from '../rooms.js';

let testDatabase: TestDatabase;
let database: Database;
let log: NotificationLog;

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  const { url } = testDatabase;
  database = createDatabase(
    url,
    { url, poolMin: 0, poolMax: 10, idleTimeoutMs: 10_000, queryTimeoutMs: 10_000 },
    silent,
  );
  log = new NotificationLog(database);
});
afterAll(async () => {
  await database.close();
  await testDatabase.drop();
});

const draft = (userId: string, requestId?: string) => ({
  type: 'test.thing.done',
  status: 'success' as const,
  data: { userId },
  userId,
  ...(requestId !== undefined && { requestId }),
});
const sequence = (length: number) => Array.from({ length }, (_, index) => index + 1);

test('a notification is stored once and numbered in each of its rooms', async () => {
  await log.append(draft('once', 'r-0'));
  const entries = await log.append(draft('once', 'r-1'));
  expect(entries.map(({ room, seq }) => [room, seq])).toEqual([
    [roomKey(requestRoom('once', 'r-1')), 1],
    [roomKey(userRoom('once')), 2],
  ]);
  expect(new Set(entries.map(({ notification }) => notification)).size).toBe(1);
  const { rows } = await testDatabase.pool.query(`SELECT 1 FROM notifications WHERE "userId" = 'once'`);
  expect(rows).toHaveLength(2);
});

test('under concurrent appends, with marks and readers between them, every room’s seq has no gap and no repeat', async () => {
  // Several logs, as several processes have them, and rooms that overlap in every order.
  const logs = sequence(3).map(() => new NotificationLog(database));
  const users = ['crowd-a', 'crowd-b', 'crowd-c', 'crowd-d'];
  const entries = await Promise.all(
    sequence(400).map(async (n) => {
      const one = logs[n % 3] as NotificationLog;
      const committed = await one.append(draft(users[n % 4] as string, `r-${n % 7}`));
      await one.advance(committed.toReversed());
      return committed;
    }),
  );
  const rooms = Map.groupBy(entries.flat(), ({ room }) => room);
  expect(rooms.size).toBe(4 + 4 * 7);
  for (const [room, group] of rooms) {
    expect(group.map(({ seq }) => seq).toSorted((a, b) => a - b)).toEqual(sequence(group.length));
    const head = (await log.heads([room])).get(room);
    expect(head).toEqual({ epoch: group[0]?.epoch, seq: group.length });
  }
});

test('one value that Postgres cannot store fails its own append and no other of the batch', async () => {
  const results = await Promise.allSettled([
    log.append(draft('good-1')),
    log.append({ ...draft('bad'), data: 'a\u0000b' }),
    log.append(draft('good-2')),
  ]);
  expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
});

test('many replays share statements and each gets its own answer', async () => {
  for (const n of sequence(5))
    for (const user of ['many-1', 'many-2']) await log.append({ ...draft(user), data: { n } });
  const rooms = {
    one: roomKey(userRoom('many-1')),
    two: roomKey(userRoom('many-2')),
    none: roomKey(userRoom('nobody')),
  };
  const pages = await Promise.all([
    log.replay({ room: rooms.one, epoch: undefined, after: 0 }),
    log.replay({ room: rooms.none, epoch: undefined, after: 0 }),
    log.replay({ room: rooms.two, epoch: undefined, after: 3 }),
    log.replay({ room: rooms.two, epoch: undefined, after: 5 }),
    log.replay({ room: rooms.two, epoch: '0190a000-0000-7000-8000-000000000001', after: 0 }),
  ]);
  expect(pages.map((page) => page && [page.lastSeq, page.entries.map(({ seq }) => seq)])).toEqual([
    [5, [1, 2, 3, 4, 5]],
    undefined,
    [5, [4, 5]],
    [5, []],
    [5, []],
  ]);
});

describe('a page of a room', () => {
  const pageFrom = async (userId: string, after: number) => {
    const page = await log.replay({ room: roomKey(userRoom(userId)), epoch: undefined, after });
    return { lastSeq: page?.lastSeq, seqs: page?.entries.map(({ seq }) => seq) };
  };
  const say = async (userId: string, count: number, data: Json) => {
    for (let n = 0; n < count; n++) await log.append({ ...draft(userId), data });
  };

  test('has no more bytes than a page may, however small Postgres keeps them', async () => {
    // Postgres compresses it to a hundredth, and does not compress what is of chance.
    const chance = randomBytes(150_000).toString('base64');
    for (const [userId, text] of Object.entries({ compressible: 'x'.repeat(200_000), incompressible: chance })) {
      await say(userId, 8, { text });
      expect(await pageFrom(userId, 0)).toEqual({ lastSeq: 8, seqs: [1, 2, 3, 4, 5] });
      expect(await pageFrom(userId, 5)).toEqual({ lastSeq: 8, seqs: [6, 7, 8] });
    }
  });

  test('has one entry at least, and bytes are those that are sent', async () => {
    // Two bytes a character: 1.2 MB each.
    await say('huge', 3, 'é'.repeat(600_000));
    expect(await pageFrom('huge', 0)).toEqual({ lastSeq: 3, seqs: [1] });
    expect(await pageFrom('huge', 1)).toEqual({ lastSeq: 3, seqs: [2] });
  });

  test('has 256 entries at most', async () => {
    await say('long', 260, {});
    expect(await pageFrom('long', 0)).toEqual({ lastSeq: 260, seqs: sequence(256) });
    expect(await pageFrom('long', 256)).toEqual({ lastSeq: 260, seqs: [257, 258, 259, 260] });
  });

  test('has the entries as they were stored', async () => {
    const error = { code: 'failed', message: 'no' };
    const eventId = '0190a000-0000-7000-8000-000000000001';
    for (const data of [null, 'text', 1.5, [1, { a: null }], { deep: { é: '\u2028' } }] as const) {
      const [entry] = await log.append({ ...draft('whole', 'r-1'), data, error, eventId });
      const page = await log.replay({ room: entry!.room, epoch: entry!.epoch, after: entry!.seq - 1 });
      expect(page?.entries).toEqual([entry]);
    }
  });

  test('passes over a hole that retention has left', async () => {
    await say('holed', 4, {});
    await testDatabase.pool.query(
      `DELETE FROM notifications WHERE id IN (SELECT "notificationId" FROM room_entries WHERE room = $1 AND seq = 2)`,
      [roomKey(userRoom('holed'))],
    );
    expect(await pageFrom('holed', 0)).toEqual({ lastSeq: 4, seqs: [1, 3, 4] });
  });
});

test('what is unpublished starts after the mark of the room, or what the publisher knows where that is more', async () => {
  const appended = [];
  for (const n of sequence(6)) appended.push(...(await log.append({ ...draft('marked'), data: { n } })));
  const [{ room, epoch } = { room: '', epoch: '' }] = appended;
  await log.advance([{ room, epoch, seq: 2 }]);
  const seqsWith = async (known?: { epoch: string; seq: number }) =>
    (await log.unpublished([{ room, known }])).flatMap(({ entries }) => entries.map(({ seq }) => seq));
  expect(await seqsWith()).toEqual([3, 4, 5, 6]);
  expect(await seqsWith({ epoch, seq: 4 })).toEqual([5, 6]);
  expect(await seqsWith({ epoch, seq: 1 })).toEqual([3, 4, 5, 6]);
  expect(await seqsWith({ epoch: '0190a000-0000-7000-8000-000000000001', seq: 5 })).toEqual([3, 4, 5, 6]);
});

describe('what is unpublished is read within bounds', () => {
  const say = async (userId: string, count: number) => {
    for (let n = 0; n < count; n++) await log.append({ ...draft(userId), data: 'x'.repeat(200_000) });
    return { room: roomKey(userRoom(userId)) };
  };

  test('of one room', async () => {
    const want = await say('bulky', 7);
    const [page] = await log.unpublished([want]);
    expect([page?.lastSeq, page?.entries.map(({ seq }) => seq)]).toEqual([7, [1, 2, 3, 4, 5]]);
    const [next] = await log.unpublished([{ ...want, known: { epoch: page!.epoch, seq: 5 } }]);
    expect(next?.entries.map(({ seq }) => seq)).toEqual([6, 7]);
  });

  test('of many rooms together, and of each there is one at least', async () => {
    const [two, many] = [sequence(2), sequence(50)];
    const wants = await Promise.all(many.map((n) => say(`crowded-${n}`, 2)));
    const counts = (await log.unpublished(wants)).map(({ entries }) => entries.length);
    expect(counts).toEqual(many.map(() => 1));
    const few = (await log.unpublished(wants.slice(0, 2))).map(({ entries }) => entries.map(({ seq }) => seq));
    expect(few).toEqual([two, two]);
  });
});

test('a mark does not wait for a transaction that numbers the room', async () => {
  const [entry] = await log.append(draft('held'));
  const client = await testDatabase.pool.connect();
  await client.query('BEGIN');
  await client.query(`UPDATE rooms SET "lastSeq" = "lastSeq" WHERE key = $1`, [entry?.room]);
  await log.advance([{ room: entry?.room ?? '', epoch: entry?.epoch ?? '', seq: 1 }]);
  await client.query('ROLLBACK');
  client.release();
  expect((await log.unpublished([{ room: entry?.room ?? '' }]))[0]?.entries).toHaveLength(1);
});
