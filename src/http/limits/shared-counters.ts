import type { Clock } from '../../platform/clock.js';
import { toError } from '../../platform/errors.js';
import type { Logger } from '../../platform/logger.js';
import type { Redis } from '../../platform/redis.js';
import { LocalCounters, type Count, type Counters, type WindowRule } from './counters.js';

/** The same as LocalCounters.hit. Sent twice by a reconnecting client it counts twice, which a rate limit can bear. */
const script = `
local total = redis.call('INCRBY', KEYS[1], ARGV[1])
local ttl = redis.call('PTTL', KEYS[1])
if ttl < 0 then ttl = tonumber(ARGV[2]) redis.call('PEXPIRE', KEYS[1], ttl) end
local banAfter, banFor = tonumber(ARGV[3]), tonumber(ARGV[4])
if banAfter > 0 and total >= banAfter and total - ARGV[1] < banAfter and banFor > ttl then
  ttl = banFor
  redis.call('PEXPIRE', KEYS[1], ttl)
end
return {total, ttl}`;

const answerWithinMs = 100;
/** Keys that wait for a round trip; of more, each process knows its own count only. */
const maxUnsent = 10_000;

interface Unsent {
  readonly rule: WindowRule;
  readonly amount: number;
}

export interface SharedCountersOptions {
  readonly redis: Redis;
  readonly prefix: string;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * Counts shared by all processes through Redis. A request never waits for Redis: it is counted here at once, and while one
 * round trip is under way the hits of the next gather. So an alternating client is refused at most a few calls late,
 * and with Redis away or frozen each process limits by its own count.
 */
export class SharedCounters implements Counters {
  readonly #options: SharedCountersOptions;
  readonly #local: LocalCounters;
  #unsent = new Map<string, Unsent>();
  #isSending = false;
  /** Answers that did not come in time. While there are any nobody waits for one: a frozen Redis must not slow every call. */
  #late = 0;

  constructor(options: SharedCountersOptions) {
    this.#options = options;
    this.#local = new LocalCounters(options.clock);
  }

  hit(key: string, rule: WindowRule, amount: number): Count {
    const count = this.#local.hit(key, rule, amount);
    if (this.#isReady && (this.#unsent.size < maxUnsent || this.#unsent.has(key))) {
      this.#unsent.set(key, { rule, amount: amount + (this.#unsent.get(key)?.amount ?? 0) });
      if (!this.#isSending) void this.#sendAll();
    }
    return count;
  }

  async hitEverywhere(key: string, rule: WindowRule, amount: number): Promise<Count> {
    if (!this.#isReady || this.#late > 0) return this.hit(key, rule, amount);
    const count = this.#local.hit(key, rule, amount);
    const late = Promise.withResolvers<Count>();
    const sent = this.#send(key, { rule, amount });
    const cancel = this.#options.clock.after(answerWithinMs, () => {
      late.resolve(count);
      this.#late++;
      const isOver = () => void this.#late--;
      sent.then(isOver, isOver);
    });
    try {
      return await Promise.race([sent, late.promise]);
    } catch (thrown) {
      this.#complain(thrown);
      return count;
    } finally {
      cancel();
    }
  }

  get #isReady(): boolean {
    return this.#options.redis.status === 'ready';
  }

  async #sendAll(): Promise<void> {
    this.#isSending = true;
    try {
      while (this.#unsent.size > 0) {
        const batch = this.#unsent;
        this.#unsent = new Map();
        await Promise.all([...batch].map(([key, unsent]) => this.#send(key, unsent)));
      }
    } catch (thrown) {
      this.#complain(thrown);
    } finally {
      this.#isSending = false;
    }
  }

  async #send(key: string, { rule, amount }: Unsent): Promise<Count> {
    const { redis, prefix, clock } = this.#options;
    const { windowMs, ban } = rule;
    const answer = await redis.eval(script, 1, `${prefix}${key}`, amount, windowMs, ban?.after ?? 0, ban?.forMs ?? 0);
    const [total, ttl] = answer as [number, number];
    return this.#local.learn(key, { total: total + (this.#unsent.get(key)?.amount ?? 0), endsAt: clock.now() + ttl });
  }

  #complain(thrown: unknown): void {
    this.#options.logger.warn({ err: toError(thrown) }, 'rate limits are not shared at the moment');
  }
}
