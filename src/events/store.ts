import type pg from 'pg';
import { Batcher } from '../platform/batcher.js';
import { isConnectionLoss, runStatement, unavailable, type Statement } from '../platform/database.js';
import { SynapError } from '../platform/errors.js';
import { reachFaultPoint } from '../platform/fault-points.js';
import { newId } from '../platform/ids.js';
import { roughSize } from '../platform/rough-size.js';
import type { Runnable } from '../queues/ticket.js';
import { appendOrdered, appendPlain, divisionByZero, readWinners, reserve } from './statements.js';
import type { EventDraft } from './synap-event.js';

/** An event to append, with what its job needs. */
export interface Append extends EventDraft {
  /** BullMQ's number. */
  readonly priority: number;
  /** ISO 8601; null: at once. */
  readonly runAt: string | null;
  /** Whether the type has a handler, and so the event a job. */
  readonly handled: boolean;
  /** Of a type that is handled in order: the line that its job stands in (`laneOf` of the catalogue). */
  readonly lane: string | null;
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
  /** How long an idempotency key counts, whether or not it has been pruned since. */
  readonly keysLastMs?: number;
}

const dayMs = 86_400_000;

interface AppendedRow {
  /** Null in the one row that stands where nothing was appended. */
  readonly id: string | null;
  /** Whether its job's turn has come, if it has one. */
  readonly isReleased: boolean;
}

interface WinnerRow extends Omit<Appended, 'id'> {
  readonly id: string | null;
  readonly nth: number;
  /** Null where the key does not stand, or there is none. */
  readonly sameHash: boolean | null;
  readonly sameEvent: boolean | null;
  /** Neither key nor event is there: whoever this lost to was refused itself. */
  readonly isFree: boolean;
}

/** The append-only record of events, and the one place where accepted events become jobs. */
export class EventStore {
  readonly #pool: pg.Pool;
  readonly #onRunnable: EventStoreOptions['onRunnable'];
  readonly #keysLastMs: number;
  readonly #batcher: Batcher<Append, Result>;
  /** What stands in lanes: one statement at a time, so that what arrives first here is first in its lane. */
  readonly #ordered: Batcher<Append, Result>;

  constructor({ pool, onRunnable, keysLastMs = dayMs }: EventStoreOptions) {
    this.#pool = pool;
    this.#onRunnable = onRunnable;
    this.#keysLastMs = keysLastMs;
    const shared = { weigh: ({ data }: Append) => 500 + roughSize(data), maxWaitMs: 500 };
    this.#batcher = new Batcher({ ...shared, run: (items) => this.#append(appendPlain, items) });
    this.#ordered = new Batcher({ ...shared, run: (items) => this.#append(appendOrdered, items), lanes: 1 });
  }

  /**
   * Resolves after the commit.
   * @throws SynapError idempotency_key_reused, event_id_taken, overloaded, unavailable (whether it committed is unknown).
   */
  async append(item: Append): Promise<Appended> {
    const result = await (item.lane === null ? this.#batcher : this.#ordered).add(item);
    if (result instanceof SynapError) throw result;
    return result;
  }

  /**
   * Whether what is appended now would wait too long for its commit. What stands in lanes refuses by itself: one that is locked is no
   * reason to refuse the others.
   */
  get isOverloaded(): boolean {
    return this.#batcher.isOverloaded;
  }

  /**
   * Takes a key for something that is not one event (a batch).
   * @throws SynapError idempotency_key_reused, unavailable
   */
  async reserve(userId: string, key: string, requestHash: string): Promise<void> {
    const taken = await runStatement(this.#pool, reserve, [userId, key, requestHash, newId(), this.#keysLastMs]).catch(
      (thrown: unknown) => {
        throw isConnectionLoss(thrown) ? unavailable(thrown) : thrown;
      },
    );
    if (taken.length === 0) throw reused();
  }

  async drain(): Promise<void> {
    await Promise.all([this.#batcher.drain(), this.#ordered.drain()]);
  }

  async #append(statement: Statement, items: readonly Append[]): Promise<Result[]> {
    const results = new Map<Append, Result>();
    let open = items;
    for (let round = 0; open.length > 0 && round < maxRounds; round++) {
      const { first, repeated } = splitRepeated(open);
      const appended = await this.#insert(statement, first);
      for (const item of first) if (appended.has(item.id)) results.set(item, item);
      const losers = [...first, ...repeated].filter((item) => !results.has(item));
      open = losers.length === 0 ? [] : await this.#readWinners(losers, results);
    }
    return items.map(
      (item) =>
        results.get(item) ?? new SynapError('unavailable', 'what this repeats has gone', { retryAfterMs: 1_000 }),
    );
  }

  /** @returns the ids that were appended. */
  async #insert(statement: Statement, items: readonly Append[]): Promise<ReadonlySet<string>> {
    const values = [JSON.stringify(items), this.#keysLastMs];
    let rows: AppendedRow[] | undefined;
    for (let round = 1; rows === undefined; round++) {
      rows = await runStatement<AppendedRow>(this.#pool, statement, values).catch((thrown: unknown) => {
        if (isBroken(thrown) && round < maxRounds) return undefined;
        throw thrown;
      });
    }
    const appended = new Map(rows.flatMap(({ id, isReleased }) => (id === null ? [] : [[id, isReleased] as const])));
    if (appended.size > 0) reachFaultPoint('append.committed');
    this.#onRunnable(items.filter(({ id, handled }) => handled && appended.get(id) === true).map(toRunnable));
    return new Set(appended.keys());
  }

  /** @returns those that have nothing to lose to any more, and are appended after all. */
  async #readWinners(losers: readonly Append[], results: Map<Append, Result>): Promise<Append[]> {
    const input = JSON.stringify(losers.map((item, nth) => ({ nth, ...item })));
    const rows = await runStatement<WinnerRow>(this.#pool, readWinners, [input, this.#keysLastMs]);
    const free: Append[] = [];
    for (const row of rows.toSorted((a, b) => a.nth - b.nth)) {
      const loser = losers[row.nth];
      if (loser === undefined) continue;
      if (row.isFree) free.push(loser);
      else results.set(loser, judgeLoser(row));
    }
    return free;
  }
}

/** Somebody may always come between two rounds; so often in a row nobody does. */
const maxRounds = 5;

const isBroken = (thrown: unknown): boolean =>
  thrown instanceof Error && 'code' in thrown && thrown.code === divisionByZero;

const reused = () => new SynapError('idempotency_key_reused', 'the key was used with another body');

function judgeLoser(row: WinnerRow): Result {
  if (row.sameHash === false) return reused();
  const { id, sameHash, sameEvent } = row;
  const isRepeat = sameHash === true || sameEvent === true;
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
