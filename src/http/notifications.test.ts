import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { startApi, type TestApi } from '../../test/support/api.js';
import type { NotificationPage, StoredNotification } from '../client/types.js';
import { newId } from '../platform/ids.js';
import type { NotificationPage as Listed } from '../realtime/log/notification-queries.js';
import { NotificationLog } from '../realtime/log/postgres-log.js';
import { roomKey, userRoom } from '../realtime/rooms.js';

let api: TestApi;
let log: NotificationLog;
beforeAll(async () => {
  api = await startApi();
  log = new NotificationLog(api.deps.database);
});
afterAll(() => api.close());

let users = 0;
let user: string;
beforeEach(() => {
  user = `user-${++users}`;
});

const say = (n: number, more: { readonly requestId?: string; readonly eventId?: string } = {}) =>
  log.append({ type: 'test.said', status: 'success', data: { n }, userId: user, ...more });

async function sayMany(count: number, requestId?: string): Promise<void> {
  for (let n = 1; n <= count; n++) await say(n, requestId === undefined ? {} : { requestId });
}

const list = async (query = '', as = user) => {
  const response = await api.call(`/v1/notifications${query}`, { user: as });
  expect(response.status).toBe(200);
  return (await response.json()) as NotificationPage;
};
const seqs = ({ items }: NotificationPage) => items.map(({ seq }) => seq);
const markSeen = async (json: unknown) => {
  const response = await api.call('/v1/notifications/seen', { user, json });
  return { status: response.status, ...((await response.json()) as { seen: number; unread: number; code?: string }) };
};
const seenOf = ({ items }: NotificationPage) => items.filter(({ seenAt }) => seenAt !== null).map(({ seq }) => seq);
const refusal = async (path: string) => {
  const response = await api.call(path, { user });
  return [response.status, ((await response.json()) as { code: string }).code];
};

/** The public face and what is answered are one shape. */
const isPublicFace = (page: Listed): NotificationPage => page;

describe('GET /v1/notifications', () => {
  test('gives the newest first, page by page, with the head of the room and what is unread', async () => {
    await sayMany(5);
    const first = await list('?limit=2');
    expect([seqs(first), first.next, first.unread]).toEqual([[5, 4], 4, 5]);
    expect(first.head).toEqual({ room: `user_${user}`, epoch: expect.any(String) as unknown, seq: 5 });
    expect(first.items[0]).toMatchObject({
      ...{ type: 'test.said', status: 'success', data: { n: 5 }, room: `user_${user}`, epoch: first.head.epoch },
      ...{ deliveredAt: null, seenAt: null },
    });
    const second = await list(`?limit=2&before=${first.next}`);
    const third = await list(`?limit=2&before=${second.next}`);
    expect([seqs(second), seqs(third), third.next]).toEqual([[3, 2], [1], null]);
  });

  test('gives the oldest first after a number, so that a client can rebuild from there', async () => {
    await sayMany(5);
    const first = await list('?after=0&limit=3');
    expect([seqs(first), first.next]).toEqual([[1, 2, 3], 3]);
    const rest = await list(`?after=${first.next}&limit=3`);
    expect([seqs(rest), rest.next]).toEqual([[4, 5], null]);
    expect(seqs(await list('?after=5'))).toEqual([]);
  });

  test('an empty room has a head of nothing', async () => {
    expect(await list()).toEqual({
      items: [],
      head: { room: `user_${user}`, epoch: null, seq: 0 },
      unread: 0,
      next: null,
    });
  });

  test('a request’s room is its user’s own: the same name of another user is another room', async () => {
    await sayMany(2, 'req-1');
    expect(seqs(await list('?room=request_req-1'))).toEqual([2, 1]);
    expect(seqs(await list('?room=request_req-1', 'mallory'))).toEqual([]);
  });

  test('unread lists what was not seen, and no more than is counted', async () => {
    await sayMany(4);
    await markSeen({ upTo: 2 });
    await markSeen({ ids: [(await list()).items[0]?.id] });
    expect(seqs(await list('?unread=true'))).toEqual([3]);
    expect(seqs(await list('?unread=true&after=0'))).toEqual([3]);
    expect((await list()).unread).toBe(1);
  });

  test('what is older than the newest 1,000 of a room is not counted as unread', async () => {
    const key = roomKey(userRoom(user));
    await say(0);
    await api.deps.database.pool.query(
      `WITH made AS (
         INSERT INTO notifications (id, type, "userId", status, data)
         SELECT gen_random_uuid(), 't', $1, 'success', '{}' FROM generate_series(2, 1200) RETURNING id
       ), entries AS (INSERT INTO room_entries SELECT $2, 1 + row_number() OVER (), id FROM made)
       UPDATE rooms SET "lastSeq" = 1200 WHERE key = $2`,
      [user, key],
    );
    const page = await list('?unread=true&after=0&limit=1');
    expect([page.unread, seqs(page)]).toEqual([1_000, [201]]);
  });

  test.each([
    ['?room=user_somebody', 403, 'forbidden'],
    ['?room=everyone', 400, 'validation_failed'],
    ['?room=request_a%20b', 400, 'validation_failed'],
    ['?after=1&before=3', 400, 'validation_failed'],
    ['?after=-1', 400, 'validation_failed'],
    ['?limit=101', 400, 'validation_failed'],
    ['?unread=maybe', 400, 'validation_failed'],
  ])('%s is refused', async (query, status, code) => {
    expect(await refusal(`/v1/notifications${query}`)).toEqual([status, code]);
  });

  test('the answer is what the client’s types say', async () => {
    await sayMany(1);
    const page = isPublicFace(await api.deps.notifications.list(userRoom(user), { limit: 1, unread: false }));
    const [item] = page.items satisfies readonly StoredNotification[];
    expect(item).toEqual((await list()).items[0]);
  });
});

describe('POST /v1/notifications/seen', () => {
  test('marks one’s own by id; said again it changes nothing, and the first time stays', async () => {
    await sayMany(3);
    const ids = (await list()).items.slice(0, 2).map(({ id }) => id);
    expect(await markSeen({ ids })).toEqual({ status: 200, seen: 2, unread: 1 });
    const before = (await list()).items;
    expect(await markSeen({ ids: [...ids, ...ids] })).toEqual({ status: 200, seen: 0, unread: 1 });
    expect((await list()).items).toEqual(before);
  });

  test('what was seen was delivered; a delivery that was known keeps its time', async () => {
    await sayMany(2);
    const { pool } = api.deps.database;
    await pool.query(
      `UPDATE notifications SET "deliveredAt" = '2020-01-01T00:00:00Z' WHERE "userId" = $1 AND data = '{"n": 1}'`,
      [user],
    );
    await markSeen({ upTo: 2 });
    const { items } = await list('?after=0');
    expect(items[0]?.deliveredAt).toBe('2020-01-01T00:00:00.000Z');
    expect(items[1]?.deliveredAt).toBe(items[1]?.seenAt);
    expect(items[1]?.seenAt).not.toBeNull();
  });

  test('marks a room up to a number, in stretches, and nothing after it', async () => {
    await sayMany(3, 'req-2');
    expect(await markSeen({ room: 'request_req-2', upTo: 2 })).toEqual({ status: 200, seen: 2, unread: 1 });
    // A notification is one in all of its rooms.
    expect(seenOf(await list())).toEqual([2, 1]);
    expect(await markSeen({ upTo: 1_000_000 })).toEqual({ status: 200, seen: 1, unread: 0 });
    const key = roomKey(userRoom(user));
    await api.deps.database.pool.query(
      `WITH made AS (
         INSERT INTO notifications (id, type, "userId", status, data)
         SELECT gen_random_uuid(), 't', $1, 'success', '{}' FROM generate_series(4, 2600) RETURNING id
       ), entries AS (INSERT INTO room_entries SELECT $2, 3 + row_number() OVER (), id FROM made)
       UPDATE rooms SET "lastSeq" = 2600 WHERE key = $2`,
      [user, key],
    );
    expect(await markSeen({ upTo: 2_599 })).toEqual({ status: 200, seen: 2_596, unread: 1 });
  });

  test('nothing of another user is marked, by id or by room', async () => {
    await sayMany(1);
    const ids = (await list()).items.map(({ id }) => id);
    const asMallory = (json: unknown) => api.call('/v1/notifications/seen', { user: 'mallory', json });
    expect(await (await asMallory({ ids })).json()).toEqual({ seen: 0, unread: 0 });
    expect((await asMallory({ room: `user_${user}`, upTo: 9 })).status).toBe(403);
    expect(seenOf(await list())).toEqual([]);
  });

  test('two calls at once mark each notification once', async () => {
    await sayMany(20);
    const ids = (await list()).items.map(({ id }) => id);
    const calls = await Promise.all([markSeen({ ids }), markSeen({ upTo: 20 }), markSeen({ ids: ids.toReversed() })]);
    expect(calls.reduce((sum, { seen }) => sum + seen, 0)).toBe(20);
  });

  test.each<[string, unknown]>([
    ['nothing', {}],
    ['no ids', { ids: [] }],
    ['what is no id', { ids: ['x'] }],
    ['more than 500 ids', { ids: Array.from({ length: 501 }, newId) }],
    ['a number below zero', { upTo: -1 }],
    ['a member too many', { upTo: 1, more: true }],
    ['a list', []],
  ])('%s is refused', async (_name, json) => {
    expect(await markSeen(json)).toMatchObject({ status: 400, code: 'validation_failed' });
  });
});

describe('the causation view', () => {
  const accept = async (requestId: string, more = {}) => {
    const json = { type: 'note.creation.requested', requestId, data: { title: 't', content: 'c' }, ...more };
    const response = await api.call('/v1/events', { user, json });
    return ((await response.json()) as { eventId: string }).eventId;
  };

  test('shows what each event told its user, and what became of that', async () => {
    const eventId = await accept('story');
    const child = await accept('story', { causationId: eventId });
    await say(1, { requestId: 'story', eventId });
    await say(2, { requestId: 'story', eventId: child });
    await say(3, { requestId: 'story', eventId });
    await markSeen({ upTo: 1 });
    const stored = (await list('?after=0')).items;
    const shown = [0, 2].map((index) => {
      const { id, type, status, timestamp, deliveredAt, seenAt } = stored[index] as StoredNotification;
      return { id, type, status, timestamp, deliveredAt, seenAt };
    });
    const read = async (path: string) => (await api.call(path, { user })).json() as Promise<Record<string, unknown>>;
    expect(await read(`/v1/events/${eventId}`)).toMatchObject({ id: eventId, notifications: shown });
    expect(shown.map(({ seenAt }) => seenAt === null)).toEqual([false, true]);
    const both = (await read('/v1/events?correlationId=story'))['items'] as { id: string; notifications: unknown[] }[];
    expect(both.map(({ id, notifications }) => [id, notifications.length])).toEqual([
      [eventId, 2],
      [child, 1],
    ]);
    const below = (await read(`/v1/events/${eventId}/descendants`))['items'] as typeof both;
    expect(below.map(({ id, notifications }) => [id, notifications.length])).toEqual([[child, 1]]);
  });

  test('an event that has said nothing shows an empty list', async () => {
    const eventId = await accept('quiet');
    expect(await (await api.call(`/v1/events/${eventId}`, { user })).json()).toMatchObject({ notifications: [] });
  });
});
