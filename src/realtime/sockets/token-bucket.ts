import type { Clock } from '../../platform/clock.js';

export interface BucketRule {
  readonly burst: number;
  readonly perSecond: number;
}

/** So many at once, and so many a second in the long run. */
export class TokenBucket {
  readonly #rule: BucketRule;
  readonly #clock: Pick<Clock, 'now'>;
  #left: number;
  #filledAt: number;

  constructor(rule: BucketRule, clock: Pick<Clock, 'now'>) {
    this.#rule = rule;
    this.#clock = clock;
    this.#left = rule.burst;
    this.#filledAt = clock.now();
  }

  take(): boolean {
    const now = this.#clock.now();
    const gained = (Math.max(0, now - this.#filledAt) / 1_000) * this.#rule.perSecond;
    this.#left = Math.min(this.#rule.burst, this.#left + gained);
    this.#filledAt = now;
    if (this.#left < 1) return false;
    this.#left -= 1;
    return true;
  }
}
