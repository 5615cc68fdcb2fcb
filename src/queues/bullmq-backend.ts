import { DelayedError, UnrecoverableError, type Job, type Queue, type Worker, type WorkerOptions } from 'bullmq';
import { toError } from '../platform/errors.js';
import type { Clock } from '../platform/clock.js';
import type { Logger } from '../platform/logger.js';
import { BullMqConsumer, type Processor } from './bullmq-consumer.js';
import type { Consumer, Disposal, Occupancy, QueueBackend, Taken } from './backend.js';
import { parseTicketId, ticketId, type Ticket, type TicketData } from './ticket.js';

/** What dispatch asks of a store beyond BullMQ's own functions. */
export type Looks = Pick<
  QueueBackend,
  'missing' | 'active' | 'occupancy' | 'generations' | 'beginGeneration' | 'overtaken'
>;

/** What differs between the stores. */
export interface BullMqStore {
  readonly mode: QueueBackend['mode'];
  createQueue(name: string): Queue;
  createWorker(name: string, processor: Processor, options: WorkerTuning): Worker;
  readonly looks: Looks;
  ping(): Promise<void>;
  close(): Promise<void>;
}

export type WorkerTuning = Omit<WorkerOptions, 'connection' | 'prefix'>;

/** Finished jobs stay for Bull Board's sake only. */
const keptForBullBoard = { count: 1_000 };

/** Orphans are rare; what one call leaves, the next one finds. */
const orphans = { keysPerScan: 1_000, atMost: 10_000 };

/** BullMQ's code for a ticket that is not there. */
const isGone = (thrown: unknown): boolean => thrown instanceof Error && 'code' in thrown && thrown.code === -1;

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

  missing(queue: string, ids: readonly string[]): Promise<ReadonlySet<string>> {
    return this.#store.looks.missing(queue, ids);
  }

  active(queues: readonly string[]): Promise<ReadonlyMap<string, readonly string[]>> {
    return this.#store.looks.active(queues);
  }

  occupancy(queues: readonly string[]): Promise<ReadonlyMap<string, Occupancy>> {
    return this.#store.looks.occupancy(queues);
  }

  generations(queues: readonly string[]): Promise<ReadonlyMap<string, string>> {
    return this.#store.looks.generations(queues);
  }

  beginGeneration(queue: string): Promise<string> {
    return this.#store.looks.beginGeneration(queue);
  }

  overtaken(queue: string, priority: number, limit: number): Promise<readonly string[]> {
    return this.#store.looks.overtaken(queue, priority, limit);
  }

  async changePriority(queue: string, id: string, priority: number): Promise<void> {
    try {
      await this.queue(queue).getBackend().changePriority(id, priority);
    } catch (thrown) {
      if (!isGone(thrown)) throw thrown;
    }
  }

  removeOrphans(queue: string): Promise<number> {
    return this.queue(queue).removeOrphanedJobs(orphans.keysPerScan, orphans.atMost);
  }

  consume(queue: string, concurrency: number, dispose: (taken: Taken) => Promise<Disposal>): Consumer {
    const options = {
      concurrency,
      lockDuration: 15_000,
      stalledInterval: 5_000,
      maxStalledCount: 1_000_000_000,
      removeOnComplete: keptForBullBoard,
      removeOnFail: keptForBullBoard,
    };
    return new BullMqConsumer({
      queue,
      createWorker: (processor) => this.#store.createWorker(queue, processor, options),
      process: (job, token, signal) => this.#process(job, token, signal, dispose),
      clock: this.#clock,
      logger: this.#logger,
    });
  }

  async hasWork(name: string): Promise<boolean> {
    const queue = this.queue(name);
    const { waiting = 0, prioritized = 0 } = await queue.getJobCounts('waiting', 'prioritized');
    if (waiting + prioritized === 0) return false;
    const [isPaused, isMaxed, limitedMs] = await Promise.all([
      queue.isPaused(),
      queue.isMaxed(),
      queue.getRateLimitTtl(),
    ]);
    return !isPaused && !isMaxed && limitedMs <= 0;
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
        await this.#putBack(job, disposal.runAt, token).catch((thrown: unknown) =>
          this.#logger.warn(
            { err: toError(thrown), jobId: job.id },
            'a ticket could not be put back; its lock runs out',
          ),
        );
        throw new DelayedError();
    }
  }

  /** A store that was flushed while the job ran has no ticket to put back: the same one is added again. */
  async #putBack(job: Job, runAt: number, token: string | undefined): Promise<void> {
    try {
      await job.moveToDelayed(runAt, token);
    } catch (thrown) {
      if (!isGone(thrown)) throw thrown;
      const data = job.data as TicketData;
      await this.enqueue(job.queueName, [{ ...parseTicketId(job.id ?? ''), priority: job.priority, runAt, data }]);
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
