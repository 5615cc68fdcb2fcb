import type { Clock } from '../platform/clock.js';
import { toError } from '../platform/errors.js';
import { reachFaultPoint } from '../platform/fault-points.js';
import type { Logger } from '../platform/logger.js';
import type { Metrics } from '../platform/metrics.js';
import type { QueueBackend } from '../queues/backend.js';
import type { Runnable } from '../queues/ticket.js';
import { isWithinQueueDelay, type Outbox } from './outbox.js';
import type { QueueWindow } from './queue-window.js';

export interface FastPathOptions {
  readonly backend: QueueBackend;
  readonly outbox: Outbox;
  readonly window: QueueWindow;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

const maxBatch = 250;
/** In all queues together. */
const maxWaiting = 10_000;
const enqueueTimeoutMs = 5_000;
const restAfterFailureMs = 1_000;
/** Dispatched rows are taken out of the outbox when there are so many, or so long after the first: a tenth of their lease. */
const removedTogether = 250;
const removeWithinMs = 50;
const removedAtMost = 1_000;

/**
 * Enqueues what this process just committed, without a look at the database: its rows are leased to it by their insert.
 * Best effort by design. Whatever it drops (queue full or behind, its store away, too much waiting, process killed) is in the outbox,
 * and the dispatcher takes it when the lease is over; both adding the same id is harmless.
 */
export class FastPath {
  readonly #options: FastPathOptions;
  readonly #waiting = new Map<string, Runnable[]>();
  readonly #working = new Map<string, Promise<void>>();
  /** Queues with a batch that got no answer in time: one for each is enough to hang. */
  readonly #stuck = new Set<string>();
  #waitingCount = 0;
  #dispatched: Runnable[] = [];
  #removing: Promise<void> | undefined;
  #cancelRemoval: (() => void) | undefined;
  #restsUntil = 0;

  constructor(options: FastPathOptions) {
    this.#options = options;
  }

  /** Never throws and never waits. */
  readonly offer = (runnable: readonly Runnable[]): void => {
    const now = this.#options.clock.now();
    if (now < this.#restsUntil) return;
    for (const item of runnable) {
      if (!isWithinQueueDelay(item.runAt, now) || this.#stuck.has(item.queue)) continue;
      if (this.#waitingCount >= maxWaiting) continue;
      const waiting = this.#waiting.get(item.queue) ?? [];
      waiting.push(item);
      this.#waitingCount++;
      this.#waiting.set(item.queue, waiting);
      if (!this.#working.has(item.queue)) this.#working.set(item.queue, this.#work(item.queue));
    }
  };

  /** Resolves when what was offered is dispatched and taken out of the outbox, or dropped. */
  async drain(): Promise<void> {
    await Promise.all(this.#working.values());
    await this.#remove();
  }

  /** One batch in flight per queue; what is offered meanwhile makes the next one. */
  async #work(queue: string): Promise<void> {
    // The rest of this turn of the event loop belongs to the same batch.
    await Promise.resolve();
    for (let batch = this.#take(queue); batch.length > 0; batch = this.#take(queue)) await this.#enqueue(queue, batch);
    this.#working.delete(queue);
  }

  #take(queue: string, atMost = maxBatch): Runnable[] {
    const taken = this.#waiting.get(queue)?.splice(0, atMost) ?? [];
    this.#waitingCount -= taken.length;
    return taken;
  }

  async #enqueue(queue: string, batch: Runnable[]): Promise<void> {
    const { metrics, logger, clock } = this.#options;
    try {
      const added = await this.#inTime(queue, this.#add(queue, batch));
      if (added.length === 0) return;
      reachFaultPoint('fast-path.enqueued');
      metrics.outboxDispatched.inc({ path: 'fast' }, added.length);
      this.#dispatched.push(...added);
      if (this.#dispatched.length >= removedTogether) void this.#remove();
      else this.#cancelRemoval ??= clock.after(removeWithinMs, () => void this.#remove());
    } catch (thrown) {
      logger.debug({ err: toError(thrown), queue }, 'left to the dispatcher');
      this.#restsUntil = clock.now() + restAfterFailureMs;
      this.#take(queue, Infinity);
    }
  }

  /** @returns those that there was room for. */
  async #add(queue: string, batch: Runnable[]): Promise<Runnable[]> {
    const { window, backend } = this.#options;
    const admitted = await window.admit(queue, batch);
    if (admitted.length > 0) await backend.enqueue(queue, admitted);
    return admitted;
  }

  /** A store that is frozen may answer minutes later; until then nothing else is sent to this queue. */
  async #inTime<T>(queue: string, answer: Promise<T>): Promise<T> {
    const late = Promise.withResolvers<never>();
    const cancel = this.#options.clock.after(enqueueTimeoutMs, () => {
      this.#stuck.add(queue);
      const settle = () => this.#stuck.delete(queue);
      answer.then(settle, settle);
      late.reject(new Error('the queue store does not answer'));
    });
    try {
      return await Promise.race([answer, late.promise]);
    } finally {
      cancel();
    }
  }

  #remove(): Promise<void> {
    this.#cancelRemoval?.();
    this.#cancelRemoval = undefined;
    this.#removing ??= this.#removeDispatched();
    return this.#removing;
  }

  /** A row that could not be removed is dispatched once more, which is harmless. */
  async #removeDispatched(): Promise<void> {
    // Even with nothing to remove it ends after `#removing` was set.
    await Promise.resolve();
    while (this.#dispatched.length > 0) {
      const batch = this.#dispatched.splice(0, removedAtMost);
      await this.#options.outbox.remove(batch).catch((thrown: unknown) => {
        this.#options.logger.debug({ err: toError(thrown) }, 'outbox rows stay for the dispatcher');
      });
    }
    this.#removing = undefined;
  }
}
