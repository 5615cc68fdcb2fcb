import { Queue, Worker } from 'bullmq';
import { connectRedis } from '../platform/redis.js';
import type { Logger } from '../platform/logger.js';
import type { BullMqStore } from './bullmq-backend.js';
import { coalesceWrites } from './coalesced-writes.js';
import { RedisLooks } from './redis-looks.js';

/**
 * Queues in Redis. The prefix carries a hash tag per queue, so that in Redis Cluster each queue lives in one slot and
 * different queues may live on different nodes.
 */
export function createRedisStore(url: string, prefix: string, logger: Logger): BullMqStore {
  // Producers fail at once while Redis is away: the outbox keeps the job, so waiting here would only fill memory.
  // Frozen it accepts commands for a while: giving them up is harmless, since ids are the same when they are added again.
  const producer = connectRedis(url, 'queues', logger, {
    enableOfflineQueue: false,
    maxRetriesPerRequest: 1,
    commandTimeout: 5_000,
  });
  const consumer = connectRedis(url, 'workers', logger);
  coalesceWrites(consumer);
  const prefixOf = (name: string) => `{${prefix}:${name}}`;
  return {
    mode: 'redis',
    looks: new RedisLooks(producer, prefixOf),
    // The version check asks Redis once, when the queue is made: refused then, it would fail the queue for ever.
    createQueue: (name) =>
      new Queue(name, {
        connection: producer,
        prefix: prefixOf(name),
        skipWaitingForReady: true,
        skipVersionCheck: true,
        streams: { events: { maxLen: 1_000 } },
      }),
    createWorker: (name, processor, options) =>
      new Worker(name, processor, { ...options, connection: consumer, prefix: prefixOf(name) }),
    async ping() {
      await producer.ping();
    },
    close() {
      producer.disconnect();
      consumer.disconnect();
      return Promise.resolve();
    },
  };
}
