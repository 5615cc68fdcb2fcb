import { Redis } from 'ioredis';
import { SynapError, toError } from './errors.js';
import type { Logger } from './logger.js';

export type { Redis };

export interface RedisConnectionOptions {
  /** False: commands fail at once while Redis is away. */
  readonly enableOfflineQueue?: boolean;
  readonly maxRetriesPerRequest?: number;
  /** Commands fail after this, whatever became of them. Never on a worker's connection. */
  readonly commandTimeout?: number;
  /** How long an answer may take before the connection is made anew. */
  readonly answerTimeoutMs?: number;
}

/** A command without an answer for so long: the way is dead, whatever the socket says. More than BullMQ's longest block (10 s). */
const longestAnswerMs = 12_000;
/** A connection that asks nothing (a subscriber) would never notice. */
const pingEveryMs = 3_000;

/**
 * One connection. `purpose` is its name in CLIENT LIST. Commands wait while Redis is away and are sent again when it is
 * back (`maxRetriesPerRequest: null`, as BullMQ's workers need): everything sent through here must be idempotent.
 */
export function connectRedis(
  url: string,
  purpose: string,
  logger: Logger,
  { answerTimeoutMs = longestAnswerMs, ...options }: RedisConnectionOptions = {},
): Redis {
  const redis = new Redis(url, {
    connectionName: `synap-${purpose}`,
    maxRetriesPerRequest: null,
    enableReadyCheck: true,
    // What waits for Redis starts so long after it is back, at most.
    retryStrategy: (times) => Math.min(50 * 2 ** Math.min(times, 4), 500),
    connectTimeout: 5_000,
    keepAlive: 10_000,
    socketTimeout: answerTimeoutMs,
    // After a failover this connection leads to a replica. The command fails; whoever sent it asks again, of the new master.
    reconnectOnError: ({ message }) => message.startsWith('READONLY'),
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
  pingWhileReady(redis);
  return redis;
}

/** So that each connection has a command under way from time to time, and with it a bound for the answer. */
function pingWhileReady(redis: Redis): void {
  let isAsking = false;
  const timer = setInterval(() => {
    if (isAsking || redis.status !== 'ready') return;
    isAsking = true;
    const isOver = () => void (isAsking = false);
    redis.ping().then(isOver, isOver);
  }, pingEveryMs);
  timer.unref();
  redis.once('end', () => clearInterval(timer));
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
    socketTimeout: 5_000,
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
