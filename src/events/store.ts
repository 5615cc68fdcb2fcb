import type pg from 'pg';
import { Batcher } from '../platform/batcher.js';
import { runStatement, type Statement } from '../platform/database.js';
import { SynapError } from '../platform/errors.js';
import { reachFaultPoint } from '../platform/fault-points.js';
import { roughSize } from '../platform/rough-size.js';
import type { Runnable } from '../queues/ticket.js';
import type { EventDraft } from './synap-event.js';

/** An event to append, with what its job needs. */
export interface Append extends EventDraft {
  /** BullMQ's number. */
  readonly priority: number;
  /** ISO 8601; null: at once. */
  readonly runAt: string | null;
  /** Whether the type has a handler, and so the event a job. */
  readonly handled: boolean;
  readonly key: string | null;
  readonly requestHash: string | null;
}

/** The ids of the event that stands for the request: its own, or the one that an earlier call of the same key appended. */
export interface Appended {
  readonly id: string;
  readonly aggregateId: string;
  readonly correlationId: string;
  readonly requestId: string;
}

type Result = Appended | SynapError;

export interface EventStoreOptions {
  readonly pool: pg.Pool;
  /** Called after the commit with the jobs it made runnable; must not throw. */
  readonly onRunnable: (runnable: readonly Runnable[]) => void;
}

/**
 * How long a new outbox row belongs to the process that inserted it. It enqueues at once (the fast path); where it dies
 * first, the dispatcher takes over when this has passed.
 */
const fastPathLease = `interval '500 milliseconds'`;
/** Longer delays wait in Postgres and are handed to a queue shortly before their time. */
export const longestQueueDelayMs = 60_000;

const columns = `
  id uuid, type text, "aggregateId" text, "aggregateType" text, "userId" text, data jsonb, version int2, source event_source,
  "causationId" uuid, "correlationId" text, "requestId" text, priority int2, "runAt" timestamptz, handled boolean,
  key text, "requestHash" text`;

/** The columns of `jobs` and `outbox` that appending an event fills, from a CTE with the columns above. */
export function jobCtes(source: string, appended: string, isRoot: boolean): string {
  const rows = `FROM ${source} i JOIN ${appended} a ON a.id = i.id WHERE i.handled`;
  return `
  added_jobs AS (
    INSERT INTO jobs (id, queue, "userId", "requestId", "isRoot", state, priority, "runAt")
    SELECT i.id, i.type, i."userId", i."requestId", ${isRoot},
           CASE WHEN i."runAt" > now() THEN 'scheduled' ELSE 'queued' END::job_state, i.priority, COALESCE(i."runAt", now())
    ${rows}
  ),
  added_outbox AS (
    INSERT INTO outbox ("jobId", queue, "userId", priority, generation, "runAt", "claimedUntil")
    SELECT i.id, i.type, i."userId", i.priority, 1, COALESCE(i."runAt", now()),
           GREATEST(now() + ${fastPathLease}, i."runAt" - interval '${longestQueueDelayMs} milliseconds')
    ${rows}
  )`;
}

/**
 * Event, job, outbox row and idempotency key in one statement, so in one transaction. Rows are sorted by their keys:
 * unsorted batches deadlock. What a row lost to (a repeated key, a taken id) is read by a second statement, because this
 * one's snapshot cannot see it.
 */
const append: Statement = {
  name: 'events-append',
  text: `
  WITH input AS MATERIALIZED (SELECT * FROM json_to_recordset($1::json) AS i(${columns})),
  keyed AS (
    INSERT INTO idempotency_keys ("userId", key, "requestHash", "eventId")
    SELECT "userId", key, "requestHash", id FROM input WHERE key IS NOT NULL ORDER BY "userId", key
    ON CONFLICT DO NOTHING RETURNING "eventId"
  ),
  appended AS (
    INSERT INTO events (id, type, "aggregateId", "aggregateType", "userId", data, version, source, "causationId", "correlationId", "requestId")
    SELECT id, type, "aggregateId", "aggregateType", "userId", data, version, source, "causationId", "correlationId", "requestId"
    FROM input i WHERE key IS NULL OR EXISTS (SELECT FROM keyed k WHERE k."eventId" = i.id) ORDER BY id
    ON CONFLICT (id) DO NOTHING RETURNING id
  ),
  ${jobCtes('input', 'appended', true)}
  SELECT id FROM appended`,
};

const readWinners: Statement = {
  name: 'events-read-winners',
  text: `
  WITH input AS MATERIALIZED (SELECT * FROM json_to_recordset($1::json) AS i(nth int, ${columns}))
  SELECT i.nth, k."requestHash" IS NOT NULL AND k."eventId" <> i.id AS "byKey", k."requestHash" = i."requestHash" AS "sameHash",
         e.type = i.type AND e.data = i.data AS "sameEvent", e.id, e."aggregateId", e."correlationId", e."requestId"
  FROM input i
  LEFT JOIN idempotency_keys k ON k."userId" = i."userId" AND k.key = i.key
  LEFT JOIN events e ON e.id = COALESCE(k."eventId", i.id) AND e."userId" = i."userId"`,
};

interface WinnerRow extends Omit<Appended, 'id'> {
  readonly id: string | null;
  readonly nth: number;
  readonly byKey: boolean;
  readonly sameHash: boolean | null;
  readonly sameEvent: boolean | null;
}

/** The append-only record of events, and the one place where accepted events become jobs. */
export class EventStore {
  readonly #pool: pg.Pool;
  readonly #onRunnable: EventStoreOptions['onRunnable'];
  readonly #batcher: Batcher<Append, Result>;

  constructor({ pool, onRunnable }: EventStoreOptions) {
    this.#pool = pool;
    this.#onRunnable = onRunnable;
    this.#batcher = new Batcher({
      run: (items) => this.#append(items),
      weigh: ({ data }) => 500 + roughSize(data),
    });
  }

  /**
   * Resolves after the commit.
   * @throws SynapError idempotency_key_reused, event_id_taken, overloaded, unavailable (whether it committed is unknown).
   */
  async append(item: Append): Promise<Appended> {
    const result = await this.#batcher.add(item);
    if (result instanceof SynapError) throw result;
    return result;
  }

  drain(): Promise<void> {
    return this.#batcher.drain();
  }

  async #append(items: readonly Append[]): Promise<Result[]> {
    const { first, repeated } = splitRepeated(items);
    const rows = await runStatement<{ id: string }>(this.#pool, append, [JSON.stringify(first)]);
    if (rows.length > 0) reachFaultPoint('append.committed');
    const appended = new Set(rows.map(({ id }) => id));
    const won = first.filter(({ id }) => appended.has(id));
    this.#onRunnable(won.filter(({ handled }) => handled).map(toRunnable));
    const results = new Map<Append, Result>(won.map((item) => [item, item]));
    const losers = [...first.filter(({ id }) => !appended.has(id)), ...repeated];
    if (losers.length > 0) await this.#readWinners(losers, results);
    return items.map(
      (item) =>
        results.get(item) ?? new SynapError('unavailable', 'what this repeats has gone', { retryAfterMs: 1_000 }),
    );
  }

  async #readWinners(losers: readonly Append[], results: Map<Append, Result>): Promise<void> {
    const input = JSON.stringify(losers.map((item, nth) => ({ nth, ...item })));
    for (const row of await runStatement<WinnerRow>(this.#pool, readWinners, [input])) {
      const loser = losers[row.nth];
      if (loser !== undefined) results.set(loser, judgeLoser(row));
    }
  }
}

function judgeLoser(row: WinnerRow): Result {
  if (row.byKey && row.sameHash === false)
    return new SynapError('idempotency_key_reused', 'the key was used with another body');
  const { id, byKey, sameEvent } = row;
  const isRepeat = byKey || sameEvent === true;
  return id !== null && isRepeat ? { ...row, id } : new SynapError('event_id_taken', 'the event id is taken');
}

/** In one statement an id and a key may stand only once; the rest of a batch is answered like any other repetition. */
function splitRepeated(items: readonly Append[]): { first: Append[]; repeated: Append[] } {
  const seen = new Set<string>();
  const first: Append[] = [];
  const repeated: Append[] = [];
  for (const item of items) {
    const key = item.key === null ? undefined : JSON.stringify([item.userId, item.key]);
    const isRepeated = seen.has(item.id) || (key !== undefined && seen.has(key));
    (isRepeated ? repeated : first).push(item);
    seen.add(item.id);
    if (key !== undefined) seen.add(key);
  }
  return { first, repeated };
}

/** An event that was appended with its job, as dispatch needs it. */
export function toRunnable(
  item: Pick<Append, 'id' | 'type' | 'userId' | 'requestId' | 'correlationId' | 'priority' | 'runAt'>,
): Runnable {
  const { id, type, userId, requestId, correlationId, priority } = item;
  return {
    queue: type,
    jobId: id,
    generation: 1,
    priority,
    runAt: item.runAt === null ? 0 : Date.parse(item.runAt),
    data: { eventId: id, type, userId, requestId, correlationId },
  };
}
