import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { Redis } from 'ioredis';
import { createTestDatabase, type TestDatabase } from '../../../test/support/database.js';
import { append, hearsUpTo, RealtimeCluster, seqs, sweeperOf, upTo } from '../../../test/support/realtime-cluster.js';
import { userNames } from '../../../test/support/realtime.js';
import { startRedis, type RedisServer } from '../../../test/support/redis.js';
import { eventually, within } from '../../../test/support/signals.js';
import { roomKey, userRoom } from '../rooms.js';
import { AdapterFrames } from './adapter-frame.js';

let database: TestDatabase;
let cluster: RealtimeCluster;
beforeAll(async () => {
  database = await createTestDatabase();
  cluster = new RealtimeCluster(database.url);
});
afterAll(() => database.drop());

let redises: RedisServer[] = [];
const newRedis = async (port?: number) => {
  const redis = await startRedis(port === undefined ? {} : { port });
  redises.push(redis);
  return redis;
};
let own: RedisServer;
let prefix: string;
beforeEach(async () => {
  own = await newRedis();
  prefix = cluster.use(own.url);
});
afterEach(async () => {
  await cluster.close();
  await Promise.all(redises.map((redis) => redis.kill()));
  redises = [];
});

const newUser = userNames('loss');

// Jest fails a test during which a rejection goes unhandled; outside of tests it would end the process.
test('a process that starts and stops while Redis is frozen does both in time, without an unhandled rejection', async () => {
  process.kill(own.pid, 'SIGSTOP');
  const node = await cluster.start({ awaitRedis: false });
  node.publisher.publish(await append(node, newUser(), 1));
  await within(cluster.close(), 'the node to close');
  const failures = await node.metrics.publishFailures.get();
  expect(failures.values).toMatchObject([{ labels: { reason: 'away' }, value: 1 }]);
});

test('FLUSHALL between publishes loses nothing and repeats nothing', async () => {
  const node = await cluster.start();
  const userId = newUser();
  const client = await cluster.connect(node, userId);
  const admin = new Redis(own.url);
  for (const n of upTo(5)) {
    node.publisher.publish(await append(node, userId, n));
    await hearsUpTo(client, n);
    await admin.flushall();
  }
  admin.disconnect();
  expect(seqs(client)).toEqual(upTo(5));
});

test('what Redis is told again after it forgot is not heard again by a client that keeps no numbers', async () => {
  const node = await cluster.start();
  const userId = newUser();
  const client = await cluster.connect(node, userId);
  const entries = [...(await append(node, userId, 1)), ...(await append(node, userId, 2))];
  node.publisher.publish(entries);
  await hearsUpTo(client, 2);

  const frames = new AdapterFrames(`${prefix}.io`);
  const redis = new Redis(own.url);
  for (const entry of [...entries, ...(await append(node, userId, 3))].filter(({ room }) => room === entries[0]!.room))
    expect(await redis.publish(frames.channel(entry.room), frames.notification(entry))).toBe(1);
  redis.disconnect();
  await hearsUpTo(client, 3);
  expect(seqs(client)).toEqual([1, 2, 3]);
});

test('FLUSHALL while another process publishes on: every client hears all, in order, once', async () => {
  const [a, b] = [await cluster.start(), await cluster.start()];
  const userId = newUser();
  const client = await cluster.connect(a, userId);
  const admin = new Redis(own.url);
  for (const n of upTo(40)) {
    const node = n % 2 === 0 ? a : b;
    node.publisher.publish(await append(node, userId, n));
    if (n % 10 === 0) await admin.flushall();
  }
  admin.disconnect();
  await hearsUpTo(client, 40);
  expect(seqs(client)).toEqual(upTo(40));
});

test('while Redis is away publishing neither throws nor waits, and the sweeper brings it when Redis is back', async () => {
  const node = await cluster.start();
  const userId = newUser();
  const client = await cluster.connect(node, userId);
  node.publisher.publish(await append(node, userId, 1));
  await hearsUpTo(client, 1);
  const asked = new Promise<void>((resolve) => client.socket.on('check', resolve));

  await own.kill();
  expect(await node.backplane.check.run()).toBe('degraded');
  node.publisher.publish(await append(node, userId, 2));
  node.publisher.publish(await append(node, userId, 3));
  node.publisher.ephemeral(roomKey(userRoom(userId)), {
    event: 'progress',
    payload: { room: 'r', requestId: 'r', eventId: 'e', percent: 1, timestamp: '' },
  });
  await node.publisher.drain();
  const sweeper = sweeperOf(node);
  await expect(sweeper.runOnce()).rejects.toThrow('Redis is away');

  await newRedis(own.port);
  await asked;
  await eventually(async () => ((await node.backplane.check.run()) === 'ok' ? true : undefined), 'Redis to be back');
  await eventually(() => sweeper.runOnce().catch(() => undefined), 'a sweep');
  await hearsUpTo(client, 3);
  expect(seqs(client)).toEqual([1, 2, 3]);
  const failures = await node.metrics.publishFailures.get();
  expect(failures.values.reduce((sum, { value }) => sum + value, 0)).toBeGreaterThanOrEqual(2);
});

test.each(['gone', 'frozen'] as const)(
  'while Redis is %s all replicas stay ready, and who connects to one is served from Postgres',
  async (how) => {
    const nodes = [await cluster.start(), await cluster.start()] as const;
    const userId = newUser();
    const [first] = await append(nodes[0], userId, 1);
    await append(nodes[0], userId, 2);
    if (how === 'gone') await own.kill();
    else process.kill(own.pid, 'SIGSTOP');
    const statuses = await Promise.all(nodes.map(async ({ backplane }) => backplane.check.run()));
    expect(statuses).toEqual(['degraded', 'degraded']);
    for (const transport of ['websocket', 'polling'] as const) {
      const client = await cluster.connect(nodes[1], userId, transport);
      const since = { epoch: first!.epoch, seq: 0 };
      const answer = await client.subscribe({ room: `user_${userId}`, since });
      expect(answer).toMatchObject({ recovered: true, seq: 2, notifications: [{ seq: 1 }, { seq: 2 }] });
      client.socket.disconnect();
    }
    if (how === 'frozen') process.kill(own.pid, 'SIGCONT');
  },
);

test('a frozen Redis holds nothing up, and once it goes on everything is heard, in order, once', async () => {
  const node = await cluster.start();
  const userId = newUser();
  const client = await cluster.connect(node, userId);
  node.publisher.publish(await append(node, userId, 1));
  await hearsUpTo(client, 1);

  process.kill(own.pid, 'SIGSTOP');
  node.publisher.publish(await append(node, userId, 2));
  await within(node.publisher.drain(), 'the publisher to give up');
  node.publisher.publish(await append(node, userId, 3));
  await within(node.publisher.drain(), 'the publisher to give up at once', 1_000);

  process.kill(own.pid, 'SIGCONT');
  await hearsUpTo(client, 2);
  await eventually(
    () =>
      sweeperOf(node)
        .runOnce()
        .catch(() => undefined),
    'a sweep',
  );
  await hearsUpTo(client, 3);
  node.publisher.publish(await append(node, userId, 4));
  await hearsUpTo(client, 4);
  expect(seqs(client)).toEqual([1, 2, 3, 4]);
});
