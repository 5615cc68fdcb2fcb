import type { ClientRateLimitInfo, Store } from 'express-rate-limit';
import type { Counters, WindowRule } from './counters.js';

/** Lets express-rate-limit count with Synap's counters. */
export class WindowStore implements Store {
  readonly prefix: string;
  readonly #counters: Counters;
  readonly #rule: WindowRule;

  constructor(prefix: string, counters: Counters, rule: WindowRule) {
    this.prefix = prefix;
    this.#counters = counters;
    this.#rule = rule;
  }

  increment(key: string): ClientRateLimitInfo {
    return this.#count(key, 1);
  }

  decrement(key: string): void {
    this.#count(key, -1);
  }

  /** Required by the interface; Synap never forgives before the window ends. */
  resetKey(): void {}

  #count(key: string, amount: number): ClientRateLimitInfo {
    const { total, endsAt } = this.#counters.hit(`${this.prefix}${key}`, this.#rule, amount);
    return { totalHits: total, resetTime: new Date(endsAt) };
  }
}
