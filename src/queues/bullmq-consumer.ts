import type { Job, Worker } from 'bullmq';
import type { Clock } from '../platform/clock.js';
import { toError } from '../platform/errors.js';
import type { Logger } from '../platform/logger.js';
import type { Consumer } from './backend.js';

export type Processor = (job: Job, token?: string, signal?: AbortSignal) => Promise<unknown>;

export interface BullMqConsumerOptions {
  readonly queue: string;
  readonly createWorker: (processor: Processor) => Worker;
  readonly process: Processor;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Of BullMQ's Worker, for its subclasses. */
interface Locking {
  readonly lockManager: { close(): Promise<void> };
}

const reviveAfterMs = 1_000;

/**
 * One queue's worker, kept at work: BullMQ does not start a run loop again that ended with an error, and a worker that was
 * closed from elsewhere stays closed; both would look healthy and take no job any more.
 */
export class BullMqConsumer implements Consumer {
  readonly #options: BullMqConsumerOptions;
  #worker: Worker;
  #fetched = 0;
  #inHand = 0;
  #isClosing = false;
  #cancelRevival: (() => void) | undefined;

  constructor(options: BullMqConsumerOptions) {
    this.#options = options;
    this.#worker = this.#open();
  }

  get fetched(): number {
    return this.#fetched;
  }

  get inHand(): number {
    return this.#inHand;
  }

  close(): Promise<void> {
    this.#stopReviving();
    return this.#worker.close();
  }

  /**
   * Not awaited: a `close` that waits for its store is what is being abandoned, and BullMQ answers every later call with it. So
   * what that close would end last is ended here: the blocking connection, which else is made anew for ever, and the renewal of
   * locks that are being given up.
   */
  abandon(): Promise<void> {
    this.#stopReviving();
    const worker = this.#worker;
    const { lockManager } = worker as unknown as Locking;
    this.#bestEffort(worker.close(true));
    this.#bestEffort(lockManager.close());
    this.#bestEffort(worker.backend.disconnectBlocking(false));
    this.#bestEffort(worker.disconnect());
    return Promise.resolve();
  }

  #open(): Worker {
    const { createWorker, logger, queue } = this.#options;
    // BullMQ gives a signal only to a function of three parameters.
    const worker = createWorker((job, token, signal) => this.#process(job, token, signal));
    worker.on('error', (error) => {
      logger.debug({ err: error, queue }, 'worker error');
      if (!worker.isRunning() && !worker.isPaused()) this.#reviveAfter(error, () => this.#runAgain(worker));
    });
    worker.on('closed', () =>
      this.#reviveAfter(new Error('its worker was closed'), () => {
        this.#worker = this.#open();
      }),
    );
    worker.on('lockRenewalFailed', (ids: string[]) => {
      for (const id of ids) worker.cancelJob(id, 'the lock could not be renewed');
    });
    return worker;
  }

  async #process(job: Job, token: string | undefined, signal: AbortSignal | undefined): Promise<unknown> {
    this.#fetched++;
    this.#inHand++;
    try {
      return await this.#options.process(job, token, signal);
    } finally {
      this.#inHand--;
    }
  }

  #runAgain(worker: Worker): void {
    if (!worker.isRunning()) worker.run().catch((thrown: unknown) => worker.emit('error', toError(thrown)));
  }

  #reviveAfter(error: Error, revive: () => void): void {
    if (this.#isClosing || this.#cancelRevival !== undefined) return;
    const { clock, logger, queue } = this.#options;
    logger.error({ err: error, queue }, 'a queue stopped being consumed; it starts again');
    this.#cancelRevival = clock.after(reviveAfterMs, () => {
      this.#cancelRevival = undefined;
      revive();
    });
  }

  #stopReviving(): void {
    this.#isClosing = true;
    this.#cancelRevival?.();
  }

  #bestEffort(promise: Promise<unknown>): void {
    promise.catch((thrown: unknown) =>
      this.#options.logger.debug({ err: toError(thrown) }, 'the queue store could not be told'),
    );
  }
}
