import type { Redis } from '../platform/redis.js';

/** Redis is not connected; what was to be published stays in Postgres. */
export class RedisAway extends Error {
  override readonly name = 'RedisAway';
}

/**
 * Tells one life of Redis from the next by the replication id of the master: read anew at every reconnect, a part of the keys.
 * After a failover or a restart all rooms are cold, whatever a replica or a file remembers of an older state.
 */
export class RedisGeneration {
  readonly #redis: Redis;
  #generation: PromiseWithResolvers<string>;

  constructor(redis: Redis) {
    this.#redis = redis;
    this.#generation = unawaited();
    redis.on('close', () => this.#lose());
    redis.on('ready', () => void this.#read());
    if (redis.status === 'ready') void this.#read();
  }

  /** Waits for the first connection; @throws RedisAway while a connection that was there is lost. */
  current(): Promise<string> {
    return this.#generation.promise;
  }

  #lose(): void {
    this.#generation.reject(new RedisAway('Redis is away'));
    this.#generation = unawaited();
    this.#generation.reject(new RedisAway('Redis is away'));
  }

  async #read(): Promise<void> {
    const reading = unawaited();
    const waiting = this.#generation;
    this.#generation = reading;
    try {
      const info = await this.#redis.info('replication');
      reading.resolve(/^master_replid:(\w{12})/m.exec(info)?.[1] ?? 'unknown');
    } catch (thrown) {
      reading.reject(new RedisAway('Redis did not say its replication id', { cause: thrown }));
    }
    // Those who asked before the first connection was there.
    waiting.resolve(reading.promise);
  }
}

/** Rejected with nobody listening is the normal case here. */
function unawaited(): PromiseWithResolvers<string> {
  const deferred = Promise.withResolvers<string>();
  deferred.promise.catch(() => undefined);
  return deferred;
}
