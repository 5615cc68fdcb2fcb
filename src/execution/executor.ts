import type { Clock, Random } from '../platform/clock.js';
import { withContext } from '../platform/context.js';
import type { Database } from '../platform/database.js';
import { reachFaultPoint } from '../platform/fault-points.js';
import type { Logger } from '../platform/logger.js';
import type { Metrics } from '../platform/metrics.js';
import type { Json } from '../platform/text.js';
import type { EventCatalogue } from '../events/catalogue.js';
import type { Disposal, Taken } from '../queues/backend.js';
import type { Publisher } from '../realtime/publishing/publisher.js';
import { AttemptAbort } from './attempt-abort.js';
import { AttemptBroadcast } from './attempt-broadcast.js';
import { AttemptBuffer } from './buffer.js';
import type { Claim, Claims, Refusal } from './claims.js';
import type { Finish, Finished, Finishing } from './finishing.js';
import type { Handler } from './handler.js';
import type { Handlers } from './handlers.js';
import { judgeFailure, judgeLoss, type Failure, type Outcome } from './outcome.js';
import { NonRetryableError } from './retry.js';
import type { RunningAttempts } from './running-attempts.js';
import { Steps } from './steps.js';
import { isUnavailable, untilAvailable } from './until-available.js';

export interface ExecutorOptions<Services> {
  readonly database: Database;
  readonly claims: Claims;
  readonly finishing: Finishing;
  readonly handlers: Handlers<Services>;
  readonly catalogue: EventCatalogue;
  readonly services: Services;
  readonly publisher: Publisher;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** Where the handlers that run are known to whoever finds that one must stop. */
  readonly attempts: RunningAttempts;
  /** Runs a job in a process of its own; where nobody can, such a job waits for a worker that does. */
  readonly isolate?: (taken: Taken) => Promise<Disposal>;
  /** Aborted when the process must let go of what it runs. */
  readonly shutdown: AbortSignal;
}

/** One attempt on its way through the stages. */
interface Attempt<Services> {
  readonly taken: Taken;
  readonly claim: Claim;
  readonly handler: Handler<Services>;
  readonly buffer: AttemptBuffer;
  readonly startedAt: number;
}

/** A ticket whose job is held elsewhere is looked at again after this. */
const heldDelayMs = 5_000;
/** A ticket that came before its time waits at least so long. */
const earlyDelayMs = 25;
/** Starts without an outcome after which a job is dead: it ends its process each time. */
const maxCrashes = 5;

/**
 * An attempt, stage by stage: claim ▸ run ▸ judge ▸ finish ▸ dispose. It goes in as a ticket taken from a queue and comes out
 * as one of a closed set of outcomes; Postgres decides at both ends, and the queue is only told what to do with its ticket.
 */
export class Executor<Services> {
  readonly #options: ExecutorOptions<Services>;
  /** A line for each attempt, of nothing that could be a secret: it need not be searched for any. */
  readonly #reports: Logger;

  constructor(options: ExecutorOptions<Services>) {
    this.#options = options;
    this.#reports = options.logger.child({}, { redact: [] });
  }

  /** @throws SynapError `unavailable` where Postgres is away; the ticket must come back. */
  readonly execute = async (taken: Taken): Promise<Disposal> => {
    const claim = await this.#options.claims.claim(taken.jobId, taken.generation);
    if (claim.kind !== 'claimed') return this.#disposeRefused(claim, taken);
    const { event, fence } = claim;
    const context = {
      requestId: event.requestId,
      correlationId: event.correlationId,
      eventId: event.id,
      attempt: fence,
    };
    try {
      return await withContext(context, () => this.#attempt(taken, claim));
    } finally {
      this.#options.claims.release(taken.jobId);
    }
  };

  #disposeRefused(refusal: Refusal, taken: Taken): Disposal | Promise<Disposal> {
    switch (refusal.kind) {
      case 'obsolete':
        return { kind: 'done' };
      case 'early':
        // By the database's clock. Where this process' runs fast its time is past already, and it would circle.
        return { kind: 'later', runAt: Math.max(refusal.runAt, this.#options.clock.now() + earlyDelayMs) };
      case 'held':
        return this.#later(heldDelayMs);
      case 'isolate':
        return this.#options.isolate?.(taken) ?? this.#later(heldDelayMs);
    }
  }

  #later(delayMs: number): Disposal {
    return { kind: 'later', runAt: this.#options.clock.now() + delayMs };
  }

  async #attempt(taken: Taken, claim: Claim): Promise<Disposal> {
    const { handlers, catalogue, clock } = this.#options;
    const handler = handlers.get(claim.event.type);
    // A queue is consumed only where its handler is known; a build without it must not end the job.
    if (handler === undefined) throw new TypeError(`no handler for "${claim.event.type}"`);
    const attempt = {
      taken,
      claim,
      handler,
      buffer: new AttemptBuffer(claim.event, claim.priority, catalogue),
      startedAt: clock.now(),
    };
    const { outcome, finished } = await this.#finish(attempt, await this.#run(attempt));
    reachFaultPoint('finish.published');
    this.#report(attempt, outcome, finished);
    return this.#dispose(outcome, finished);
  }

  async #run(attempt: Attempt<Services>): Promise<Outcome> {
    const { claim, handler } = attempt;
    try {
      if (claim.crashes > maxCrashes) {
        throw new NonRetryableError('crash_loop', `its process ended ${maxCrashes} times in a row without an outcome`);
      }
      return { kind: 'completed', result: await this.#runHandler(attempt) };
    } catch (thrown) {
      return judgeLoss(thrown, claim) ?? judgeFailure(thrown, claim.failures, handler.retry, this.#options.random);
    }
  }

  /** Runs the handler until it ends or its signal is aborted; a handler that ignores the signal is left behind its fence. */
  async #runHandler({ taken, claim, handler, buffer }: Attempt<Services>): Promise<Json> {
    const { database, publisher, services, logger, clock, attempts } = this.#options;
    const { event, fence, steps: recorded } = claim;
    using abort = new AttemptAbort(taken.signal, this.#options.shutdown, handler.timeoutMs, clock);
    using _known = attempts.add({ jobId: event.id, fence, abort: abort.abort });
    const { signal, aborted } = abort;
    const job = { id: event.id, fence, userId: event.userId, requestId: event.requestId };
    const steps = new Steps({ database, publisher, job, recorded, signal, aborted, clock });
    using broadcast = new AttemptBroadcast({ pool: database.pool, publisher, clock, logger, event, fence, taken });
    const result = handler.run({
      event,
      attempt: fence,
      signal,
      logger: broadcast.toLogger(),
      services,
      step: steps.toStep(),
      emit: (type, data, options) => buffer.emit(type, data, options),
      notify: buffer.toNotify(),
      progress: broadcast.progress,
      stream: broadcast.toStream(),
    });
    return (await Promise.race([result, aborted])) ?? buffer.lastSuccess;
  }

  /** What Postgres refuses to store of an end (a repeated key, a broken rule) is a failure of the attempt like any other. */
  async #finish(attempt: Attempt<Services>, outcome: Outcome): Promise<{ outcome: Outcome; finished: Finished }> {
    const { finishing, clock, shutdown, random } = this.#options;
    // Who cancelled it has committed that end; there is nothing left to say.
    const commit = (end: Outcome): Promise<Finished> =>
      end.kind === 'cancelled'
        ? Promise.resolve(null)
        : untilAvailable(() => finishing.finish(this.#toFinish(attempt, end)), clock, shutdown);
    try {
      return { outcome, finished: await commit(outcome) };
    } catch (thrown) {
      if (isUnavailable(thrown)) throw thrown;
      const { claim, handler } = attempt;
      const failed = judgeFailure(thrown, claim.failures, handler.retry, random);
      return { outcome: failed, finished: await commit(failed) };
    }
  }

  #toFinish({ claim, handler, buffer }: Attempt<Services>, outcome: Exclude<Outcome, { kind: 'cancelled' }>): Finish {
    const base = {
      jobId: claim.event.id,
      fence: claim.fence,
      delayMs: 0,
      failed: false,
      failure: null,
      result: null,
      emitted: [],
      notifications: [],
    };
    switch (outcome.kind) {
      case 'completed':
        return {
          ...base,
          state: 'completed',
          result: outcome.result,
          emitted: buffer.emitted,
          notifications: buffer.notifications,
        };
      case 'retry':
        return { ...base, state: 'queued', delayMs: outcome.delayMs, failed: true, failure: outcome.failure };
      case 'dead':
        return {
          ...base,
          state: 'dead',
          failed: true,
          failure: outcome.failure,
          ...this.#sayFailed(claim, handler, outcome.failure),
        };
      case 'interrupted':
        return { ...base, state: 'queued', delayMs: outcome.delayMs ?? 0 };
    }
  }

  /** What a dead job leaves: its `*.failed` event and the error notification, in a buffer of their own. */
  #sayFailed({ event, priority, failures, fence }: Claim, handler: Handler<Services>, failure: Failure) {
    const buffer = new AttemptBuffer(event, priority, this.#options.catalogue);
    const { code, reason } = failure;
    buffer.emit(
      handler.failure,
      { code, reason, attempts: failures + 1 },
      { source: 'system', aggregateId: event.aggregateId },
    );
    const { id, type, aggregateId, aggregateType } = event;
    buffer.notify({
      type: handler.failure.type,
      status: 'error',
      data: { eventId: id, eventType: type, aggregateId, aggregateType, attempts: fence },
      error: { code, message: reason },
    });
    return { emitted: buffer.emitted, notifications: buffer.notifications };
  }

  #dispose(outcome: Outcome, finished: Finished): Disposal {
    if (outcome.kind === 'cancelled') return { kind: 'done', result: 'cancelled' };
    // Nothing was committed: somebody else has the job, and this ticket may still be its only one.
    if (finished === null) return this.#later(heldDelayMs);
    switch (outcome.kind) {
      case 'completed':
        return { kind: 'done', result: 'completed' };
      case 'dead':
        return { kind: 'failed', error: toThrown(outcome.failure) };
      case 'retry':
      case 'interrupted':
        return finished.requeued ? { kind: 'done' } : { kind: 'later', runAt: finished.runAt };
    }
  }

  #report({ taken, claim, startedAt }: Attempt<Services>, outcome: Outcome, finished: Finished): void {
    const { metrics, clock } = this.#options;
    const { event } = claim;
    const kind = finished === null && outcome.kind !== 'cancelled' ? 'superseded' : outcome.kind;
    const seconds = (clock.now() - startedAt) / 1_000;
    metrics.jobsProcessed.inc({ queue: event.type, outcome: kind });
    metrics.jobProcessingDuration.observe({ queue: event.type, outcome: kind }, seconds);
    // A completed job's tab needs no line that its state does not say, and each line is a round trip.
    if ('failure' in outcome)
      taken.log(`attempt ${claim.fence} ${kind} after ${Math.round(seconds * 1_000)} ms: ${outcome.failure.message}`);
    if (kind === 'completed' || kind === 'dead' || kind === 'cancelled') {
      const labels = { type: event.type, status: kind };
      metrics.eventsProcessed.inc(labels);
      metrics.eventProcessingDuration.observe(labels, (clock.now() - event.timestamp.getTime()) / 1_000);
    }
    if (kind === 'dead') metrics.deadLetters.inc({ queue: event.type });
    const level = kind === 'dead' ? 'error' : kind === 'retry' ? 'warn' : 'info';
    this.#reports[level](
      { type: event.type, outcome: kind, ms: Math.round(seconds * 1_000), ...describe(outcome) },
      `${event.type} ${kind}`,
    );
  }
}

function describe(outcome: Outcome): object {
  if (outcome.kind === 'retry') return { error: outcome.failure.message, retryInMs: outcome.delayMs };
  if (outcome.kind === 'dead') return { error: outcome.failure.message, stack: outcome.failure.stack };
  return outcome.kind === 'interrupted' ? { reason: outcome.reason } : {};
}

function toThrown({ message, stack }: Failure): Error {
  const error = new Error(message);
  if (stack !== undefined) error.stack = stack;
  return error;
}
