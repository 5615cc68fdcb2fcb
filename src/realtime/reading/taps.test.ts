import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { Emitter } from '@socket.io/redis-emitter';
import { Redis } from 'ioredis';
import { createTestDatabase, type TestDatabase } from '../../../test/support/database.js';
import { append, RealtimeCluster } from '../../../test/support/realtime-cluster.js';
import {
  connectClient,
  silent,
  startRealtimeNode,
  userNames,
  type RealtimeNode,
} from '../../../test/support/realtime.js';
import { createRedisPrefix, redisUrl, startRedis } from '../../../test/support/redis.js';
import { Collected, eventually } from '../../../test/support/signals.js';
import { systemClock } from '../../platform/clock.js';
import { createMetrics } from '../../platform/metrics.js';
import { connectRedis } from '../../platform/redis.js';
import type { Backplane } from '../backplane.js';
import type { Ephemeral, WireNotification } from '../contract.js';
import { createRedisBackplane } from '../redis/backplane.js';
import { roomKey, userRoom } from '../rooms.js';

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

const newUser = userNames('taps');
const roomOf = (userId: string) => roomKey(userRoom(userId));

function listen(backplane: Backplane, userId: string) {
  const heard = new Collected<WireNotification>();
  const frames = new Collected<Ephemeral>();
  const checks = new Collected<true>();
  const end = backplane.tap(roomOf(userId), {
    onNotification: heard.add,
    onEphemeral: frames.add,
    onCheck: () => checks.add(true),
  });
  return { heard, frames, checks, end };
}

const progress = (percent: number): Ephemeral => ({
  event: 'progress',
  payload: { room: 'user_x', requestId: 'r', eventId: 'e', percent, timestamp: '' },
});

describe.each(['redis', 'local'] as const)('a tap, %s', (mode) => {
  let node: RealtimeNode;
  beforeEach(async () => {
    const url = mode === 'redis' ? redisUrl() : undefined;
    node = await startRealtimeNode({ databaseUrl: database.url, prefix: createRedisPrefix(), redisUrl: url });
    await node.backplane.check.run();
  });
  afterEach(() => node.close());

  test('hears what a socket of the room hears, in order, once, and nothing of other rooms', async () => {
    const [ada, bob] = [newUser(), newUser()];
    const client = await connectClient(node, ada);
    const [tap, other] = [listen(node.backplane, ada), listen(node.backplane, bob)];
    for (let n = 1; n <= 5; n++) node.publisher.publish(await append(node, ada, n));
    node.publisher.publish(await append(node, bob, 6));
    await Promise.all([client.heard.count(5, 'heard'), tap.heard.count(5, 'tapped'), other.heard.count(1, 'of bob')]);
    expect(tap.heard.items).toEqual(client.heard.items);
    expect(tap.heard.items.map(({ seq }) => seq)).toEqual([1, 2, 3, 4, 5]);
    expect(other.heard.items.map(({ data }) => data)).toEqual([{ n: 6 }]);
    client.socket.disconnect();
  });

  test('needs no socket in the room, hears progress, and several may listen', async () => {
    const userId = newUser();
    const [one, two] = [listen(node.backplane, userId), listen(node.backplane, userId)];
    node.backplane.fanout.ephemeral(roomOf(userId), progress(7));
    await Promise.all([one.frames.count(1, 'frame'), two.frames.count(1, 'frame')]);
    expect([one, two].map(({ frames }) => frames.items)).toEqual([[progress(7)], [progress(7)]]);
  });

  test('that has ended hears nothing more', async () => {
    const userId = newUser();
    const [ended, going] = [listen(node.backplane, userId), listen(node.backplane, userId)];
    node.publisher.publish(await append(node, userId, 1));
    await Promise.all([ended.heard.count(1, 'the first'), going.heard.count(1, 'the first')]);
    ended.end();
    ended.end();
    node.publisher.publish(await append(node, userId, 2));
    await going.heard.count(2, 'the second');
    expect(ended.heard.items).toHaveLength(1);
  });
});

test('frames of Socket.IO’s own emitter on the room’s channel are not ours, and do no harm', async () => {
  const prefix = createRedisPrefix();
  const node = await startRealtimeNode({ databaseUrl: database.url, prefix, redisUrl: redisUrl() });
  await node.backplane.check.run();
  const userId = newUser();
  const tap = listen(node.backplane, userId);
  const redis = new Redis(redisUrl());
  new Emitter(redis, { key: `${prefix}.io` }).to(roomOf(userId)).emit('check');
  new Emitter(redis, { key: `${prefix}.io` }).to(roomOf(userId)).emit('progress', progress(3).payload);
  await tap.frames.count(1, 'frame');
  expect(tap.frames.items).toEqual([progress(3)]);
  redis.disconnect();
  await node.close();
});

test('in a process without sockets a tap subscribes to its room alone, is told to check then, and after each loss', async () => {
  const redis = await startRedis();
  const cluster = new RealtimeCluster(database.url);
  const prefix = cluster.use(redis.url);
  const node = await cluster.start();
  const backplane = createRedisBackplane({
    connect: (purpose, options) => connectRedis(redis.url, purpose, silent, options),
    prefix,
    metrics: createMetrics('synap_'),
    logger: silent,
    clock: systemClock,
  });
  const userId = newUser();
  const tap = listen(backplane, userId);
  await tap.checks.count(1, 'check');
  node.publisher.publish(await append(node, userId, 1));
  await tap.heard.count(1, 'the first');

  const admin = new Redis(redis.url);
  await admin.client('KILL', 'TYPE', 'PUBSUB');
  await tap.checks.count(2, 'check after the loss');
  node.publisher.publish(await append(node, userId, 2));
  await tap.heard.count(2, 'the second');

  tap.end();
  const channels = () => admin.call('PUBSUB', 'CHANNELS', `${prefix}.io#/#*`) as Promise<string[]>;
  await eventually(async () => ((await channels()).length === 0 ? true : undefined), 'the channel to be left');
  expect(tap.heard.items.map(({ seq }) => seq)).toEqual([1, 2]);
  admin.disconnect();
  await backplane.close();
  await cluster.close();
  await redis.stop();
});
