import { sql } from 'kysely';
import type { Clock } from '../platform/clock.js';
import { runStatement, type Database, type Sql, type Statement } from '../platform/database.js';
import { SynapError } from '../platform/errors.js';
import { reachFaultPoint } from '../platform/fault-points.js';
import { findUnstorable, type Json } from '../platform/text.js';
import { CommitRefused, inTransaction } from '../platform/transaction.js';
import {
  notificationColumns,
  notificationCtes,
  toCommittedEntries,
  toNotificationRow,
  type EnteredRow,
  type NotificationRow,
} from '../realtime/log/notification-log.js';
import type { Publisher } from '../realtime/publishing/publisher.js';
import type { Step, StepContext, StepOptions } from './handler.js';
import { AttemptAborted } from './outcome.js';
import { NonRetryableError } from './retry.js';
import { StepLimit } from './step-limit.js';

export interface StepsOptions {
  readonly database: Pick<Database, 'pool' | 'sql'>;
  readonly publisher: Publisher;
  readonly job: { readonly id: string; readonly fence: number; readonly userId: string; readonly requestId: string };
  /** What earlier attempts recorded. */
  readonly recorded: ReadonlyMap<string, Json>;
  readonly signal: AbortSignal;
  /** Rejects with the signal's reason. */
  readonly aborted: Promise<never>;
  readonly clock: Clock;
}

const maxOutputBytes = 1024 * 1024;

/** Behind the fence: nothing is inserted where another attempt has the job, or an earlier one has recorded this step. */
const recordCtes = `
  WITH held AS (
    SELECT FROM jobs WHERE id = $1 AND fence = $2 AND state = 'running' FOR NO KEY UPDATE
  ),
  recorded AS (
    INSERT INTO steps ("jobId", name, output, fence) SELECT $1, $3, $4::jsonb, $2 FROM held
    ON CONFLICT DO NOTHING RETURNING name
  )`;
const record: Statement = { name: 'steps-record', text: `${recordCtes} SELECT name FROM recorded` };
/** In a transaction a record that is refused must fail, or the COMMIT that travels with it would leave the effect alone. */
const recordOrFail: Statement = {
  name: 'steps-record-or-fail',
  text: `${recordCtes} SELECT 1 / count(*)::int AS recorded FROM recorded`,
};

/**
 * The steps of one attempt. Every record is written behind the fence: the statement that inserts it locks the job's row and
 * finds nothing where another attempt has taken over. It is the last statement before COMMIT, so the row is locked for
 * microseconds and a frozen process cannot block others with it.
 */
export class Steps {
  readonly #options: StepsOptions;
  readonly #used = new Set<string>();

  constructor(options: StepsOptions) {
    this.#options = options;
  }

  /** The function that handlers get. */
  toStep(): Step {
    return Object.assign(
      <T extends Json | void>(name: string, fn: (step: StepContext) => Promise<T>, options?: StepOptions) =>
        this.#run(name, fn, options),
      {
        transaction: <T extends Json | void>(
          name: string,
          fn: (tx: Sql, step: Pick<StepContext, 'signal'>) => Promise<T>,
          options?: StepOptions,
        ) => this.#transaction(name, fn, options),
        notify: (name: string, notification: Parameters<Step['notify']>[1]) => this.#notify(name, notification),
      },
    );
  }

  async #run<T extends Json | void>(
    name: string,
    fn: (step: StepContext) => Promise<T>,
    { timeoutMs }: StepOptions = {},
  ): Promise<T> {
    const known = this.#begin(name);
    if (known !== undefined) return known.output as T;
    reachFaultPoint('step.starting');
    const output = await this.#act(name, fn, timeoutMs);
    reachFaultPoint('step.acted');
    const rows = await runStatement(this.#options.database.pool, record, this.#toRecord(name, output));
    const held = rows.length > 0 ? output : await this.#explainRefusal(name, notRecorded(name));
    reachFaultPoint('step.recorded');
    return (held ?? undefined) as T;
  }

  async #act(
    name: string,
    fn: (step: StepContext) => Promise<Json | void>,
    timeoutMs: number | undefined,
  ): Promise<Json> {
    using limit = this.#limit(name, timeoutMs);
    const { job } = this.#options;
    const acted = fn({ idempotencyKey: `${job.id}:${name}`, signal: limit.signal });
    return toOutput(name, await Promise.race([acted, limit.over]));
  }

  /**
   * Where its time is over the caller hears at once; the rollback follows on the transaction's own connection, which Postgres
   * frees by `statement_timeout` if a statement still runs there.
   */
  async #transaction<T extends Json | void>(
    name: string,
    fn: (tx: Sql, step: Pick<StepContext, 'signal'>) => Promise<T>,
    { timeoutMs }: StepOptions = {},
  ): Promise<T> {
    const known = this.#begin(name);
    if (known !== undefined) return known.output as T;
    using limit = this.#limit(name, timeoutMs);
    const executed = inTransaction(
      this.#options.database.pool,
      async (tx) => {
        limit.signal.throwIfAborted();
        if (timeoutMs !== undefined)
          await sql`SELECT set_config('statement_timeout', ${String(timeoutMs)}, true)`.execute(tx);
        return toOutput(name, await Promise.race([fn(tx, { signal: limit.signal }), limit.over]));
      },
      (output) => ({ statement: recordOrFail, values: this.#toRecord(name, output) }),
    );
    try {
      const committed = await Promise.race([executed, limit.over]);
      reachFaultPoint('step.committed');
      return (committed ?? undefined) as T;
    } catch (thrown) {
      if (thrown instanceof CommitRefused) return (await this.#explainRefusal(name, thrown)) as T;
      throw thrown;
    }
  }

  #limit(name: string, timeoutMs: number | undefined): StepLimit {
    const { signal, aborted, clock } = this.#options;
    return new StepLimit({ name, timeoutMs, signal, aborted, clock });
  }

  async #notify(name: string, { type, data, status = 'pending' }: Parameters<Step['notify']>[1]): Promise<void> {
    if (this.#begin(name) !== undefined) return;
    const { job, publisher } = this.#options;
    const row = toNotificationRow({
      type,
      status,
      data: toOutput(name, data),
      userId: job.userId,
      requestId: job.requestId,
      eventId: job.id,
    });
    const entered = await this.#insertNotification(name, row);
    if (entered.length === 0) await this.#explainRefusal(name, notRecorded(name));
    else publisher.publish(toCommittedEntries([row], entered));
  }

  /** The record of an earlier attempt, or undefined where the step must run. */
  #begin(name: string): { readonly output: Json | undefined } | undefined {
    const { signal, recorded } = this.#options;
    signal.throwIfAborted();
    if (name === '' || name.length > 100)
      throw new NonRetryableError('invalid_step', `a step's name has 1 to 100 characters: "${name}"`);
    if (this.#used.has(name))
      throw new NonRetryableError('invalid_step', `two steps of one attempt are named "${name}"`);
    this.#used.add(name);
    return recorded.has(name) ? { output: recorded.get(name) ?? undefined } : undefined;
  }

  #toRecord(name: string, output: Json): unknown[] {
    const { id, fence } = this.#options.job;
    return [id, fence, name, output === null ? null : JSON.stringify(output)];
  }

  /** Record and notification in one statement; no rows where the fence is lost or the step was recorded meanwhile. */
  async #insertNotification(name: string, row: NotificationRow): Promise<readonly EnteredRow[]> {
    const { id, fence } = this.#options.job;
    const result = await sql<EnteredRow>`
      WITH held AS (
        SELECT FROM jobs WHERE id = ${id} AND fence = ${fence} AND state = 'running' FOR NO KEY UPDATE
      ),
      recorded AS (
        INSERT INTO steps ("jobId", name, fence) SELECT ${id}, ${name}, ${fence} FROM held
        ON CONFLICT DO NOTHING RETURNING name
      ),
      drafted AS MATERIALIZED (
        SELECT n.* FROM json_to_recordset(${JSON.stringify([{ ...row, ord: 1 }])}::json) AS n(ord bigint, ${sql.raw(notificationColumns)}), recorded
      ),
      ${sql.raw(notificationCtes('drafted'))}
      SELECT * FROM entered`.execute(this.#options.database.sql);
    return result.rows;
  }

  /**
   * A record was refused: either an earlier attempt committed this very step while this one was being claimed, and its
   * record is the truth, or another attempt has the job now. Where neither is so, nothing was committed, and `refusal` says why.
   */
  async #explainRefusal(name: string, refusal: Error): Promise<Json | undefined> {
    const { id, fence } = this.#options.job;
    const result = await sql<{ output: Json; holds: boolean; recorded: boolean; state: string }>`
      SELECT s.output, s.name IS NOT NULL AS recorded, j.state, j.fence = ${fence} AND j.state = 'running' AS holds FROM jobs j
      LEFT JOIN steps s ON s."jobId" = j.id AND s.name = ${name} WHERE j.id = ${id}`.execute(
      this.#options.database.sql,
    );
    const [row] = result.rows;
    if (row?.state === 'cancelled') throw new AttemptAborted('cancelled', `job ${id} was cancelled`);
    if (row?.holds !== true)
      throw new SynapError('fence_lost', `step "${name}": another attempt has taken over job ${id}`);
    if (!row.recorded) throw refusal;
    return row.output ?? undefined;
  }
}

/** What a later attempt would read back, so that the first attempt sees the same. */
function toOutput(name: string, value: Json | void): Json {
  if (value === undefined) return null;
  const text = JSON.stringify(value);
  if (Buffer.byteLength(text) > maxOutputBytes) {
    throw new NonRetryableError('step_output_too_large', `step "${name}" returned more than ${maxOutputBytes} bytes`);
  }
  const output = JSON.parse(text) as Json;
  const bad = findUnstorable(output);
  if (bad !== undefined)
    throw new NonRetryableError('step_output_not_storable', `step "${name}": ${bad} cannot be stored`);
  return output;
}

const notRecorded = (name: string): Error => new Error(`step "${name}" was not recorded`);
