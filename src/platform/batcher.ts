import { isConnectionLoss, sqlStateClass, unavailable } from './database.js';
import { SynapError, toError } from './errors.js';

export interface BatcherOptions<Item, Result> {
  /** Runs one statement for `items` and answers one result per item, in their order. */
  readonly run: (items: readonly Item[]) => Promise<readonly Result[]>;
  /** Bytes, roughly, that an item adds to its statement; a batch stays under `maxWeight`. */
  readonly weigh?: (item: Item) => number;
  readonly maxItems?: number;
  readonly maxWeight?: number;
  /** Statements in flight at once. */
  readonly lanes?: number;
  /** Items that may wait, and what they may weigh together; more are refused with `overloaded`, early rather than late. */
  readonly maxWaiting?: number;
  readonly maxWaitingWeight?: number;
  /** What would wait longer than about this is refused with `overloaded` at once. Without it waiting is bounded by the above alone. */
  readonly maxWaitMs?: number;
  /** Milliseconds that only grow. */
  readonly now?: () => number;
}

interface Waiting<Item, Result> {
  readonly item: Item;
  readonly weight: number;
  readonly since: number;
  readonly resolve: (result: Result) => void;
  readonly reject: (error: Error) => void;
}

const maxRetries = 5;
/** Share of the last statement's time in the running mean. */
const smoothing = 0.2;

/**
 * Group commit: while a statement is in flight the next items gather; no timer, so an idle system pays nothing and a busy
 * one shares its commits. Used by accepting, claiming and finishing alike.
 *
 * A batch that Postgres refuses because of its content (SQLSTATE class 22 data, 23 constraint, 21 cardinality, 54 limits), or of which
 * no statement can be made, is halved until the guilty item stands alone, so nobody fails for another's row. Class 40 (deadlock,
 * serialization) and a row that stays locked are tried again. A lost connection is `unavailable` for all of the batch: whether it
 * committed is unknown, and only the caller can resolve that.
 *
 * With `maxWaitMs` it also refuses what would come too late to be of use. Each statement that ends makes room for the next items, so
 * under more load than it can bear it keeps working at its full rate on a queue of a constant length.
 */
export class Batcher<Item, Result> {
  readonly #options: Required<BatcherOptions<Item, Result>>;
  #waiting: Waiting<Item, Result>[] = [];
  #waitingWeight = 0;
  #inFlight = 0;
  /** When the last statement was sent, and how long one takes. */
  #sentAt = 0;
  #statementMs = 0;
  #idle: PromiseWithResolvers<void> | undefined;

  constructor(options: BatcherOptions<Item, Result>) {
    this.#options = {
      weigh: () => 1,
      maxItems: 100,
      maxWeight: 4 * 1024 * 1024,
      lanes: 2,
      maxWaiting: 20_000,
      maxWaitingWeight: 128 * 1024 * 1024,
      maxWaitMs: Infinity,
      now: () => performance.now(),
      ...options,
    };
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  /**
   * Whether an item would wait too long now: by what is ahead of it, by what the first in line has waited already, or because no
   * statement has ended for long.
   */
  get isOverloaded(): boolean {
    const { maxItems, maxWeight, lanes, maxWaitMs, now } = this.#options;
    const statements = Math.max(this.#waiting.length / maxItems, this.#waitingWeight / maxWeight);
    if ((statements / lanes) * this.#statementMs > maxWaitMs) return true;
    const [first] = this.#waiting;
    if (first !== undefined && now() - first.since > 2 * maxWaitMs) return true;
    return this.#inFlight === lanes && now() - this.#sentAt > 4 * maxWaitMs;
  }

  /** @throws SynapError `overloaded`, `unavailable`; else what Postgres says of this very item. */
  add(item: Item): Promise<Result> {
    const { maxWaiting, maxWaitingWeight, weigh, now } = this.#options;
    const { length } = this.#waiting;
    const weight = weigh(item);
    if (length >= maxWaiting || (length > 0 && this.#waitingWeight + weight > maxWaitingWeight)) {
      return Promise.reject(new SynapError('overloaded', 'too many statements wait', { retryAfterMs: 1_000 }));
    }
    if (this.isOverloaded) {
      return Promise.reject(new SynapError('overloaded', 'the database is behind', { retryAfterMs: 1_000 }));
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push({ item, weight, since: now(), resolve, reject });
      this.#waitingWeight += weight;
      // Items added in the same turn of the event loop travel together even when a lane is free.
      if (this.#waiting.length === 1) setImmediate(() => this.#fill());
    });
  }

  /** Resolves when nothing waits and nothing is in flight. */
  async drain(): Promise<void> {
    if (this.#waiting.length === 0 && this.#inFlight === 0) return;
    this.#idle ??= Promise.withResolvers<void>();
    await this.#idle.promise;
  }

  #fill(): void {
    while (this.#waiting.length > 0 && this.#inFlight < this.#options.lanes) {
      const batch = this.#take();
      const sentAt = this.#options.now();
      this.#inFlight++;
      this.#sentAt = sentAt;
      void this.#settle(batch, 0).finally(() => {
        this.#inFlight--;
        this.#statementMs += smoothing * (this.#options.now() - sentAt - this.#statementMs);
        this.#fill();
      });
    }
    if (this.#waiting.length === 0 && this.#inFlight === 0) {
      this.#idle?.resolve();
      this.#idle = undefined;
    }
  }

  #take(): Waiting<Item, Result>[] {
    let total = 0;
    let length = 0;
    for (const { weight } of this.#waiting) {
      if (length === this.#options.maxItems || (length > 0 && total + weight > this.#options.maxWeight)) break;
      total += weight;
      length++;
    }
    this.#waitingWeight -= total;
    return this.#waiting.splice(0, length);
  }

  async #settle(batch: Waiting<Item, Result>[], retries: number): Promise<void> {
    let results: readonly Result[];
    try {
      results = await this.#options.run(batch.map(({ item }) => item));
    } catch (thrown) {
      return this.#recover(batch, thrown, retries);
    }
    for (const [index, { resolve }] of batch.entries()) resolve(results[index] as Result);
  }

  async #recover(batch: Waiting<Item, Result>[], thrown: unknown, retries: number): Promise<void> {
    if (isTransient(thrown) && retries < maxRetries) return this.#settle(batch, retries + 1);
    const [first] = batch;
    if (batch.length > 1 && isOfOneItem(thrown)) {
      const middle = Math.ceil(batch.length / 2);
      await this.#settle(batch.slice(0, middle), 0);
      return this.#settle(batch.slice(middle), 0);
    }
    const error = isConnectionLoss(thrown) || isTransient(thrown) ? unavailable(thrown) : toError(thrown);
    if (batch.length === 1) first?.reject(error);
    else for (const { reject } of batch) reject(error);
  }
}

const lockNotAvailable = '55P03';

/** Who froze with a lock loses it before the retries are used up (`idle_in_transaction_session_timeout`). */
function isTransient(thrown: unknown): boolean {
  if (sqlStateClass(thrown) === '40') return true;
  return thrown instanceof Error && 'code' in thrown && thrown.code === lockNotAvailable;
}

/** Whether one item's content may be to blame: Postgres refused it, or no statement could be made of it. */
function isOfOneItem(thrown: unknown): boolean {
  const state = sqlStateClass(thrown);
  if (state === undefined) return !isConnectionLoss(thrown) && !(thrown instanceof SynapError);
  return state === '21' || state === '22' || state === '23' || state === '54';
}
