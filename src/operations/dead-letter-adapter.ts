import { BaseAdapter } from '@bull-board/api/dist/queueAdapters/base.js';
import type {
  AppJobScheduler,
  JobCounts,
  JobStatus,
  QueueJob,
  QueueJobJson,
  QueueMetrics,
  Status,
} from '@bull-board/api/typings/app';
import { z } from 'zod';
import type { JobAdministration } from '../execution/administration.js';
import type { Clock } from '../platform/clock.js';
import { isConnectionLoss } from '../platform/database.js';
import { SynapError, toError } from '../platform/errors.js';
import type { Logger } from '../platform/logger.js';
import type { QueueBackend } from '../queues/backend.js';
import { ticketId } from '../queues/ticket.js';
import type { DeadLetterDetail, DeadLetters, DeadLetterView } from './dead-letters.js';
import { Gate } from './gate.js';
import { currentOperator } from './operator.js';

export const deadLetterQueue = 'dead-letter';

export interface DeadLetterAdapterOptions {
  readonly deadLetters: DeadLetters;
  readonly administration: JobAdministration;
  readonly backend: QueueBackend;
  /** Open ones over all queues, for the description. */
  readonly describe: (shown: number) => string;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** The board shows the newest; what is older moves up as these are dealt with. */
const maxShown = 1_000;
const actsAtOnce = 4;

/**
 * The table `dead_letters` shown as a queue. There is no such queue in BullMQ: a copy would have to be kept in step and made
 * again after a flush, and the table itself is always right.
 */
export class DeadLetterAdapter extends BaseAdapter {
  readonly #options: DeadLetterAdapterOptions;
  readonly #gate = new Gate(actsAtOnce);

  constructor(options: DeadLetterAdapterOptions) {
    // As `bullmq` the board would ask it for flows and a global concurrency, which only real queues have.
    super('bull', { allowCompletedRetries: false });
    this.#options = options;
  }

  getName(): string {
    return deadLetterQueue;
  }

  override getDescription(): string {
    return this.#options.describe(maxShown);
  }

  getStatuses(): Status[] {
    return ['latest', 'failed'];
  }

  getJobStatuses(): JobStatus[] {
    return ['failed'];
  }

  /** While Postgres is away the live queues can still be looked at; the description says why there is nothing here. */
  async getJobCounts(): Promise<JobCounts> {
    const failed = await this.#options.deadLetters.count(maxShown).catch((thrown: unknown) => {
      if (isConnectionLoss(thrown)) return 0;
      throw thrown;
    });
    return {
      latest: 0,
      active: 0,
      waiting: 0,
      'waiting-children': 0,
      prioritized: 0,
      completed: 0,
      failed,
      delayed: 0,
      paused: 0,
    };
  }

  async getJobs(statuses: JobStatus[], start = 0, end = maxShown - 1): Promise<QueueJob[]> {
    const limit = Math.min(end, maxShown - 1) - start + 1;
    if (!statuses.includes('failed') || limit < 1) return [];
    const views = await this.#options.deadLetters.list(start, limit);
    return views.map((view) => this.#toJob(view, toJson(view), (act) => this.#tolerate(act)));
  }

  async getJob(id: string): Promise<QueueJob | undefined> {
    if (!z.guid().safeParse(id).success) return undefined;
    const detail = await this.#options.deadLetters.find(id);
    return detail && this.#toJob(detail, toDetailedJson(detail), (act) => this.#gate.run(act));
  }

  /** What the attempts logged, where the queue still has it, and what Postgres knows of attempts, steps and earlier replays. */
  async getJobLogs(id: string): Promise<string[]> {
    const detail = z.guid().safeParse(id).success ? await this.#options.deadLetters.find(id) : undefined;
    if (detail === undefined) return [];
    const logged = await this.#options.backend
      .queue(detail.queue)
      .getJobLogs(ticketId(detail.jobId, detail.generation))
      .catch(() => ({ logs: [] }));
    return [...logged.logs, ...describeRecord(detail)];
  }

  async clean(status: string, graceMs: number): Promise<void> {
    if (status !== 'failed') return;
    const before = this.#options.clock.now() - graceMs;
    const views = await this.#options.deadLetters.list(0, maxShown);
    const old = views.filter(({ diedAt }) => diedAt <= before);
    await Promise.all(old.map((view) => this.#tolerate(() => this.#discard(view))));
  }

  #toJob(view: DeadLetterView, json: QueueJobJson, press: (act: () => Promise<void>) => Promise<void>): QueueJob {
    return {
      opts: {},
      retry: () => press(() => this.#replay(view)),
      remove: () => press(() => this.#discard(view)),
      promote: () => press(() => Promise.reject(refused())),
      getState: () => Promise.resolve('failed'),
      toJSON: () => json,
    };
  }

  async #replay(view: DeadLetterView): Promise<void> {
    const { jobId, generation } = view;
    await this.#options.administration.replay(jobId, { actor: currentOperator(), generation, mode: 'resume' });
    await this.#forgetTicket(view);
  }

  async #discard(view: DeadLetterView): Promise<void> {
    const { jobId, generation } = view;
    await this.#options.administration.discard(jobId, {
      actor: currentOperator(),
      generation,
      reason: 'removed in Bull Board',
    });
    await this.#forgetTicket(view);
  }

  /** The failed ticket in the job's own queue is history now, and must not invite a second retry. */
  async #forgetTicket({ queue, jobId, generation }: DeadLetterView): Promise<void> {
    const { backend, logger } = this.#options;
    try {
      await backend.queue(queue).remove(ticketId(jobId, generation));
    } catch (thrown) {
      logger.debug({ err: toError(thrown), jobId }, 'an obsolete ticket stays in its queue');
    }
  }

  /** Of many, one that another operator has dealt with meanwhile, that was replayed too often, or whose job is gone, is passed over. */
  async #tolerate(act: () => Promise<void>): Promise<void> {
    try {
      await this.#gate.run(act);
    } catch (thrown) {
      if (!(thrown instanceof SynapError) || thrown.status !== 409) throw thrown;
    }
  }

  // What only a real queue can do. "Pause all" of the board comes by here too, so pausing says nothing.
  isPaused = (): Promise<boolean> => Promise.resolve(false);
  pause = (): Promise<void> => Promise.resolve();
  resume = (): Promise<void> => Promise.resolve();
  empty = (): Promise<void> => Promise.reject(refused());
  obliterate = (): Promise<void> => Promise.reject(refused());
  promoteAll = (): Promise<void> => Promise.reject(refused());
  addJob = (): Promise<QueueJob> => Promise.reject(refused());
  removeJobScheduler = (): Promise<boolean> => Promise.resolve(false);
  getJobSchedulers = (): Promise<Omit<AppJobScheduler, 'queueName'>[]> => Promise.resolve([]);
  getJobSchedulersCount = (): Promise<number> => Promise.resolve(0);
  updateJobScheduler = (): Promise<'not-found'> => Promise.resolve('not-found');
  runJobSchedulerNow = (): Promise<'not-found'> => Promise.resolve('not-found');
  getGlobalConcurrency = (): Promise<null> => Promise.resolve(null);
  setGlobalConcurrency = (): Promise<void> => Promise.reject(refused());
  getRedisInfo = (): Promise<null> => Promise.resolve(null);
  getMetrics = (): Promise<QueueMetrics> =>
    Promise.resolve({ meta: { count: 0, prevTS: 0, prevCount: 0 }, data: [], count: 0 });
}

const refused = () =>
  new SynapError('forbidden', 'not an act on dead letters', {
    publicMessage: 'Dead letters can be retried or removed.',
  });

function ticketData({ jobId, queue, userId, aggregateId, requestId, correlationId, fingerprint }: DeadLetterView) {
  return { eventId: jobId, type: queue, userId, aggregateId, requestId, correlationId, fingerprint };
}

function toJson(view: DeadLetterView): QueueJobJson {
  const { code, message, stack } = view.error;
  return {
    id: view.jobId,
    name: view.queue,
    data: ticketData(view),
    timestamp: view.acceptedAt ?? view.diedAt,
    processedOn: view.startedAt,
    finishedOn: view.diedAt,
    attemptsMade: view.attempts,
    failedReason: message ?? code ?? 'unknown',
    stacktrace: [stack ?? message ?? ''],
    progress: 0,
    returnvalue: null,
    opts: {},
  };
}

/** With the payload, and the stack of every attempt. */
function toDetailedJson(detail: DeadLetterDetail): QueueJobJson {
  const { payload, correction, failedAttempts } = detail;
  const json = toJson(detail);
  const stacks = failedAttempts.map(({ error }) => error.stack ?? error.message ?? '').toReversed();
  return {
    ...json,
    data: { ...ticketData(detail), payload, ...(correction !== null && { correction }) },
    stacktrace: stacks.length > 0 ? stacks : json.stacktrace,
  };
}

function describeRecord({ failedAttempts, steps, history }: DeadLetterDetail): string[] {
  return [
    ...failedAttempts.toReversed().map(({ attempt, failedAt, workerId, error }) => {
      const by = workerId === null ? '' : ` on worker ${workerId}`;
      return `${failedAt.toISOString()} attempt ${attempt}${by} failed: ${error.message ?? error.code ?? 'unknown'}`;
    }),
    ...steps.map(({ name, at }) => `${at.toISOString()} step "${name}" is recorded; a retry keeps its result`),
    ...history.map(({ at, action, actor, ...rest }) => `${at} ${action} by ${actor} ${JSON.stringify(rest)}`),
  ];
}
