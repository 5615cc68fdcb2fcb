import { createHash, timingSafeEqual } from 'node:crypto';
import type { Clock } from '../platform/clock.js';
import type { Sql } from '../platform/database.js';
import type { Service } from './call.js';

export interface ServiceKeys {
  /** The service that `key` belongs to, or undefined. */
  verify(key: string): Promise<Service | undefined>;
}

const freshMs = 30_000;
/** An unknown key may be a new one; guesses must not become a query each. */
const soonestReloadMs = 1_000;

/** Of whoever runs Synap. A service that only broadcasts gets a key in `api_keys`, with that scope alone. */
const configured: Service = { id: 'API_KEY', scopes: ['broadcast', 'admin'] };

/** How `api_keys.hash` is made. Keys are long and random, so a plain digest is enough. */
export const hashApiKey = (key: string): string => createHash('sha256').update(key).digest('hex');

/**
 * The key of the configuration and those in `api_keys`, which are held in memory: a revoked key stops within 30 s, a
 * new one works within 1 s.
 */
export class StoredServiceKeys implements ServiceKeys {
  readonly #configuredHash: Buffer | undefined;
  readonly #sql: Sql;
  readonly #clock: Clock;
  #byHash: ReadonlyMap<string, Service> = new Map();
  #loadedAt = -Infinity;
  #loading: Promise<void> | undefined;

  constructor(deps: { readonly apiKey: string | undefined; readonly sql: Sql; readonly clock: Clock }) {
    this.#configuredHash = deps.apiKey === undefined ? undefined : Buffer.from(hashApiKey(deps.apiKey));
    this.#sql = deps.sql;
    this.#clock = deps.clock;
  }

  async verify(key: string): Promise<Service | undefined> {
    const hash = hashApiKey(key);
    // Equal lengths, and digests: the time this takes says nothing of the key.
    if (this.#configuredHash !== undefined && timingSafeEqual(this.#configuredHash, Buffer.from(hash)))
      return configured;
    if (this.#age > (this.#byHash.has(hash) ? freshMs : soonestReloadMs)) await this.#reload();
    return this.#byHash.get(hash);
  }

  get #age(): number {
    return this.#clock.now() - this.#loadedAt;
  }

  async #reload(): Promise<void> {
    this.#loading ??= this.#load().finally(() => {
      this.#loading = undefined;
    });
    await this.#loading;
  }

  async #load(): Promise<void> {
    const rows = await this.#sql
      .selectFrom('api_keys')
      .select(['id', 'hash', 'scopes'])
      .where('revokedAt', 'is', null)
      .execute();
    this.#byHash = new Map(rows.map(({ id, hash, scopes }) => [hash, { id, scopes }]));
    this.#loadedAt = this.#clock.now();
  }
}
