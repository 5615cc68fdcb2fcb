import { sql } from 'kysely';
import { createDeadLetterQueries } from '../execution/dead-letter-queries.js';
import type { DeadLetterQueries, FailedAttempt, HistoryEntry } from '../execution/dead-letters.js';
import type { Database } from '../platform/database.js';
import type { Json } from '../platform/text.js';

/** An open dead letter as an operator sees it. */
export interface DeadLetterView {
  readonly jobId: string;
  readonly queue: string;
  readonly generation: number;
  readonly attempts: number;
  readonly error: { readonly code?: string; readonly message?: string; readonly stack?: string };
  readonly fingerprint: string;
  readonly diedAt: number;
  readonly acceptedAt: number | null;
  /** Of the first attempt. */
  readonly startedAt: number | null;
  readonly userId: string;
  readonly aggregateId: string | null;
  readonly requestId: string | null;
  readonly correlationId: string | null;
}

/** What is read for one alone: the payload, and what was done so far. */
export interface DeadLetterDetail extends DeadLetterView {
  /** The event's data, or its size where that is too much to show. */
  readonly payload: Json;
  /** What a replay gets in its place, where an operator has corrected it. */
  readonly correction: Json;
  readonly steps: readonly { readonly name: string; readonly at: Date }[];
  /** Newest first. */
  readonly failedAttempts: readonly FailedAttempt[];
  /** What operators did to it before. */
  readonly history: readonly HistoryEntry[];
}

/** A page shows payloads up to this size. */
const maxPayloadLength = 64 * 1024;

/** Reads of the open dead letters for Bull Board, newest first. */
export class DeadLetters {
  readonly #sql: Database['sql'];
  readonly #queries: DeadLetterQueries;

  constructor(database: Pick<Database, 'sql'>) {
    this.#sql = database.sql;
    this.#queries = createDeadLetterQueries(database);
  }

  /** The number of open ones, counted no further than `limit`. */
  async count(limit: number): Promise<number> {
    const counted = this.#sql
      .selectFrom('dead_letters')
      .select('jobId')
      .where('state', '=', 'open')
      .limit(limit)
      .as('counted');
    const { n } = await this.#sql
      .selectFrom(counted)
      .select(sql<number>`count(*)`.as('n'))
      .executeTakeFirstOrThrow();
    return n;
  }

  async list(offset: number, limit: number): Promise<DeadLetterView[]> {
    const rows = await this.#select()
      .orderBy('d.createdAt', 'desc')
      .orderBy('d.jobId')
      .offset(offset)
      .limit(limit)
      .execute();
    return rows.map(toView);
  }

  async find(jobId: string): Promise<DeadLetterDetail | undefined> {
    const letter = await this.#queries.find(jobId);
    if (letter?.state !== 'open') return undefined;
    const { type: queue, diedAt, acceptedAt, payload, correction, job, ...rest } = letter;
    return {
      ...rest,
      queue,
      diedAt: diedAt.getTime(),
      acceptedAt: acceptedAt?.getTime() ?? null,
      startedAt: job?.startedAt?.getTime() ?? null,
      payload: shortened(payload),
      correction: shortened(correction),
    };
  }

  #select() {
    return this.#sql
      .selectFrom('dead_letters as d')
      .leftJoin('events as e', 'e.id', 'd.jobId')
      .leftJoin('jobs as j', 'j.id', 'd.jobId')
      .select([
        'd.jobId',
        'd.queue',
        'd.generation',
        'd.attempts',
        'd.error',
        'd.fingerprint',
        'd.createdAt as died',
        'e.timestamp as accepted',
        'j.startedAt as started',
      ])
      .select(['d.userId', 'e.aggregateId', 'e.requestId', 'e.correlationId'])
      .where('d.state', '=', 'open');
  }
}

function shortened(payload: Json): Json {
  const { length } = JSON.stringify(payload);
  return length <= maxPayloadLength ? payload : `${length} characters; too long to show here`;
}

type Row = Omit<DeadLetterView, 'error' | 'diedAt' | 'acceptedAt' | 'startedAt'> & {
  readonly error: unknown;
  readonly died: Date;
  readonly accepted: Date | null;
  readonly started: Date | null;
};

function toView({
  jobId,
  queue,
  generation,
  attempts,
  error,
  fingerprint,
  died,
  accepted,
  started,
  ...event
}: Row): DeadLetterView {
  const { userId, aggregateId, requestId, correlationId } = event;
  return {
    jobId,
    queue,
    generation,
    attempts,
    fingerprint,
    userId,
    aggregateId,
    requestId,
    correlationId,
    error: error as DeadLetterView['error'],
    diedAt: died.getTime(),
    acceptedAt: accepted?.getTime() ?? null,
    startedAt: started?.getTime() ?? null,
  };
}
