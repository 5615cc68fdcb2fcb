import type { RequestHandler } from 'express';
import type { Clock, Random } from '../../platform/clock.js';
import { SynapError } from '../../platform/errors.js';
import type { LoopDelay } from '../../platform/event-loop.js';
import type { Metrics } from '../../platform/metrics.js';

export interface AdmissionDeps {
  readonly loop: Pick<LoopDelay, 'readMs'>;
  /** Whether what is written now would wait too long for its commit. */
  readonly isCommitterBehind: () => boolean;
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly random: Random;
}

const lookEveryMs = 250;
/** A call passes the loop some four times, so this is most of a second. */
const maxDelayMs = 200;
/** A start, or a moment in which the machine does something else, is no overload: lateness must last for a second. */
const looksToShed = 4;
const more = 0.1;
const less = 0.05;
const most = 0.95;

/**
 * Refuses early what would come too late: under overload the calls that are accepted are answered in time, and the others are told
 * when to come back. What the loop cannot bear is refused by a share that grows while the delay is above its bound and shrinks
 * while it is below, so that it settles instead of swinging between all and nothing.
 */
export class Admission {
  readonly #deps: AdmissionDeps;
  #share = 0;
  #lateLooks = 0;
  #cancel: () => void = () => undefined;

  constructor(deps: AdmissionDeps) {
    this.#deps = deps;
  }

  start(): void {
    this.#cancel = this.#deps.clock.after(lookEveryMs, () => {
      this.#look();
      this.start();
    });
  }

  stop(): void {
    this.#cancel();
  }

  #look(): void {
    const isLate = this.#deps.loop.readMs() > maxDelayMs;
    this.#lateLooks = isLate ? this.#lateLooks + 1 : 0;
    if (!isLate) this.#share = Math.max(0, this.#share - less);
    else if (this.#share > 0 || this.#lateLooks >= looksToShed) this.#share = Math.min(most, this.#share + more);
  }

  /** Before what writes. */
  readonly guard: RequestHandler = (req, _res, next) => {
    const reason = this.#reason();
    if (reason === undefined) return next();
    this.#deps.metrics.requestsShed.inc({ reason });
    // A line for each would be load on top of too much.
    req.call.isQuiet = true;
    next(new SynapError('overloaded', `shed: ${reason}`, { retryAfterMs: 1_000 }));
  };

  #reason(): 'event_loop' | 'committer' | undefined {
    if (this.#share > 0 && this.#deps.random() < this.#share) return 'event_loop';
    return this.#deps.isCommitterBehind() ? 'committer' : undefined;
  }
}
