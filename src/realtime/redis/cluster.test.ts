import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Cluster, Redis } from 'ioredis';
import { freePort } from '../../../test/support/ports.js';
import { startRedis, type RedisServer } from '../../../test/support/redis.js';
import { Collected, eventually, nextEvent } from '../../../test/support/signals.js';
import { systemClock } from '../../platform/clock.js';
import type { Redis as OneRedis } from '../../platform/redis.js';
import { AdapterFrames } from './adapter-frame.js';
import type { RoomBatch } from '../publishing/fanout.js';
import { RedisFanout } from './fanout.js';
import { RedisGeneration } from './generation.js';
import { RedisPresence } from './presence.js';
import { RedisRecent } from './recent.js';
import { requestRoom, roomKey } from '../rooms.js';

const epoch = '0190a000-0000-7000-8000-000000000001';
const rooms = Array.from({ length: 12 }, (_, n) => roomKey(requestRoom('ada', `r-${n}`)));

let servers: RedisServer[];
let nodes: Redis[];
let cluster: Cluster;
beforeAll(async () => {
  const busPorts = [await freePort(), await freePort()];
  servers = await Promise.all(busPorts.map((busPort) => startRedis({ busPort })));
  nodes = servers.map(({ url }) => new Redis(url));
  const [a, b] = nodes as [Redis, Redis];
  await a.call('CLUSTER', 'ADDSLOTSRANGE', '0', '8191');
  await b.call('CLUSTER', 'ADDSLOTSRANGE', '8192', '16383');
  await a.call('CLUSTER', 'MEET', '127.0.0.1', `${servers[1]?.port}`, `${busPorts[1]}`);
  const isWhole = async (node: Redis) => String(await node.call('CLUSTER', 'INFO')).includes('cluster_state:ok');
  await eventually(
    async () => ((await Promise.all(nodes.map(isWhole))).every(Boolean) ? true : undefined),
    'the cluster',
    20_000,
  );
  cluster = new Cluster(servers.map(({ port }) => ({ host: '127.0.0.1', port })));
  await nextEvent(cluster, 'ready');
}, 30_000);
afterAll(async () => {
  for (const connection of [cluster, ...nodes]) connection.disconnect();
  await Promise.all(servers.map((server) => server.kill()));
});

const batch = (room: string, seqs: readonly number[]): RoomBatch => {
  const timestamp = new Date().toISOString();
  const notification = { id: 'n', type: 't', data: {}, status: 'success' as const, timestamp };
  return { room, epoch, entries: seqs.map((seq) => ({ room, seq, epoch, notification })) };
};

test('rooms of all nodes of a cluster are published, kept and read together', async () => {
  const redis = cluster as unknown as OneRedis;
  const options = { prefix: 'synap', clock: systemClock, generation: new RedisGeneration(redis) };
  const frames = new AdapterFrames('synap.io');
  const [fanout, recent] = [new RedisFanout(redis, frames, options), new RedisRecent(redis, frames, options)];
  const generation = await options.generation.current();
  await cluster.set(`synap:life:${generation}`, 1);
  const heard = new Collected<string>();
  const [listener] = nodes as [Redis];
  listener.on('pmessage', (_pattern, channel: string) => heard.add(channel));
  await listener.psubscribe('synap.io#/#*');

  const results = await fanout.publish(rooms.map((room) => batch(room, [1, 2])));
  expect(results).toEqual(rooms.map(() => ({ outcome: 'published', top: 2, fresh: 2 })));
  const keysOn = await Promise.all(nodes.slice(1).map((node) => node.dbsize()));
  expect(keysOn.every((count) => count > 0)).toBe(true);

  const [room = ''] = rooms;
  const delta = { room: 'request_r-0', requestId: 'r-0', eventId: 'e', attempt: 1, offset: 0, text: 'so far' };
  fanout.ephemeral(room, { event: 'delta', payload: delta });
  await heard.count(25, 'frames');

  const read = await Promise.all(rooms.map((each) => recent.read(each, { epoch, seq: 1 })));
  expect(read.map((one) => one?.tail?.notifications.map(({ seq }) => seq))).toEqual(rooms.map(() => [2]));
  expect(read[0]?.streams).toEqual([delta]);
});

test('who is connected to rooms of all nodes of a cluster is known to other processes', async () => {
  const [a, b] = ['a', 'b'].map(
    (nodeId) => new RedisPresence(cluster as unknown as OneRedis, { prefix: 'synap', nodeId, clock: systemClock }),
  ) as [RedisPresence, RedisPresence];
  const users = rooms.map((_, n) => `ada-${n}`);
  const leave = rooms.map((room, n) => a.connect({ room, userId: users[n] ?? '', device: { id: 'pc' } }));
  const seen = async () => [
    await Promise.all(rooms.map((room) => b.count(room))),
    (await Promise.all(users.map((user) => b.devices(user)))).map((devices) => devices.length),
  ];
  await a.settle();
  expect(await seen()).toEqual([rooms.map(() => 1), rooms.map(() => 1)]);
  for (const each of leave) each();
  await a.settle();
  expect(await seen()).toEqual([rooms.map(() => 0), rooms.map(() => 0)]);
});

test('every process finds the same generation, whichever node it asks', async () => {
  const other = new Cluster([{ host: '127.0.0.1', port: servers[1]?.port ?? 0 }]);
  await nextEvent(other, 'ready');
  const of = (one: Cluster) => new RedisGeneration(one as unknown as OneRedis).current();
  const [a, b] = [await of(cluster), await of(other)];
  other.disconnect();
  expect(a).toBe(b);
  expect(a).toMatch(/^\w{12}$/);
});

test('a failover of any one node makes another generation', async () => {
  /** A cluster whose masters have these replication ids: a real one keeps its own. */
  const of = (...ids: string[]) => {
    const masters = ids.map((id) => ({ info: () => Promise.resolve(`master_replid:${id.repeat(40)}\r\n`) }));
    const played = { status: 'ready', on: () => undefined, nodes: () => masters };
    return new RedisGeneration(played as unknown as OneRedis).current();
  };
  const generations = await Promise.all([of('a', 'b'), of('b', 'a'), of('a', 'c'), of('c', 'b')]);
  expect(generations[1]).toBe(generations[0]);
  expect(new Set(generations).size).toBe(3);
});
