import type { Clock } from '../../platform/clock.js';

/** A fixed window, which begins with its first hit. */
export interface WindowRule {
  readonly windowMs: number;
  /** Who reaches `after` hits in a window has it stretched to `forMs`: a ban. */
  readonly ban?: { readonly after: number; readonly forMs: number };
}

export interface Count {
  readonly total: number;
  /** Milliseconds since the epoch: when the window ends and the count begins anew. */
  readonly endsAt: number;
}

export interface Counters {
  /** Counts and answers at once, from what this process knows. */
  hit(key: string, rule: WindowRule, amount: number): Count;
  /** Counts and answers what all processes know, where they can be asked in time. */
  hitEverywhere(key: string, rule: WindowRule, amount: number): Promise<Count>;
}

const sweepEveryMs = 60_000;
/** About 30 MB; beyond it the oldest windows are forgotten rather than the process lost. */
const maxWindows = 200_000;

/** The counts of this process. */
export class LocalCounters implements Counters {
  readonly #clock: Clock;
  readonly #windows = new Map<string, Count>();
  #sweepAt = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  hit(key: string, rule: WindowRule, amount: number): Count {
    const now = this.#clock.now();
    this.#sweep(now);
    const known = this.#windows.get(key);
    const before = known !== undefined && known.endsAt > now ? known : { total: 0, endsAt: now + rule.windowMs };
    return this.learn(key, { total: before.total + amount, endsAt: stretched(before, amount, rule, now) });
  }

  hitEverywhere(key: string, rule: WindowRule, amount: number): Promise<Count> {
    return Promise.resolve(this.hit(key, rule, amount));
  }

  /** Takes over what is known elsewhere. */
  learn(key: string, count: Count): Count {
    this.#windows.set(key, count);
    return count;
  }

  #sweep(now: number): void {
    if (this.#windows.size >= maxWindows) this.#windows.delete(this.#windows.keys().next().value ?? '');
    if (now < this.#sweepAt) return;
    this.#sweepAt = now + sweepEveryMs;
    for (const [key, { endsAt }] of this.#windows) if (endsAt <= now) this.#windows.delete(key);
  }
}

/** Only the hit that crosses the line stretches the window: a ban ends although its victim goes on. */
function stretched({ total, endsAt }: Count, amount: number, { ban }: WindowRule, now: number): number {
  return ban !== undefined && total < ban.after && total + amount >= ban.after
    ? Math.max(endsAt, now + ban.forMs)
    : endsAt;
}
