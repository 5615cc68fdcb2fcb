import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { io as connectSocket, type Socket } from 'socket.io-client';
import { createTestDatabase, type TestDatabase } from '../../test/support/database.js';
import { silent, startRealtimeNode, tokens, userNames, type RealtimeNode } from '../../test/support/realtime.js';

import { createRedisPrefix, redisUrl, startRedis } from '../../test/support/redis.js';
import { eventually, nextEvent } from '../../test/support/signals.js';
import { systemClock } from '../platform/clock.js';
import { connectRedis } from '../platform/redis.js';
import type { Device } from './io.js';
import { RedisPresence } from './redis/presence.js';
import { roomKey, userRoom } from './rooms.js';

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

const newUser = userNames('present');
const nodes: RealtimeNode[] = [];
const sockets: Socket[] = [];
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.disconnect();
  await Promise.all(nodes.splice(0).map((node) => node.close()));
});

async function startNode(more: { redisUrl?: string; prefix?: string } = {}): Promise<RealtimeNode> {
  const node = await startRealtimeNode({ databaseUrl: database.url, ...more });
  nodes.push(node);
  node.server.io.use((socket, next) => {
    socket.data.device = socket.handshake.auth['device'] as Device | undefined;
    next();
  });
  return node;
}

async function connect(node: RealtimeNode, user: string, device?: Device): Promise<Socket> {
  const token = await tokens.mint(user, { expiresInSeconds: 600 });
  const auth = { token, ...(device && { device }) };
  const socket = connectSocket(node.url, { auth, transports: ['websocket'], forceNew: true });
  sockets.push(socket);
  await nextEvent(socket as never, 'connect');
  return socket;
}

const shown = async (node: RealtimeNode, user: string) =>
  (await node.backplane.presence.devices(user)).map(({ id, name, connections, replicas }) => ({
    ...{ id, name, connections, replicas },
  }));
const shows = (node: RealtimeNode, user: string, devices: unknown) =>
  eventually(
    async () => {
      const now = await shown(node, user);
      return JSON.stringify(now) === JSON.stringify(devices) ? true : undefined;
    },
    `the devices ${JSON.stringify(devices)}`,
  );

describe.each(['redis', 'local'] as const)('presence, %s', (mode) => {
  const where = () => (mode === 'redis' ? { redisUrl: redisUrl(), prefix: createRedisPrefix() } : {});
  const replicas = mode === 'redis' ? 1 : undefined;

  test('tells each device of a user, with its connections, the longest connected first', async () => {
    const [node, user] = [await startNode(where()), newUser()];
    const before = Date.now();
    await connect(node, user, { id: 'phone', name: 'Ada’s phone' });
    const tab = await connect(node, user, { id: 'laptop' });
    await connect(node, user, { id: 'laptop', name: 'Laptop' });
    await connect(node, user);
    await connect(node, newUser(), { id: 'other' });
    await shows(node, user, [
      { id: 'phone', name: 'Ada’s phone', connections: 1, replicas },
      { id: 'laptop', name: 'Laptop', connections: 2, replicas },
      { id: null, connections: 1, replicas },
    ]);
    const since = (await node.backplane.presence.devices(user)).map((device) => Date.parse(device.since));
    expect(since.every((at) => at >= before && at <= Date.now())).toBe(true);
    tab.disconnect();
    await shows(node, user, [
      { id: 'phone', name: 'Ada’s phone', connections: 1, replicas },
      { id: 'laptop', name: 'Laptop', connections: 1, replicas },
      { id: null, connections: 1, replicas },
    ]);
  });

  test('counts a stream as a connection of its room and its device, while it is open', async () => {
    const [node, user] = [await startNode(where()), newUser()];
    const room = roomKey(userRoom(user));
    const end = node.backplane.presence.connect({ room, userId: user, device: { id: 'tv' } });
    expect(await shown(node, user)).toEqual([{ id: 'tv', name: undefined, connections: 1, replicas }]);
    expect(await node.backplane.presence.count(room)).toBe(1);
    end();
    expect([await shown(node, user), await node.backplane.presence.count(room)]).toEqual([[], 0]);
  });
});

describe('presence over replicas', () => {
  test('is the same on each of them, and a device on two of them is one', async () => {
    const shared = { redisUrl: redisUrl(), prefix: createRedisPrefix() };
    const [a, b, user] = [await startNode(shared), await startNode(shared), newUser()];
    const first = await connect(a, user, { id: 'laptop' });
    await connect(b, user, { id: 'laptop', name: 'Laptop' });
    const both = [{ id: 'laptop', name: 'Laptop', connections: 2, replicas: 2 }];
    await Promise.all([shows(a, user, both), shows(b, user, both)]);
    first.disconnect();
    const one = [{ id: 'laptop', name: 'Laptop', connections: 1, replicas: 1 }];
    await Promise.all([shows(a, user, one), shows(b, user, one)]);
    // A replica that closes takes its devices with it.
    await b.server.close();
    await shows(a, user, []);
  });

  test('forgets the devices of a replica that was killed', async () => {
    const shared = { redisUrl: redisUrl(), prefix: createRedisPrefix() };
    const [node, observer, user] = [await startNode(shared), await startNode(shared), newUser()];
    await connect(node, user, { id: 'phone' });
    await shows(observer, user, [{ id: 'phone', connections: 1, replicas: 1 }]);
    // As another replica sees it two minutes after the last word of the first.
    const clock = { ...systemClock, now: () => Date.now() + 120_000 };
    const redis = connectRedis(redisUrl(), 'test', silent);
    await redis.ping();
    const later = new RedisPresence(redis, { prefix: shared.prefix, nodeId: 'later', clock });
    expect(await later.devices(user)).toEqual([]);
    expect(await redis.pttl(`${shared.prefix}:devices:{${roomKey(userRoom(user))}}`)).toBeGreaterThan(0);
    redis.disconnect();
  });

  test('of a replica that was killed does not stay with what others say, and what nobody can read harms nobody', async () => {
    const shared = { redisUrl: redisUrl(), prefix: createRedisPrefix() };
    const [node, user] = [await startNode(shared), newUser()];
    const redis = connectRedis(redisUrl(), 'test', silent);
    const room = roomKey(userRoom(user));
    const [rooms, devices] = [`${shared.prefix}:presence:{${room}}`, `${shared.prefix}:devices:{${room}}`];
    const said = (until: number, name?: string) => JSON.stringify({ n: 1, since: 1, name, until });
    const [now, longAgo] = [Date.now(), Date.now() - 100_000];
    await redis.hset(rooms, { killed: `2:${longAgo}`, broken: 'x', other: `1:${now + 60_000}` });
    const fields = { 'killed tv': said(longAgo), 'broken tv': '{', 'other tv': said(now + 60_000) };
    await redis.hset(devices, { ...fields, 'killed pc': said(longAgo, `"until":${now + 60_000}}`) });
    const tv = { id: 'tv', name: undefined, connections: 1, replicas: 1 };
    expect([await shown(node, user), await node.backplane.presence.count(room)]).toEqual([[tv], 1]);
    const socket = await connect(node, user, { id: 'phone' });
    await eventually(
      async () => ((await redis.hlen(rooms)) === 2 && (await redis.hlen(devices)) === 2 ? true : undefined),
      'the fields of the others to go',
    );
    expect(await redis.hexists(rooms, 'other')).toBe(1);
    expect(await redis.hexists(devices, 'other tv')).toBe(1);
    socket.disconnect();
    redis.disconnect();
  });

  test('is said again to a Redis that has forgotten all, and a replica without Redis tells its own', async () => {
    const redis = await startRedis();
    const shared = { redisUrl: redis.url, prefix: createRedisPrefix() };
    const [a, b, user] = [await startNode(shared), await startNode(shared), newUser()];
    await connect(a, user, { id: 'phone' });
    const phone = [{ id: 'phone', connections: 1, replicas: 1 }];
    await shows(b, user, phone);
    process.kill(redis.pid, 'SIGSTOP');
    expect(await shown(a, user)).toMatchObject([{ id: 'phone', connections: 1 }]);
    process.kill(redis.pid, 'SIGCONT');
    const admin = connectRedis(redis.url, 'test', silent);
    await admin.flushall();
    expect(await shown(b, user)).toEqual([]);
    await admin.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
    await shows(b, user, phone);
    admin.disconnect();
    await Promise.all(nodes.splice(0).map((node) => node.close()));
    await redis.stop();
  });
});
