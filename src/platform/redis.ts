import { Redis } from 'ioredis';
import type { Logger } from './logger.js';

export type { Redis };

/**
 * One connection. `purpose` is its name in CLIENT LIST. Commands wait while Redis is away and are sent again when it is
 * back (`maxRetriesPerRequest: null`, as BullMQ's workers need): everything sent through here must be idempotent.
 */
export function connectRedis(url: string, purpose: string, logger: Logger, options: { readonly enableOfflineQueue?: boolean; readonly maxRetriesPerRequest?: number } = {}): Redis {
  const redis = new Redis(url, {
    connectionName: `synap-${purpose}`,
    maxRetriesPerRequest: null,
    enableReadyCheck: true,
    retryStrategy: (times) => Math.min(50 * 2 ** Math.min(times, 6), 2_000),
    ...options,
  });
  let isAway = false;
  redis.on('error', (error: Error) => {
    // One line when it goes away, not one for each of the attempts to reach it again.
    if (!isAway) logger.warn({ err: error, purpose }, 'Redis is out of reach');
    isAway = true;
  });
  redis.on('ready', () => {
    if (isAway) logger.info({ purpose }, 'Redis is back');
    isAway = false;
  });
  return redis;
}
