import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { createTestDatabase, type TestDatabase } from '../../../test/support/database.js';
import { RealtimeStage, userNames, type ConnectedClient } from '../../../test/support/realtime.js';
import { nextEvent, within } from '../../../test/support/signals.js';
import type { Pong } from '../contract.js';

let database: TestDatabase;
let stage: RealtimeStage;
beforeAll(async () => {
  database = await createTestDatabase();
  stage = new RealtimeStage(database.url);
});
afterAll(() => database.drop());

const newUser = userNames('subscriptions');

const hears = (client: ConnectedClient, count: number) => client.heard.count(count, 'notifications');

describe.each(['redis', 'local'] as const)('subscriptions, %s', (mode) => {
  beforeEach(() => stage.start(mode));
  afterEach(() => stage.close());

  describe('rooms', () => {
    test('a user hears their own room without asking, on every connection, and nobody else does', async () => {
      const [ada, bob] = [newUser(), newUser()];
      const [one, two, other] = [await stage.connect(ada), await stage.connect(ada), await stage.connect(bob)];
      await stage.say(ada, 1);
      await stage.say(bob, 2);
      await Promise.all([hears(one, 1), hears(two, 1), hears(other, 1)]);
      expect([one, two, other].map(({ heard }) => heard.items.map(({ data }) => data))).toEqual([
        [{ n: 1 }],
        [{ n: 1 }],
        [{ n: 2 }],
      ]);
    });

    test.each([
      ['user_somebody-else', 'forbidden'],
      ['user_', 'forbidden'],
      ['request_', 'invalid_room'],
      ['request_a b', 'invalid_room'],
      ['u:somebody-else', 'invalid_room'],
      ['', 'invalid_message'],
    ])('room %j is refused', async (room, code) => {
      const client = await stage.connect(newUser());
      expect(await client.ask('subscribe', { room })).toMatchObject({ ok: false, code });
      expect(await client.ask('unsubscribe', { room })).toMatchObject({ ok: false, code });
    });

    test('a guessed request room of another user is an empty room of one’s own', async () => {
      const [ada, bob] = [newUser(), newUser()];
      const eve = await stage.connect(bob);
      await stage.say(ada, 1, 'req-shared');
      expect(await eve.subscribe({ room: 'request_req-shared', since: { epoch: null, seq: 0 } })).toEqual({
        ok: true,
        room: 'request_req-shared',
        at: expect.any(String),
        epoch: null,
        seq: 0,
        recovered: true,
        notifications: [],
      });
      await stage.say(ada, 2, 'req-shared');
      await stage.say(bob, 3);
      await hears(eve, 1);
      expect(eve.heard.items.map(({ data }) => data)).toEqual([{ n: 3 }]);
    });

    test('a room that is subscribed before its request exists hears what comes later', async () => {
      const userId = newUser();
      const client = await stage.connect(userId);
      expect(await client.subscribe({ room: 'request_early' })).toMatchObject({
        epoch: null,
        seq: 0,
        recovered: false,
      });
      await stage.say(userId, 1, 'early');
      const heard = await hears(client, 2);
      expect(heard.map(({ room, seq }) => `${room} ${seq}`).toSorted()).toEqual([
        'request_early 1',
        `user_${userId} 1`,
      ]);
    });

    test('an unsubscribed room is silent', async () => {
      const userId = newUser();
      const client = await stage.connect(userId);
      await client.subscribe({ room: 'request_quiet' });
      expect(await client.ask('unsubscribe', { room: 'request_quiet' })).toEqual({ ok: true, room: 'request_quiet' });
      await stage.say(userId, 1, 'quiet');
      await stage.say(userId, 2);
      await hears(client, 2);
      expect(client.heard.items.map(({ room }) => room)).toEqual([`user_${userId}`, `user_${userId}`]);
    });
  });

  describe('coming back', () => {
    test('everything since is given, in order, with the head', async () => {
      const userId = newUser();
      await stage.sayMany(userId, 5);
      const client = await stage.connect(userId);
      const room = `user_${userId}`;
      const { epoch, seq } = await client.subscribe({ room });
      expect(seq).toBe(5);
      const answer = await client.subscribe({ room, since: { epoch, seq: 2 } });
      expect(answer).toMatchObject({ epoch, seq: 5, recovered: true });
      expect(answer.notifications.map((item) => [item.seq, item.data, item.room, item.epoch])).toEqual(
        [3, 4, 5].map((n) => [n, { n }, room, epoch]),
      );
    });

    test('what is replayed is what was heard live', async () => {
      const userId = newUser();
      const client = await stage.connect(userId);
      stage.node.publisher.publish(
        await stage.node.log.append({
          type: 'test.failed',
          status: 'error',
          userId,
          requestId: 'req-9',
          data: { text: 'ü', none: null, list: [] },
          error: { code: 'broken', message: 'It broke' },
        }),
      );
      const [live] = await hears(client, 1);
      const { notifications } = await client.subscribe({ room: `user_${userId}`, since: { epoch: null, seq: 0 } });
      expect(notifications).toEqual([live]);
    });

    test.each([
      ['it is up to date', (head: { epoch: string | null; seq: number }) => head, true],
      ['it knew no epoch', () => ({ epoch: null, seq: 0 }), true],
      [
        'its epoch is another',
        ({ seq }: { seq: number }) => ({ epoch: '0190a000-0000-7000-8000-000000000001', seq }),
        false,
      ],
      [
        'it is ahead of the log',
        ({ epoch, seq }: { epoch: string | null; seq: number }) => ({ epoch, seq: seq + 1 }),
        false,
      ],
    ])('where %s, recovered says so', async (_name, sinceOf, recovered) => {
      const userId = newUser();
      await stage.sayMany(userId, 2);
      const client = await stage.connect(userId);
      const room = `user_${userId}`;
      const head = await client.subscribe({ room });
      const answer = await client.subscribe({ room, since: sinceOf({ epoch: head.epoch, seq: head.seq }) });
      expect(answer).toMatchObject({ epoch: head.epoch, seq: 2, recovered });
    });

    test('more than a page is a reset, a whole page is not', async () => {
      const userId = newUser();
      await Promise.all(Array.from({ length: 258 }, (_, n) => stage.say(userId, n)));
      const client = await stage.connect(userId);
      const room = `user_${userId}`;
      const { epoch } = await client.subscribe({ room });
      const from1 = await client.subscribe({ room, since: { epoch, seq: 1 } });
      const from2 = await client.subscribe({ room, since: { epoch, seq: 2 } });
      expect([from1.recovered, from1.notifications.length]).toEqual([false, 0]);
      expect([from2.recovered, from2.notifications.length]).toEqual([true, 256]);
    });

    test('what retention took is a reset, not silence', async () => {
      const userId = newUser();
      const [first] = await stage.say(userId, 1);
      await stage.say(userId, 2);
      await database.pool.query('DELETE FROM notifications WHERE id = $1', [first?.notification.id]);
      const client = await stage.connect(userId);
      const answer = await client.subscribe({ room: `user_${userId}`, since: { epoch: null, seq: 0 } });
      expect(answer).toMatchObject({ seq: 2, recovered: false, notifications: [] });
    });

    test('nothing is lost between join and answer while notifications keep coming', async () => {
      const userId = newUser();
      const client = await stage.connect(userId);
      const speaking = (async () => {
        for (let n = 1; n <= 60; n++) await stage.say(userId, n, 'busy');
      })();
      const answer = await client.subscribe({ room: 'request_busy', since: { epoch: null, seq: 0 } });
      await speaking;
      await client.heard.first(({ room, seq }) => room === 'request_busy' && seq === 60, 'the last one');
      const seqs = new Set([
        ...answer.notifications.map(({ seq }) => seq),
        ...client.heard.items.filter(({ room }) => room === 'request_busy').map(({ seq }) => seq),
      ]);
      expect(seqs.size).toBe(60);
    });
  });

  describe('ping', () => {
    test('is answered with the heads of the socket’s rooms', async () => {
      const userId = newUser();
      await stage.sayMany(userId, 3);
      const client = await stage.connect(userId);
      const { epoch } = await client.subscribe({ room: `user_${userId}` });
      await client.subscribe({ room: 'request_none' });
      const pong = await within(client.socket.emitWithAck('ping') as Promise<Pong>, 'the pong');
      const heads = { [`user_${userId}`]: { epoch, seq: 3 }, request_none: { epoch: null, seq: 0 } };
      expect(pong).toMatchObject({ type: 'pong', heads });
      expect(new Date(pong.timestamp).toISOString()).toBe(pong.timestamp);
    });

    test('without an acknowledgement is answered by the event pong', async () => {
      const client = await stage.connect(newUser());
      const answer = nextEvent<Pong>(client.socket as never, 'pong');
      client.socket.emit('ping');
      expect(await answer).toMatchObject({ type: 'pong' });
    });
  });
});
