import { DelayedError, UnrecoverableError, type Job, type Queue, type Worker, type WorkerOptions } from 'bullmq';
import { toError } from '../platform/errors.js';
import type { Clock } from '../platform/clock.js';
import type { Logger } from '../platform/logger.js';
import type { Consumer, Disposal, QueueBackend, Taken } from './backend.js';
import { parseTicketId, ticketId, type Ticket } from './ticket.js';

/** What differs between the stores. */
export interface BullMqStore {
  readonly mode: QueueBackend['mode'];
  createQueue(name: string): Queue;
  createWorker(
    name: string,
    processor: (job: Job, token?: string, signal?: AbortSignal) => Promise<unknown>,
    options: WorkerTuning,
  ): Worker;
  ping(): Promise<void>;
  close(): Promise<void>;
}

export type WorkerTuning = Omit<WorkerOptions, 'connection' | 'prefix'>;

/** Finished jobs stay for Bull Board's sake only. */
const keptForBullBoard = { count: 1_000 };

/** BullMQ's states of a ticket that will be delivered, or was and is not disposed of. */
const inHand: ReadonlySet<string> = new Set(['waiting', 'prioritized', 'delayed', 'active', 'waiting-children']);

/** A job whose attempt could not even be judged (Postgres away) is looked at again after this. */
const unjudgedDelayMs = 1_000;

/**
 * BullMQ as Synap uses it: a carrier. It delivers a job at least once and on time, shows it to operators, and decides
 * nothing: whether a job may run, counts as failed or is dead is decided in Postgres. So nothing here may ever end a job by
 * itself: stalls are unlimited and every failure to judge is a delay.
 */
export class BullMqBackend implements QueueBackend {
  readonly mode: QueueBackend['mode'];
  readonly #store: BullMqStore;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #queues = new Map<string, Queue>();

  constructor(store: BullMqStore, clock: Clock, logger: Logger) {
    this.mode = store.mode;
    this.#store = store;
    this.#clock = clock;
    this.#logger = logger;
  }

  queue(name: string): Queue {
    const known = this.#queues.get(name);
    if (known !== undefined) return known;
    const queue = this.#store.createQueue(name);
    queue.on('error', (error) => this.#logger.debug({ err: error, queue: name }, 'queue error'));
    this.#queues.set(name, queue);
    return queue;
  }

  async enqueue(queue: string, tickets: readonly Ticket[]): Promise<void> {
    const now = this.#clock.now();
    await this.queue(queue).addBulk(
      tickets.map(({ jobId, generation, priority, runAt, data }) => ({
        name: data.type,
        data,
        opts: {
          jobId: ticketId(jobId, generation),
          priority,
          delay: Math.max(0, runAt - now),
          removeOnComplete: keptForBullBoard,
          removeOnFail: keptForBullBoard,
        },
      })),
    );
  }

  async missing(name: string, ids: readonly string[]): Promise<ReadonlySet<string>> {
    const queue = this.queue(name);
    const states = await Promise.all(ids.map((id) => queue.getJobState(id)));
    return new Set(ids.filter((_, index) => !inHand.has(states[index] ?? 'unknown')));
  }

  consume(queue: string, concurrency: number, dispose: (taken: Taken) => Promise<Disposal>): Consumer {
    const worker = this.#store.createWorker(queue, (job, token, signal) => this.#process(job, token, signal, dispose), {
      concurrency,
      lockDuration: 15_000,
      stalledInterval: 5_000,
      maxStalledCount: 1_000_000_000,
      removeOnComplete: keptForBullBoard,
      removeOnFail: keptForBullBoard,
    });
    worker.on('error', (error) => this.#logger.debug({ err: error, queue }, 'worker error'));
    worker.on('lockRenewalFailed', (ids: string[]) => {
      for (const id of ids) worker.cancelJob(id, 'the lock could not be renewed');
    });
    return { close: () => worker.close(), abandon: () => this.#abandon(worker) };
  }

  /** Not awaited: a `close` that waits for its store is what is being abandoned, and BullMQ answers every later call with it. */
  #abandon(worker: Worker): Promise<void> {
    this.#bestEffort(worker.close(true));
    this.#bestEffort(worker.disconnect());
    return Promise.resolve();
  }

  async #process(
    job: Job,
    token: string | undefined,
    signal: AbortSignal | undefined,
    dispose: (taken: Taken) => Promise<Disposal>,
  ): Promise<unknown> {
    const disposal = await this.#judge(job, signal, dispose);
    switch (disposal.kind) {
      case 'done':
        return disposal.result;
      case 'failed':
        throw asUnrecoverable(disposal.error);
      case 'later':
        // BullMQ would count a refusal as the job's failure, and end it. Left alone its lock runs out, and it is given out again.
        await job
          .moveToDelayed(disposal.runAt, token)
          .catch((thrown: unknown) =>
            this.#logger.warn(
              { err: toError(thrown), jobId: job.id },
              'a ticket could not be put back; its lock runs out',
            ),
          );
        throw new DelayedError();
    }
  }

  async #judge(
    job: Job,
    signal: AbortSignal | undefined,
    dispose: (taken: Taken) => Promise<Disposal>,
  ): Promise<Disposal> {
    let ids: ReturnType<typeof parseTicketId>;
    try {
      ids = parseTicketId(job.id ?? '');
    } catch (thrown) {
      return { kind: 'failed', error: toError(thrown) };
    }
    try {
      return await dispose({
        ...ids,
        signal: signal ?? new AbortController().signal,
        log: (line) => this.#bestEffort(job.log(line)),
        progress: (percent) => this.#bestEffort(job.updateProgress(percent)),
      });
    } catch (thrown) {
      this.#logger.error({ err: toError(thrown), jobId: job.id }, 'an attempt could not be judged; it comes back');
      return { kind: 'later', runAt: this.#clock.now() + unjudgedDelayMs };
    }
  }

  #bestEffort(promise: Promise<unknown>): void {
    promise.catch((thrown: unknown) =>
      this.#logger.debug({ err: toError(thrown) }, 'the queue store could not be told'),
    );
  }

  ping(): Promise<void> {
    return this.#store.ping();
  }

  async close(): Promise<void> {
    await Promise.all([...this.#queues.values()].map((queue) => queue.close()));
    await this.#store.close();
  }
}

/** Bull Board shows the stack of what was thrown here: the handler's. */
function asUnrecoverable({ message, stack }: Error): UnrecoverableError {
  const error = new UnrecoverableError(message);
  if (stack !== undefined) error.stack = stack;
  return error;
}
