import type { Clock } from '../platform/clock.js';
import { toError } from '../platform/errors.js';
import type { Logger } from '../platform/logger.js';
import { Periodic } from '../platform/periodic.js';
import type { Consumer, QueueBackend } from '../queues/backend.js';

export interface Consumed {
  readonly queue: string;
  readonly concurrency: number;
  readonly consumer: Consumer;
}

export interface FetchingWatchOptions {
  readonly backend: QueueBackend;
  readonly consumed: readonly Consumed[];
  readonly clock: Clock;
  readonly logger: Logger;
  /** Called once. */
  readonly onDeaf: () => void;
}

const everyMs = 5_000;
/** Looks in a row, so 30 s from the first to the last: counted and not measured, because a process that stood still has not been deaf. */
const maxSuspicions = 7;

/**
 * Finds that this worker takes no jobs although there are some and it has room: a client library may lose its wake-up in a
 * reconnect, and then every connection looks well. Nothing in the process can repair that with certainty; a new process can.
 */
export class FetchingWatch {
  readonly #options: FetchingWatchOptions;
  readonly #periodic: Periodic;
  /** By queue: how many jobs it had fetched at the last look, and how often that was suspicious. */
  readonly #looks = new Map<string, { readonly fetched: number; readonly suspicions: number }>();
  #isDeaf = false;

  constructor(options: FetchingWatchOptions) {
    this.#options = options;
    const { clock, logger } = options;
    this.#periodic = new Periodic({ name: 'fetching watch', everyMs, run: () => this.runOnce(), clock, logger });
  }

  get isDeaf(): boolean {
    return this.#isDeaf;
  }

  start(): void {
    this.#periodic.start();
  }

  stop(): Promise<void> {
    return this.#periodic.stop();
  }

  async runOnce(): Promise<void> {
    await Promise.all(this.#options.consumed.map((consumed) => this.#look(consumed)));
  }

  async #look({ queue, concurrency, consumer }: Consumed): Promise<void> {
    const { fetched } = consumer;
    const last = this.#looks.get(queue);
    const isSuspicious =
      fetched === last?.fetched &&
      consumer.inHand < concurrency &&
      (await this.#hasWork(queue)) &&
      this.#isStill(consumer, fetched);
    const suspicions = isSuspicious ? last.suspicions + 1 : 0;
    this.#looks.set(queue, { fetched, suspicions });
    if (suspicions >= maxSuspicions) this.#report(queue);
  }

  /** Nothing was taken while the store was asked. */
  #isStill(consumer: Consumer, fetched: number): boolean {
    return consumer.fetched === fetched;
  }

  /** A store that is away has no work for anybody. */
  async #hasWork(queue: string): Promise<boolean> {
    try {
      return await this.#options.backend.hasWork(queue);
    } catch (thrown) {
      this.#options.logger.debug({ err: toError(thrown), queue }, 'the queue store did not answer');
      return false;
    }
  }

  #report(queue: string): void {
    if (this.#isDeaf) return;
    this.#isDeaf = true;
    const seconds = ((maxSuspicions - 1) * everyMs) / 1_000;
    this.#options.logger.error(
      { queue, seconds },
      'this worker takes no jobs although some wait and it has room: it stops, to be started anew',
    );
    this.#options.onDeaf();
  }
}
