import { BullMQAdapter } from '@bull-board/api/bullMQAdapter';
import type { Job, Queue } from 'bullmq';
import type { JobAdministration } from '../execution/administration.js';
import { SynapError, toError } from '../platform/errors.js';
import type { Clock } from '../platform/clock.js';
import type { Logger } from '../platform/logger.js';
import { parseTicketId } from '../queues/ticket.js';
import { Gate } from './gate.js';
import { currentOperator } from './operator.js';

export interface LiveQueueOptions {
  readonly queue: Queue;
  readonly administration: JobAdministration;
  readonly describe: (queue: string) => string;
  readonly clock: Clock;
  readonly logger: Logger;
}

type Statuses = Parameters<BullMQAdapter['getJobs']>[0];
type CleanStatus = Parameters<BullMQAdapter['clean']>[0];

/** One press acts on at most this many; the window of a queue is no larger. */
const maxPerPress = 10_000;
const pageSize = 100;
const actsAtOnce = 4;

/**
 * A queue on Bull Board. BullMQ is only a carrier, so each button acts on the job's record in Postgres first, and then takes
 * its ticket out of the queue. A ticket that could not be taken out is harmless: the job's state or generation has moved on.
 */
export class LiveQueueAdapter extends BullMQAdapter {
  readonly #options: LiveQueueOptions;
  readonly #gate = new Gate(actsAtOnce);

  constructor(options: LiveQueueOptions) {
    // BullMQAdapter's own options do not name `allowCompletedRetries`; its base class, which gets them all, knows it.
    const adapterOptions = { allowRetries: true, allowCompletedRetries: false };
    super(options.queue, adapterOptions);
    this.#options = options;
  }

  override getDescription(): string {
    return this.#options.describe(this.#options.queue.name);
  }

  override async getJob(id: string): Promise<Job | undefined> {
    const job = await super.getJob(id);
    return job === undefined ? undefined : this.#withTrueButtons(job, (act) => this.#gate.run(act));
  }

  /** Bull Board's "retry all" goes through here: a job whose state has changed meanwhile must not stop the others. */
  override async getJobs(statuses: Statuses, start?: number, end?: number): Promise<Job[]> {
    const jobs = await super.getJobs(statuses, start, end);
    return jobs.map((job) => this.#withTrueButtons(job, async (act) => void (await this.#attempt(act))));
  }

  override async clean(status: CleanStatus, graceMs: number): Promise<void> {
    // Completed jobs are history here as in Postgres; nothing is done to them.
    if (status === 'completed') return super.clean(status, graceMs);
    const newest = this.#options.clock.now() - graceMs;
    const isOld = (job: Job) => (job.finishedOn ?? job.timestamp) <= newest;
    await this.#each(status === 'wait' ? 'waiting' : status, isOld, (job) => this.#remove(job));
  }

  override async promoteAll(): Promise<void> {
    await this.#each(
      'delayed',
      () => true,
      (job) => this.#runAgain(job, 'promote'),
    );
  }

  override async pause(): Promise<void> {
    await this.#options.administration.setPaused(this.#options.queue.name, true, { actor: currentOperator() });
    await super.pause();
  }

  override async resume(): Promise<void> {
    await this.#options.administration.setPaused(this.#options.queue.name, false, { actor: currentOperator() });
    await super.resume();
  }

  /** The job as it was, but for what its buttons do. */
  #withTrueButtons(job: Job, press: (act: () => Promise<void>) => Promise<void>): Job {
    const shown = Object.create(job) as Job;
    return Object.assign(shown, {
      // It reads its own properties, which `shown` only inherits.
      toJSON: () => job.toJSON(),
      retry: () => press(() => this.#runAgain(job, 'retry')),
      promote: () => press(() => this.#runAgain(job, 'promote')),
      remove: () => press(() => this.#remove(job)),
    });
  }

  async #runAgain(job: Job, how: 'retry' | 'promote'): Promise<void> {
    const ticket = ticketOf(job);
    if (ticket === undefined) {
      throw new SynapError('not_found', `no job of Synap: ${job.id}`, {
        publicMessage: 'This is no job of Synap; it can only be removed.',
      });
    }
    const { administration } = this.#options;
    const acting = { actor: currentOperator(), generation: ticket.generation };
    if (how === 'retry') await administration.replay(ticket.jobId, { ...acting, mode: 'resume' });
    else await administration.runNow(ticket.jobId, acting);
    await this.#forget(job);
  }

  /** What waits is cancelled, what is dead is discarded; of what has ended or moved on, only the ticket goes. */
  async #remove(job: Job): Promise<void> {
    const ticket = ticketOf(job);
    if (ticket === undefined) return job.remove();
    const { administration } = this.#options;
    const record = await administration.find(ticket.jobId);
    const acting = { actor: currentOperator(), generation: ticket.generation };
    const isCurrent = record?.generation === ticket.generation;
    if (isCurrent && record.hasOpenDeadLetter) {
      await administration.discard(ticket.jobId, { ...acting, reason: 'removed in Bull Board' });
    } else if (isCurrent && !hasEnded[record.state]) {
      await administration.cancel(ticket.jobId, acting);
    }
    await this.#forget(job);
  }

  async #forget(job: Job): Promise<void> {
    await job.remove().catch((thrown: unknown) => {
      this.#options.logger.debug({ err: toError(thrown), ticket: job.id }, 'an obsolete ticket stays in its queue');
    });
  }

  /** @returns false where the job had moved on, which is no reason to stop what is done to many. */
  async #attempt(act: () => Promise<void>): Promise<boolean> {
    try {
      await this.#gate.run(act);
      return true;
    } catch (thrown) {
      if (!(thrown instanceof SynapError) || (thrown.status !== 409 && thrown.status !== 404)) throw thrown;
      this.#options.logger.debug({ err: thrown }, 'skipped: the job has moved on');
      return false;
    }
  }

  /** What is acted on leaves the list, so the next page begins behind what was left alone. */
  async #each(
    status: Statuses[number],
    applies: (job: Job) => boolean,
    act: (job: Job) => Promise<void>,
  ): Promise<void> {
    const seen = new Set<string | undefined>();
    for (let left = 0; seen.size < maxPerPress;) {
      const page = await super.getJobs([status], left, left + pageSize - 1);
      const fresh = page.filter((job) => !seen.has(job.id));
      if (fresh.length === 0) return;
      for (const job of fresh) seen.add(job.id);
      const gone = await Promise.all(fresh.filter(applies).map((job) => this.#attempt(() => act(job))));
      left += fresh.length - gone.filter(Boolean).length;
    }
  }
}

const hasEnded = { scheduled: false, queued: false, running: false, completed: true, dead: true, cancelled: true };

/** Undefined for what somebody put into the queue by other means. */
function ticketOf(job: Job): { jobId: string; generation: number } | undefined {
  try {
    return parseTicketId(job.id ?? '');
  } catch {
    return undefined;
  }
}
