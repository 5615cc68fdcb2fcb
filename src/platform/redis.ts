import { Redis } from 'ioredis';
import { SynapError, toError } from './errors.js';
import type { Logger } from './logger.js';

export type { Redis };

/**
 * One connection. `purpose` is its name in CLIENT LIST. Commands wait while Redis is away and are sent again when it is
 * back (`maxRetriesPerRequest: null`, as BullMQ's workers need): everything sent through here must be idempotent.
 */
export function connectRedis(
  url: string,
  purpose: string,
  logger: Logger,
  options: { readonly enableOfflineQueue?: boolean; readonly maxRetriesPerRequest?: number } = {},
): Redis {
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

/**
 * One try to reach Redis, for a start that should say at once what is wrong.
 * @throws SynapError `start_failed`
 */
export async function checkRedis(url: string): Promise<void> {
  const redis = new Redis(url, {
    lazyConnect: true,
    retryStrategy: () => null,
    connectTimeout: 5_000,
    maxRetriesPerRequest: 0,
  });
  let reason = 'does not answer';
  redis.on('error', (error: Error) => {
    reason = error.message;
  });
  try {
    await redis.connect();
    await redis.ping();
  } catch (thrown) {
    const { host } = new URL(url);
    const message = `Redis at ${host} is out of reach: ${reason === 'does not answer' ? toError(thrown).message : reason}`;
    throw new SynapError('start_failed', message, { publicMessage: message, cause: thrown });
  } finally {
    redis.disconnect();
  }
}
