import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { createTestDatabase, type TestDatabase } from '../../../test/support/database.js';
import {
  append,
  appendMany,
  hearsUpTo,
  publishedSeq,
  RealtimeCluster,
  seqs,
  sweeperOf,
  upTo,
} from '../../../test/support/realtime-cluster.js';
import { userNames } from '../../../test/support/realtime.js';
import { redisUrl } from '../../../test/support/redis.js';
import { requestRoom, roomKey, userRoom } from '../rooms.js';

let database: TestDatabase;
let cluster: RealtimeCluster;
beforeAll(async () => {
  database = await createTestDatabase();
  cluster = new RealtimeCluster(database.url);
});
afterAll(() => database.drop());
afterEach(() => cluster.close());
const newUser = userNames('publisher');

describe.each(['redis', 'local'] as const)('publishing, %s', (mode) => {
  beforeEach(() => {
    cluster.use(mode === 'redis' ? redisUrl() : undefined);
  });

  test('a notification reaches the rooms of its user and its request, each with its own seq', async () => {
    const node = await cluster.start();
    const userId = newUser();
    const client = await cluster.connect(node, userId);
    await client.subscribe({ room: 'request_req-1' });
    node.publisher.publish(await append(node, userId, 0));
    await client.heard.count(1, 'notification');
    node.publisher.publish(
      await node.log.append({ type: 't', status: 'pending', data: null, userId, requestId: 'req-1' }),
    );
    const [, ...heard] = await client.heard.count(3, 'notifications');
    const byRoom = Object.fromEntries(heard.map(({ room, seq, data, requestId }) => [room, { seq, data, requestId }]));
    expect(byRoom).toEqual({
      [`user_${userId}`]: { seq: 2, data: null, requestId: 'req-1' },
      'request_req-1': { seq: 1, data: null, requestId: 'req-1' },
    });
  });

  test('seq 2 that is published before seq 1 waits for it', async () => {
    const node = await cluster.start();
    const userId = newUser();
    const client = await cluster.connect(node, userId);
    const [first, second, third] = await appendMany(node, userId, 3);
    node.publisher.publish([first!]);
    node.publisher.publish([third!]);
    await node.publisher.drain();
    node.publisher.publish([second!]);
    await node.publisher.drain();
    await hearsUpTo(client, 3);
    expect(seqs(client)).toEqual([1, 2, 3]);
  });

  test('what another publisher never published is pumped from Postgres, in order, through several pages', async () => {
    const node = await cluster.start();
    const userId = newUser();
    const client = await cluster.connect(node, userId);
    const entries = await appendMany(node, userId, 600);
    node.publisher.publish(entries.slice(0, 1));
    node.publisher.publish(entries.slice(599));
    await hearsUpTo(client, 600);
    expect(seqs(client)).toEqual(upTo(600));
  });

  test('large ones are pumped a few at a time, all of them, in order', async () => {
    const node = await cluster.start();
    const userId = newUser();
    const client = await cluster.connect(node, userId);
    const large = { type: 'test.thing.done', status: 'success', data: 'x'.repeat(200_000), userId } as const;
    const entries = [];
    for (let n = 0; n < 12; n++) entries.push(...(await node.log.append(large)));
    node.publisher.publish(entries.slice(11));
    await hearsUpTo(client, 12);
    expect(seqs(client)).toEqual(upTo(12));
  });

  test('publishing again sends nothing again', async () => {
    const node = await cluster.start();
    const userId = newUser();
    const client = await cluster.connect(node, userId);
    const entries = await appendMany(node, userId, 5);
    node.publisher.publish(entries);
    node.publisher.publish(entries);
    await node.publisher.drain();
    node.publisher.publish(entries.slice(2, 4));
    await node.publisher.drain();
    node.publisher.publish(await append(node, userId, 6));
    await hearsUpTo(client, 6);
    expect(seqs(client)).toEqual(upTo(6));
  });

  test('the sweeper publishes what a crash left, once, and nothing that is still on its way', async () => {
    const node = await cluster.start();
    const userId = newUser();
    const client = await cluster.connect(node, userId);
    await appendMany(node, userId, 3);
    expect(await sweeperOf(node, -5_000).runOnce()).toBe(0);
    const sweeper = sweeperOf(node);
    expect(await sweeper.runOnce()).toBeGreaterThanOrEqual(3);
    await hearsUpTo(client, 3);
    await node.publisher.drain();
    expect(await sweeper.runOnce()).toBe(0);
    expect(seqs(client)).toEqual([1, 2, 3]);
  });

  test('the sweeper that was started sweeps by itself and stops when told', async () => {
    const node = await cluster.start();
    const userId = newUser();
    const client = await cluster.connect(node, userId);
    await appendMany(node, userId, 2);
    const sweeper = sweeperOf(node);
    sweeper.start();
    await hearsUpTo(client, 2);
    await sweeper.stop();
    expect(seqs(client)).toEqual([1, 2]);
  });

  test('publishedSeq follows what was published, and is never lowered', async () => {
    const node = await cluster.start();
    const userId = newUser();
    const entries = await appendMany(node, userId, 4);
    node.publisher.publish(entries);
    await node.publisher.drain();
    expect(await publishedSeq(database.pool, userId)).toBe(4);
    await node.log.advance([{ room: roomKey(userRoom(userId)), epoch: entries[0]!.epoch, seq: 2 }]);
    expect(await publishedSeq(database.pool, userId)).toBe(4);
  });

  test('entries that retention took do not hold up the ones after them', async () => {
    const node = await cluster.start();
    const userId = newUser();
    const client = await cluster.connect(node, userId);
    const entries = await appendMany(node, userId, 6);
    const taken = [entries[0]!, entries[1]!, entries[3]!].map(({ notification }) => notification.id);
    await database.pool.query('DELETE FROM notifications WHERE id = ANY($1)', [taken]);
    node.publisher.publish(entries.slice(5));
    await hearsUpTo(client, 6);
    expect(seqs(client)).toEqual([3, 5, 6]);
  });
});

describe('publishing through Redis', () => {
  beforeEach(() => {
    cluster.use(redisUrl());
  });

  test('two publishers that finish in turns deliver in order to clients of both replicas', async () => {
    const [a, b] = [await cluster.start(), await cluster.start()];
    const userId = newUser();
    const [onA, onB] = [await cluster.connect(a, userId), await cluster.connect(b, userId)];
    await Promise.all(
      upTo(200).map(async (n) => {
        const node = n % 2 === 0 ? a : b;
        node.publisher.publish(await append(node, userId, n));
      }),
    );
    await Promise.all([hearsUpTo(onA, 200), hearsUpTo(onB, 200)]);
    expect(seqs(onA)).toEqual(upTo(200));
    expect(seqs(onB)).toEqual(upTo(200));
  });

  test('seq 2 published by one process before seq 1 by the other is heard after it', async () => {
    const [a, b] = [await cluster.start(), await cluster.start()];
    const userId = newUser();
    const client = await cluster.connect(b, userId);
    const [first] = await append(a, userId, 1);
    b.publisher.publish(await append(b, userId, 2));
    await b.publisher.drain();
    a.publisher.publish([first!]);
    await a.publisher.drain();
    b.publisher.publish(await append(b, userId, 3));
    await hearsUpTo(client, 3);
    expect(seqs(client)).toEqual([1, 2, 3]);
  });

  test('a room of one user says nothing to the same request id of another', async () => {
    const node = await cluster.start();
    const [ada, bob] = [newUser(), newUser()];
    const [onAda, onBob] = [await cluster.connect(node, ada), await cluster.connect(node, bob)];
    for (const client of [onAda, onBob]) await client.subscribe({ room: 'request_shared' });
    const say = async (userId: string) =>
      node.publisher.publish(
        await node.log.append({ type: 't', status: 'success', data: { userId }, userId, requestId: 'shared' }, [
          requestRoom(userId, 'shared'),
        ]),
      );
    await say(ada);
    await say(bob);
    await Promise.all([onAda.heard.count(1, 'of ada'), onBob.heard.count(1, 'of bob')]);
    expect(onAda.heard.items.map(({ data }) => data)).toEqual([{ userId: ada }]);
    expect(onBob.heard.items.map(({ data }) => data)).toEqual([{ userId: bob }]);
  });
});
