import type { Clock } from './clock.js';
import { toError } from './errors.js';
import type { Logger } from './logger.js';

export interface PeriodicOptions {
  readonly name: string;
  readonly everyMs: number;
  /**
   * One round. Answers true where there is more to do at once, or the milliseconds to rest where that is less than `everyMs`. A
   * throw is logged and the next round comes as usual.
   */
  readonly run: () => Promise<boolean | number | void>;
  readonly clock: Clock;
  readonly logger: Logger;
  /** A round is left out while this process does not lead. */
  readonly leader?: { readonly isLeader: boolean } | undefined;
  /** What a failed round is called where it is to be expected, as while a store is away: it is logged for who looks closely. */
  readonly failure?: string;
}

/** A round that hangs (a frozen Redis) must not take the time of whatever stops after it; rounds can be repeated. */
const stopWithinMs = 1_000;

/** A service that does a round, rests, and does the next: never two at once. Stopping waits a moment for the round in hand. */
export class Periodic {
  readonly #options: PeriodicOptions;
  #cancel: () => void = () => undefined;
  #round: Promise<void> | undefined;
  #isStopped = false;

  constructor(options: PeriodicOptions) {
    this.#options = options;
  }

  start(): void {
    this.#schedule(0);
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#cancel();
    const { clock, logger, name } = this.#options;
    const late = Promise.withResolvers<void>();
    const cancel = clock.after(stopWithinMs, () => {
      logger.warn({ service: name }, 'stops in the middle of a round');
      late.resolve();
    });
    await Promise.race([this.#round, late.promise]);
    cancel();
  }

  #schedule(delayMs: number): void {
    this.#cancel = this.#options.clock.after(delayMs, () => {
      this.#round = this.#runOnce();
    });
  }

  async #runOnce(): Promise<void> {
    const { name, run, logger, everyMs, leader, failure } = this.#options;
    let restMs = everyMs;
    try {
      const answer = leader?.isLeader === false ? undefined : await run();
      if (answer === true) restMs = 0;
      if (typeof answer === 'number') restMs = Math.min(Math.max(0, answer), everyMs);
    } catch (thrown) {
      const said = { err: toError(thrown), service: name };
      if (failure === undefined) logger.warn(said, 'a round failed; the next one follows');
      else logger.debug(said, failure);
    }
    if (!this.#isStopped) this.#schedule(restMs);
  }
}
