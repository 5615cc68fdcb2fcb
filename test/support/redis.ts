import { randomBytes } from 'node:crypto';
import type { Redis } from 'ioredis';
import { watchChild } from './children.js';
import { requireEnv } from './env.js';
import { spawnRedis, type RedisServer } from './redis-server.js';

export type { RedisServer };

/** The run's Redis. It is shared: keep to a prefix of your own, and flush, freeze or kill only one from `startRedis`. */
export function redisUrl(): string {
  return requireEnv('SYNAP_TEST_REDIS_URL');
}

/** For QUEUE_PREFIX and whatever else names keys or channels. */
export function createRedisPrefix(): string {
  return `test-${randomBytes(6).toString('hex')}`;
}

/** A Redis for this test file alone; see `spawnRedis`. */
export async function startRedis(
  options: { readonly port?: number; readonly dump?: string; readonly busPort?: number } = {},
): Promise<RedisServer> {
  const server = await spawnRedis(options);
  watchChild(server.child, `Redis on port ${server.port}`);
  return server;
}

/** Makes this life of Redis look old to an installation: in the first minute of one nothing is answered from tails. */
export async function ageLife(redis: Redis, prefix: string): Promise<void> {
  const generation = /master_replid:(\w{12})/.exec(await redis.info('replication'))?.[1] ?? '';
  await redis.set(`${prefix}:life:${generation}`, 1);
}
