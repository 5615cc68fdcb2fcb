import { newId } from '../platform/ids.js';
import type { Redis } from '../platform/redis.js';
import type { Occupancy } from './backend.js';
import type { Looks } from './bullmq-backend.js';
import { priorities } from './priorities.js';

/** The lists of BullMQ in which a ticket is to be delivered, or was and is not disposed of. */
const lists = ['prioritized', 'delayed', 'active', 'wait', 'paused'] as const;

/** BullMQ's score of a ticket that waits: its priority, then its place among those of the same one. */
const scoreOf = (priority: number): number => priority * 0x1_0000_0000;

const missingScript = `
local missing = {}
for _, id in ipairs(ARGV) do
  if not (redis.call('ZSCORE', KEYS[1], id) or redis.call('ZSCORE', KEYS[2], id) or redis.call('LPOS', KEYS[3], id)
    or redis.call('LPOS', KEYS[4], id) or redis.call('LPOS', KEYS[5], id)) then
    missing[#missing + 1] = id
  end
end
return missing`;

/** What dispatch asks of queues in Redis, each question in one round trip. */
export class RedisLooks implements Looks {
  readonly #redis: Redis;
  readonly #prefixOf: (queue: string) => string;

  constructor(redis: Redis, prefixOf: (queue: string) => string) {
    this.#redis = redis;
    this.#prefixOf = prefixOf;
  }

  async missing(queue: string, ids: readonly string[]): Promise<ReadonlySet<string>> {
    const keys = lists.map((list) => this.#key(queue, list));
    return new Set((await this.#redis.eval(missingScript, keys.length, ...keys, ...ids)) as string[]);
  }

  async active(queues: readonly string[]): Promise<ReadonlyMap<string, readonly string[]>> {
    const active = await this.#all<string[]>(queues.map((queue) => ['lrange', this.#key(queue, 'active'), 0, -1]));
    return new Map(queues.map((queue, nth) => [queue, active[nth] ?? []]));
  }

  async occupancy(queues: readonly string[]): Promise<ReadonlyMap<string, Occupancy>> {
    const counts = await this.#all<number>(
      queues.flatMap((queue) => [
        ...lists.map((list) => [
          list === 'prioritized' || list === 'delayed' ? 'zcard' : 'llen',
          this.#key(queue, list),
        ]),
        ['zcount', this.#key(queue, 'prioritized'), '-inf', `(${scoreOf(priorities.high + 1)}`],
      ]),
    );
    const perQueue = lists.length + 1;
    return new Map(
      queues.map((queue, nth) => {
        const own = counts.slice(nth * perQueue, (nth + 1) * perQueue);
        const high = own.pop() ?? 0;
        return [queue, { tickets: own.reduce((sum, n) => sum + n, 0), high }];
      }),
    );
  }

  /** The master's replication id tells a restart, a failover and an old dump; the sentinel tells a flush. */
  async generations(queues: readonly string[]): Promise<ReadonlyMap<string, string>> {
    const sentinels = queues.map((queue) => ['get', this.#sentinelOf(queue)]);
    const [info, ...ids] = await this.#all<string | null>([['info', 'replication'], ...sentinels]);
    return new Map(queues.map((queue, nth) => [queue, nameOf(info, ids[nth] ?? '')]));
  }

  async beginGeneration(queue: string): Promise<string> {
    const id = newId();
    const [, info] = await this.#all<string>([
      ['set', this.#sentinelOf(queue), id],
      ['info', 'replication'],
    ]);
    return nameOf(info, id);
  }

  async overtaken(queue: string, priority: number, limit: number): Promise<readonly string[]> {
    const key = this.#key(queue, 'prioritized');
    const [ahead, ids] = await this.#all<number | string[]>([
      ['zcount', key, '-inf', `(${scoreOf(priority)}`],
      ['zrangebyscore', key, scoreOf(priority), `(${scoreOf(priority + 1)}`, 'LIMIT', 0, limit],
    ]);
    return ahead === 0 ? [] : (ids as string[]);
  }

  async #all<T>(commands: (string | number)[][]): Promise<T[]> {
    const answers = (await this.#redis.pipeline(commands).exec()) ?? [];
    return answers.map(([error, answer]) => {
      if (error !== null) throw error;
      return answer as T;
    });
  }

  #key(queue: string, name: string): string {
    return `${this.#prefixOf(queue)}:${queue}:${name}`;
  }

  /** Beside BullMQ's own keys, in the same slot. */
  #sentinelOf(queue: string): string {
    return `${this.#prefixOf(queue)}:generation`;
  }
}

const nameOf = (info: string | null | undefined, sentinel: string): string =>
  `${/^master_replid:(\w+)/m.exec(info ?? '')?.[1] ?? ''}/${sentinel}`;
