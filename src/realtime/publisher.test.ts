import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { Redis } from 'ioredis';
import { createTestDatabase, type TestDatabase } from '../../test/support/database.js';
import {
  connectClient,
  silent,
  startRealtimeNode,
  type ConnectedClient,
  type NodeOptions,
  type RealtimeNode,
} from '../../test/support/realtime.js';
import { createRedisPrefix, startRedis, type RedisServer } from '../../test/support/redis.js';
import { eventually } from '../../test/support/signals.js';
import { systemClock } from '../platform/clock.js';
import type { CommittedEntry } from './publisher.js';
import { requestRoom, roomKey, userRoom } from './rooms.js';
import { Sweeper } from './sweeper.js';

let database: TestDatabase;
let redis: RedisServer;

beforeAll(async () => {
  [database, redis] = await Promise.all([createTestDatabase(), startRedis()]);
});
afterAll(async () => {
  await redis.stop();
  await database.drop();
});

let nodes: RealtimeNode[] = [];
let clients: ConnectedClient[] = [];
let redises: RedisServer[] = [];
let options: NodeOptions;

const startNode = async () => {
  const node = await startRealtimeNode(options);
  await node.backplane.check.run();
  nodes.push(node);
  return node;
};
const connect = async (node: RealtimeNode, userId: string) => {
  const client = await connectClient(node, userId);
  clients.push(client);
  return client;
};

afterEach(async () => {
  for (const { socket } of clients) socket.disconnect();
  await Promise.all(nodes.map((node) => node.close()));
  await Promise.all(redises.map((server) => server.stop()));
  nodes = [];
  clients = [];
  redises = [];
});

let users = 0;
const newUser = () => `user-${++users}`;

const append = (node: RealtimeNode, userId: string, n: number): Promise<CommittedEntry[]> =>
  node.log.append({ type: 'test.thing.done', status: 'success', data: { n }, userId });

async function appendMany(node: RealtimeNode, userId: string, count: number): Promise<CommittedEntry[]> {
  const entries = await Promise.all(Array.from({ length: count }, (_, n) => append(node, userId, n)));
  return entries.flat().toSorted((a, b) => a.seq - b.seq);
}

const seqs = (client: ConnectedClient) => client.heard.items.map(({ seq }) => seq);
const upTo = (last: number) => Array.from({ length: last }, (_, index) => index + 1);
const hearsUpTo = (client: ConnectedClient, last: number) =>
  client.heard.first(({ seq }) => seq === last, `seq ${last}`);

const sweeperOf = (node: RealtimeNode, lateMs = 0) => {
  const clock = { ...systemClock, now: () => Date.now() + lateMs };
  return new Sweeper({ log: node.log, publisher: node.publisher, logger: silent, clock });
};

const publishedSeq = async (userId: string) => {
  const room = roomKey(userRoom(userId));
  const { rows } = await database.pool.query<{ seq: string }>(
    'SELECT "publishedSeq" AS seq FROM rooms WHERE key = $1',
    [room],
  );
  return Number(rows[0]?.seq);
};

describe.each(['redis', 'local'] as const)('publishing, %s', (mode) => {
  beforeEach(() => {
    options = {
      databaseUrl: database.url,
      prefix: createRedisPrefix(),
      redisUrl: mode === 'redis' ? redis.url : undefined,
    };
  });

  test('a notification reaches the rooms of its user and its request, each with its own seq', async () => {
    const node = await startNode();
    const userId = newUser();
    const client = await connect(node, userId);
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
    const node = await startNode();
    const userId = newUser();
    const client = await connect(node, userId);
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
    const node = await startNode();
    const userId = newUser();
    const client = await connect(node, userId);
    const entries = await appendMany(node, userId, 600);
    node.publisher.publish(entries.slice(0, 1));
    node.publisher.publish(entries.slice(599));
    await hearsUpTo(client, 600);
    expect(seqs(client)).toEqual(upTo(600));
  });

  test('publishing again sends nothing again', async () => {
    const node = await startNode();
    const userId = newUser();
    const client = await connect(node, userId);
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
    const node = await startNode();
    const userId = newUser();
    const client = await connect(node, userId);
    await appendMany(node, userId, 3);
    expect(await sweeperOf(node, -5_000).runOnce()).toBe(0);
    const sweeper = sweeperOf(node, 5_000);
    expect(await sweeper.runOnce()).toBeGreaterThanOrEqual(3);
    await hearsUpTo(client, 3);
    await node.publisher.drain();
    expect(await sweeper.runOnce()).toBe(0);
    expect(seqs(client)).toEqual([1, 2, 3]);
  });

  test('the sweeper that was started sweeps by itself and stops when told', async () => {
    const node = await startNode();
    const userId = newUser();
    const client = await connect(node, userId);
    await appendMany(node, userId, 2);
    const sweeper = sweeperOf(node, 5_000);
    sweeper.start();
    await hearsUpTo(client, 2);
    await sweeper.stop();
    expect(seqs(client)).toEqual([1, 2]);
  });

  test('publishedSeq follows what was published, and is never lowered', async () => {
    const node = await startNode();
    const userId = newUser();
    const entries = await appendMany(node, userId, 4);
    node.publisher.publish(entries);
    await node.publisher.drain();
    expect(await publishedSeq(userId)).toBe(4);
    await node.log.advance([{ room: roomKey(userRoom(userId)), epoch: entries[0]!.epoch, seq: 2 }]);
    expect(await publishedSeq(userId)).toBe(4);
  });

  test('entries that retention took do not hold up the ones after them', async () => {
    const node = await startNode();
    const userId = newUser();
    const client = await connect(node, userId);
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
    options = { databaseUrl: database.url, prefix: createRedisPrefix(), redisUrl: redis.url };
  });

  test('two publishers that finish in turns deliver in order to clients of both replicas', async () => {
    const [a, b] = [await startNode(), await startNode()];
    const userId = newUser();
    const [onA, onB] = [await connect(a, userId), await connect(b, userId)];
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
    const [a, b] = [await startNode(), await startNode()];
    const userId = newUser();
    const client = await connect(b, userId);
    const [first] = await append(a, userId, 1);
    b.publisher.publish(await append(b, userId, 2));
    await b.publisher.drain();
    a.publisher.publish([first!]);
    await a.publisher.drain();
    b.publisher.publish(await append(b, userId, 3));
    await hearsUpTo(client, 3);
    expect(seqs(client)).toEqual([1, 2, 3]);
  });

  test('FLUSHALL between publishes loses nothing and repeats nothing', async () => {
    const node = await startNode();
    const userId = newUser();
    const client = await connect(node, userId);
    const admin = new Redis(redis.url);
    for (const n of upTo(5)) {
      node.publisher.publish(await append(node, userId, n));
      await hearsUpTo(client, n);
      await admin.flushall();
    }
    admin.disconnect();
    expect(seqs(client)).toEqual(upTo(5));
  });

  test('FLUSHALL while another process publishes on: everything is heard, in order, repeats only of what was out', async () => {
    const [a, b] = [await startNode(), await startNode()];
    const userId = newUser();
    const client = await connect(a, userId);
    const admin = new Redis(redis.url);
    for (const n of upTo(40)) {
      const node = n % 2 === 0 ? a : b;
      node.publisher.publish(await append(node, userId, n));
      if (n % 10 === 0) await admin.flushall();
    }
    admin.disconnect();
    await hearsUpTo(client, 40);
    const applied: number[] = [];
    for (const seq of seqs(client)) if (seq === (applied.at(-1) ?? 0) + 1) applied.push(seq);
    expect(applied).toEqual(upTo(40));
  });

  test('while Redis is away publishing neither throws nor waits, and the sweeper brings it when Redis is back', async () => {
    const own = await startRedis();
    options = { ...options, redisUrl: own.url };
    const node = await startNode();
    const userId = newUser();
    const client = await connect(node, userId);
    node.publisher.publish(await append(node, userId, 1));
    await hearsUpTo(client, 1);
    const asked = new Promise<void>((resolve) => client.socket.on('check', resolve));

    await own.kill();
    expect(await node.backplane.check.run()).toBe('failed');
    node.publisher.publish(await append(node, userId, 2));
    node.publisher.publish(await append(node, userId, 3));
    node.publisher.ephemeral(roomKey(userRoom(userId)), {
      event: 'progress',
      payload: { room: 'r', requestId: 'r', eventId: 'e', percent: 1, timestamp: '' },
    });
    await node.publisher.drain();
    const sweeper = sweeperOf(node, 5_000);
    await expect(sweeper.runOnce()).rejects.toThrow('Redis is away');

    redises.push(await startRedis({ port: own.port }));
    await asked;
    await eventually(async () => ((await node.backplane.check.run()) === 'ok' ? true : undefined), 'Redis to be back');
    await eventually(() => sweeper.runOnce().catch(() => undefined), 'a sweep');
    await hearsUpTo(client, 3);
    expect(seqs(client)).toEqual([1, 2, 3]);
    const failures = await node.metrics.publishFailures.get();
    expect(failures.values.reduce((sum, { value }) => sum + value, 0)).toBeGreaterThanOrEqual(2);
  });

  test('a room of one user says nothing to the same request id of another', async () => {
    const node = await startNode();
    const [ada, bob] = [newUser(), newUser()];
    const [onAda, onBob] = [await connect(node, ada), await connect(node, bob)];
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
