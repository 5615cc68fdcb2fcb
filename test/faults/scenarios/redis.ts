import path from 'node:path';
import { eventually } from '../../support/signals.ts';
import type { Scenario, Stage } from '../scenario.ts';
import { RedisServer } from '../stack/redis.ts';
import { forgetBacklog, loseHashes, loseTickets } from './means.ts';

const mixed = { work: 7, slow: 2, ordered: 1 };
const load = { perSecond: 20, seconds: 7, mix: mixed };

/** To one that was cut off from the writes for the last while, as an asynchronous replica may be. */
async function failOver({ stack, at }: Stage): Promise<void> {
  const old = stack.redis;
  const replica = await RedisServer.create(path.join(stack.directory, `redis-${old.port}`));
  await replica.start();
  await replica.client.replicaof('127.0.0.1', old.port);
  await eventually(
    async () => ((await replica.client.info('replication')).includes('master_link_status:up') ? true : undefined),
    'the replica to be in step',
  );
  await at(2_000);
  await replica.client.replicaof('NO', 'ONE');
  await at(4_000);
  await old.kill();
  stack.redis = replica;
  stack.redisProxy.retarget(replica.port);
  stack.redisProxy.reset();
}

export const redis: readonly Scenario[] = [
  {
    name: 'Redis killed and back empty',
    load,
    async act({ stack, at }) {
      await at(1_500);
      await stack.redis.kill();
      await at(4_500);
      await stack.redis.start();
    },
  },
  {
    name: 'Redis killed and back from an old dump',
    load,
    async act({ stack, at }) {
      await at(1_500);
      await stack.redis.keepDump();
      await at(4_000);
      await stack.redis.kill();
      await stack.redis.start({ fromKeptDump: true });
    },
  },
  { name: 'Redis fails over to a replica behind', load, act: failOver },
  {
    name: 'Redis frozen',
    load,
    async act({ stack, at }) {
      await at(1_500);
      stack.redis.freeze();
      await at(5_500);
      stack.redis.thaw();
    },
  },
  {
    name: 'FLUSHALL',
    load,
    async act({ stack, at }) {
      await at(3_000);
      await stack.redis.client.flushall();
    },
  },
  {
    name: 'FLUSHALL while tickets wait',
    load,
    async act(stage) {
      await stage.at(1_500);
      await forgetBacklog(stage);
    },
  },
  {
    name: 'FLUSHALL again and again',
    load,
    async act({ stack, at, random }) {
      for (let ms = 1_000; ms < 6_000; ms += 300 + random() * 900) {
        await at(ms);
        await stack.redis.client.flushall();
      }
    },
  },
  {
    name: 'Redis out of memory',
    load,
    async act({ stack, at }) {
      await at(1_500);
      await stack.redis.client.config('SET', 'maxmemory', '1');
      await at(5_000);
      await stack.redis.client.config('SET', 'maxmemory', '0');
    },
  },
  {
    name: 'tickets deleted',
    load,
    bounds: { startMs: 40_000, drainMs: 90_000 },
    async act(stage) {
      await stage.at(1_500);
      await loseTickets(stage);
    },
  },
  {
    name: 'data of tickets deleted',
    load,
    bounds: { startMs: 40_000, drainMs: 90_000 },
    async act(stage) {
      await stage.at(1_500);
      await loseHashes(stage);
    },
  },
];
