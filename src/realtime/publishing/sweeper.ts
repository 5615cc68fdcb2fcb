import type { Clock } from '../../platform/clock.js';
import { toError } from '../../platform/errors.js';
import type { Logger } from '../../platform/logger.js';
import type { OrderedPublisher } from './ordered-publisher.js';
import type { NotificationLog } from '../log/postgres-log.js';

export interface SweeperDeps {
  readonly log: Pick<NotificationLog, 'unpublishedRooms'>;
  readonly publisher: Pick<OrderedPublisher, 'heal'>;
  readonly logger: Logger;
  readonly clock: Clock;
}

const intervalMs = 2_000;
/** Younger notifications are still on their way. */
const minAgeMs = 1_000;
/** An id is made before its transaction commits, on a clock of its own: each sweep looks this far back behind the last one. */
const overlapMs = 30_000;
/** What the first sweep of a process covers. Older leftovers show in the heads, and with the next notification of their room. */
const firstLookBackMs = 600_000;
/** One look at most, so that a sweep after a long outage stays many small statements. */
const stretchMs = 60_000;

/** Publishes what a crash, or an absence of Redis, left in Postgres. Any number of processes may run one. */
export class Sweeper {
  readonly #deps: SweeperDeps;
  /** Everything before is published, as far as could be seen. It stays where it is while sweeps fail. */
  #sweptTo: number;
  /** Rooms in which the last look failed, so that one of them does not hold up the others. */
  #again: readonly string[] = [];
  #cancel: (() => void) | undefined;
  #running: Promise<void> | undefined;
  #isStopped = true;

  constructor(deps: SweeperDeps) {
    this.#deps = deps;
    this.#sweptTo = deps.clock.now() - firstLookBackMs;
  }

  start(): void {
    if (!this.#isStopped) return;
    this.#isStopped = false;
    this.#loop();
  }

  /** Idempotent; resolves when no sweep runs. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#cancel?.();
    await this.#running;
  }

  /** @returns how many notifications were published. */
  async runOnce(): Promise<number> {
    const { log, publisher, clock, logger } = this.#deps;
    const end = clock.now() - minAgeMs;
    let healed = 0;
    for (let from = this.#sweptTo - overlapMs; from < end; from += stretchMs) {
      const to = Math.min(from + stretchMs, end);
      const rooms = await log.unpublishedRooms(from, to);
      const { published, failed } = await publisher.heal([...new Set([...this.#again, ...rooms])]);
      this.#again = failed;
      this.#sweptTo = Math.max(this.#sweptTo, to);
      healed += published;
    }
    if (healed > 0) logger.info({ healed }, 'published what was left behind');
    return healed;
  }

  #loop(): void {
    this.#running = this.#sweep().finally(() => {
      if (!this.#isStopped) this.#cancel = this.#deps.clock.after(intervalMs, () => this.#loop());
    });
  }

  async #sweep(): Promise<void> {
    try {
      await this.runOnce();
    } catch (thrown) {
      this.#deps.logger.debug({ err: toError(thrown) }, 'a sweep failed and is repeated');
    }
  }
}
