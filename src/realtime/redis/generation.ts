import { createHash } from 'node:crypto';
import { Redis, type Cluster } from 'ioredis';

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
      reading.resolve(await readGeneration(this.#redis));
    } catch (thrown) {
      reading.reject(new RedisAway('Redis did not say its replication id', { cause: thrown }));
    }
    // Those who asked before the first connection was there.
    waiting.resolve(reading.promise);
  }
}

/** Of a cluster, of all of its masters: every process must find the same, and any failover makes another. */
async function readGeneration(redis: Redis | Cluster): Promise<string> {
  const masters = redis instanceof Redis ? [redis] : redis.nodes('master');
  const infos = await Promise.all(masters.map((master) => master.info('replication')));
  const ids = infos.map((info) => /^master_replid:(\w{12})/m.exec(info)?.[1] ?? 'unknown').toSorted();
  const [first = '', ...others] = ids;
  return others.length === 0 ? first : createHash('sha256').update(ids.join()).digest('hex').slice(0, 12);
}

/** Rejected with nobody listening is the normal case here. */
function unawaited(): PromiseWithResolvers<string> {
  const deferred = Promise.withResolvers<string>();
  deferred.promise.catch(() => undefined);
  return deferred;
}
