import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { Redis } from 'ioredis';
import { createTestDatabase, type TestDatabase } from '../../../test/support/database.js';
import { ageLife } from '../../../test/support/redis.js';
import { RealtimeStage, userNames } from '../../../test/support/realtime.js';
import { createRedisPrefix, redisUrl } from '../../../test/support/redis.js';
import type { SubscribeRequest } from '../contract.js';
import type { CommittedEntry } from '../publishing/publisher.js';
import { roomKey, userRoom } from '../rooms.js';

const day = 86_400_000;

let database: TestDatabase;
let stage: RealtimeStage;
let redis: Redis;
beforeAll(async () => {
  database = await createTestDatabase();
  stage = new RealtimeStage(database.url);
  redis = new Redis(redisUrl());
});
afterAll(async () => {
  redis.disconnect();
  await database.drop();
});

const newUser = userNames('reader');

describe.each(['redis', 'local'] as const)('coming back, %s', (mode) => {
  let prefix: string;
  beforeEach(async () => {
    prefix = createRedisPrefix();
    if (mode === 'redis') await ageLife(redis, prefix);
    await stage.start(mode, { prefix, notificationsLastMs: 30 * day });
  });
  afterEach(() => stage.close());

  /** Says `count` things, and waits until they are out. @returns the entries of the user's room */
  async function say(userId: string, count: number, size = 0): Promise<CommittedEntry[]> {
    const entries: CommittedEntry[] = [];
    for (let n = 1; n <= count; n++) {
      const data = { n, text: 'x'.repeat(size) };
      const added = await stage.node.log.append({ type: 'test.said', status: 'success', data, userId });
      stage.node.publisher.publish(added);
      entries.push(...added);
    }
    await stage.node.publisher.drain();
    return entries;
  }

  /** Asks as a client does. @returns the answer and the way it took */
  async function ask(userId: string, since: SubscribeRequest['since'], paged?: boolean) {
    const { realtimeRecoveries } = stage.node.metrics;
    realtimeRecoveries.reset();
    const client = await stage.connect(userId);
    const answer = await client.subscribe({ room: `user_${userId}`, since, ...(paged !== undefined && { paged }) });
    const { values } = await realtimeRecoveries.get();
    return { ...answer, path: values.find(({ value }) => value === 1)?.labels.path };
  }

  const seqsOf = ({ notifications }: { readonly notifications: readonly { readonly seq: number }[] }) =>
    notifications.map(({ seq }) => seq);

  describe('from the tail', () => {
    test('who was away for a moment gets what it missed, as Postgres has it, without asking Postgres', async () => {
      const userId = newUser();
      const [first] = await say(userId, 5);
      const hot = await ask(userId, { epoch: first!.epoch, seq: 2 });
      expect(hot).toMatchObject({ path: 'hot', recovered: true, seq: 5, epoch: first!.epoch });
      const cold = await ask(userId, { epoch: null, seq: 2 });
      expect(cold.path).toBe('cold');
      expect(hot.notifications).toEqual(cold.notifications);
      expect(seqsOf(hot)).toEqual([3, 4, 5]);
    });

    test('who has everything is told so', async () => {
      const userId = newUser();
      const [first] = await say(userId, 3);
      const answer = await ask(userId, { epoch: first!.epoch, seq: 3 });
      expect(answer).toMatchObject({ path: 'hot', recovered: true, seq: 3, notifications: [] });
    });

    test('a tail of 100 entries is enough for 100, and Postgres gives 101', async () => {
      const userId = newUser();
      const [first] = await say(userId, 120);
      const epoch = first!.epoch;
      const [hot, cold] = [await ask(userId, { epoch, seq: 20 }), await ask(userId, { epoch, seq: 19 })];
      expect([hot.path, hot.notifications.length, cold.path, cold.notifications.length]).toEqual([
        'hot',
        100,
        'cold',
        101,
      ]);
    });

    test('what is too large for the tail cuts it: nothing before it comes from there', async () => {
      const userId = newUser();
      const [first] = await say(userId, 2);
      await say(userId, 1, 9_000);
      await say(userId, 2);
      const epoch = first!.epoch;
      const [before, after] = [await ask(userId, { epoch, seq: 1 }), await ask(userId, { epoch, seq: 3 })];
      expect([before.path, seqsOf(before)]).toEqual(['cold', [2, 3, 4, 5]]);
      expect([after.path, seqsOf(after)]).toEqual(['hot', [4, 5]]);
    });

    test('a tail is bounded in bytes as well', async () => {
      const userId = newUser();
      const [first] = await say(userId, 20, 6_000);
      const [few, many] = [15, 5].map((seq) => ({ epoch: first!.epoch, seq }));
      expect((await ask(userId, few)).path).toBe('hot');
      const answer = await ask(userId, many);
      expect([answer.path, answer.notifications.length]).toEqual(['cold', 15]);
    });

    test('where Postgres says that entries are gone, the tail begins behind them', async () => {
      const userId = newUser();
      const [first] = await say(userId, 3);
      const epoch = first!.epoch;
      const room = roomKey(userRoom(userId));
      const later = await Promise.all(
        [4, 5, 6, 7].map((n) => stage.node.log.append({ type: 't', status: 'success', data: { n }, userId })),
      );
      const entries = later.flat().toSorted((a, b) => a.seq - b.seq);
      // Retention by count took 4 and 5 before they were published.
      const gone = entries.slice(0, 2).map(({ notification }) => notification.id);
      await database.pool.query('DELETE FROM notifications WHERE id = ANY($1)', [gone]);
      stage.node.publisher.publish(entries.slice(3));
      await stage.node.publisher.drain();
      const [across, after] = [await ask(userId, { epoch, seq: 3 }), await ask(userId, { epoch, seq: 5 })];
      expect(across).toMatchObject({ path: 'reset', recovered: false, reset: 'too_old', seq: 7, notifications: [] });
      expect([after.path, seqsOf(after)]).toEqual(['hot', [6, 7]]);
      expect((await stage.node.log.heads([room])).get(room)?.seq).toBe(7);
    });

    test('who is ahead of what was published is answered by Postgres', async () => {
      const userId = newUser();
      const [first] = await say(userId, 2);
      // Committed, and not yet published: its publisher is slow, another client has it from Postgres already.
      await stage.node.log.append({ type: 't', status: 'success', data: {}, userId });
      const answer = await ask(userId, { epoch: first!.epoch, seq: 3 });
      expect(answer).toMatchObject({ path: 'cold', recovered: true, seq: 3, notifications: [] });
    });

    test('the first who comes after Redis was flushed is answered by Postgres, and the next ones by the tail', async () => {
      const userId = newUser();
      const [first] = await say(userId, 3);
      if (mode === 'redis') await redis.del(await redis.keys(`${prefix}:*`));
      await say(userId, 1);
      const since = { epoch: first!.epoch, seq: 3 };
      const answers = [await ask(userId, since), await ask(userId, since)];
      expect(answers.map(seqsOf)).toEqual([[4], [4]]);
      expect(answers.map(({ path }) => path)).toEqual(mode === 'redis' ? ['cold', 'hot'] : ['hot', 'hot']);
    });

    test('while notifications keep coming, each answer and what comes live leave no gap', async () => {
      const userId = newUser();
      const client = await stage.connect(userId);
      const [first] = await say(userId, 1);
      const { epoch } = first!;
      const speaking = say(userId, 150);
      for (let has = 1, asked = 0; has < 151; asked++) {
        const fresh = await stage.connect(userId);
        const answer = await fresh.subscribe({ room: `user_${userId}`, since: { epoch, seq: has } });
        expect(seqsOf(answer)).toEqual(answer.notifications.map((_, index) => has + index + 1));
        has += answer.notifications.length;
        // The next one beyond the answer comes live: it joined before it read.
        if (has < 151) await fresh.heard.first(({ seq }) => seq > has, 'something live');
        const live = fresh.heard.items.map(({ seq }) => seq).filter((seq) => seq > has);
        expect(live).toEqual(live.map((_, index) => has + index + 1));
        fresh.socket.disconnect();
      }
      await speaking;
      await client.heard.count(151, 'notifications');
    });
  });

  describe('a reset', () => {
    const other = '0190a000-0000-7000-8000-000000000001';

    test('says that the epoch is another', async () => {
      const userId = newUser();
      await say(userId, 2);
      expect(await ask(userId, { epoch: other, seq: 1 })).toMatchObject({ recovered: false, reset: 'epoch_changed' });
    });

    test('says so too where the log is shorter than what the reader has', async () => {
      const userId = newUser();
      const [first] = await say(userId, 2);
      const answer = await ask(userId, { epoch: first!.epoch, seq: 9 });
      expect(answer).toMatchObject({ recovered: false, reset: 'epoch_changed', seq: 2 });
    });

    test('says that the room is gone', async () => {
      expect(await ask(newUser(), { epoch: other, seq: 4 })).toMatchObject({
        ...{ recovered: false, reset: 'too_old', epoch: null, seq: 0 },
      });
    });

    test('says that what was missed is not there any more', async () => {
      const userId = newUser();
      const [first] = await say(userId, 2);
      await database.pool.query('DELETE FROM notifications WHERE id = $1', [first?.notification.id]);
      for (const paged of [false, true]) {
        const answer = await ask(userId, { epoch: null, seq: 0 }, paged);
        expect(answer).toMatchObject({ recovered: false, reset: 'too_old', notifications: [] });
      }
    });

    test('says that all of it is not there any more, the last one included', async () => {
      const userId = newUser();
      const entries = await say(userId, 2);
      const ids = entries.map(({ notification }) => notification.id);
      await database.pool.query('DELETE FROM notifications WHERE id = ANY($1)', [ids]);
      for (const paged of [false, true]) {
        const answer = await ask(userId, { epoch: null, seq: 0 }, paged);
        expect(answer).toMatchObject({ recovered: false, reset: 'too_old', seq: 2, notifications: [] });
      }
    });

    test('is for who looked at an empty room longer ago than notifications are kept, and for nobody else', async () => {
      const at = (ageMs: number) => new Date(Date.now() - ageMs).toISOString();
      const [old, young] = [31 * day, 29 * day].map((age) => ({ epoch: null, seq: 0, at: at(age) }));
      expect(await ask(newUser(), old)).toMatchObject({ recovered: false, reset: 'too_old', epoch: null });
      expect(await ask(newUser(), young)).toMatchObject({ recovered: true, notifications: [], epoch: null });
      const userId = newUser();
      await say(userId, 2);
      expect(await ask(userId, old)).toMatchObject({ recovered: false, reset: 'too_old' });
      expect(seqsOf(await ask(userId, young))).toEqual([1, 2]);
    });
  });

  describe('pages', () => {
    test('who can take pages gets all of it in order, and is told when there is more', async () => {
      const userId = newUser();
      await say(userId, 300);
      const first = await ask(userId, { epoch: null, seq: 0 }, true);
      expect(first).toMatchObject({ recovered: true, hasMore: true, seq: 300 });
      expect(first.notifications).toHaveLength(256);
      const second = await ask(userId, { epoch: first.epoch, seq: 256 }, true);
      expect(second.hasMore ?? false).toBe(false);
      expect([...seqsOf(first), ...seqsOf(second)]).toEqual(Array.from({ length: 300 }, (_, n) => n + 1));
      const whole = await ask(userId, { epoch: null, seq: 0 });
      expect(whole).toMatchObject({ recovered: false, reset: 'too_old', notifications: [] });
    });

    test('of large notifications are short', async () => {
      const userId = newUser();
      await say(userId, 12, 200_000);
      const { notifications, hasMore } = await ask(userId, { epoch: null, seq: 0 }, true);
      expect([notifications.length, hasMore]).toEqual([5, true]);
    });

    test('are what can be had of more bytes than one of them has: who takes no pages is reset, and gets what fits', async () => {
      const userId = newUser();
      const [first] = await say(userId, 12, 200_000);
      const all = await ask(userId, { epoch: null, seq: 0 });
      expect(all).toMatchObject({ recovered: false, reset: 'too_old', seq: 12, notifications: [] });
      const last = await ask(userId, { epoch: first!.epoch, seq: 7 });
      expect([last.recovered, last.notifications.length]).toEqual([true, 5]);
    });
  });
});
