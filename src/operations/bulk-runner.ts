import { sql } from 'kysely';
import { z } from 'zod';
import type { JobAdministration, PartOf } from '../execution/administration.js';
import { deadLetterFilterSchema, matches, type DeadLetterFilter } from '../execution/dead-letter-filter.js';
import type { Clock } from '../platform/clock.js';
import type { Sql } from '../platform/database.js';
import { SynapError, toError } from '../platform/errors.js';
import { reachFaultPoint } from '../platform/fault-points.js';
import type { Logger } from '../platform/logger.js';
import { Periodic } from '../platform/periodic.js';

export interface BulkRunnerOptions {
  readonly sql: Sql;
  readonly administration: Pick<JobAdministration, 'replay' | 'discard'>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly everyMs?: number;
}

const roundMs = 1_000;
const operationsAtOnce = 4;
const candidatesAtOnce = 100;

const optionsSchema = z.discriminatedUnion('action', [
  z.object({ action: z.literal('replay'), mode: z.enum(['resume', 'restart']), force: z.boolean() }),
  z.object({ action: z.literal('discard'), reason: z.string() }),
]);

interface Operation {
  readonly id: string;
  readonly actor: string;
  readonly filter: DeadLetterFilter;
  readonly act: z.infer<typeof optionsSchema>;
  readonly ratePerSecond: number;
  readonly dueInMs: number;
}

interface Candidate {
  readonly jobId: string;
  readonly generation: number;
}

/**
 * Works off bulk operations, each in the order of its jobs' ids. The act on a letter and the operation's progress are one
 * transaction, and progress is only made where `cursor` is behind the letter and `dueAt` has come. So any number of these may run:
 * none does what another has done, together they keep the rate, and after a crash the next one goes on at the letter where it was.
 */
export class BulkRunner {
  readonly #options: BulkRunnerOptions;
  readonly #periodic: Periodic;
  readonly #stopping = new AbortController();

  constructor(options: BulkRunnerOptions) {
    this.#options = options;
    const { clock, logger, everyMs = 1_000 } = options;
    this.#periodic = new Periodic({ name: 'bulk-runner', everyMs, run: () => this.runOnce(), clock, logger });
  }

  start(): void {
    this.#periodic.start();
  }

  stop(): Promise<void> {
    this.#stopping.abort();
    return this.#periodic.stop();
  }

  /** Works for about a second. @returns whether an operation is still running */
  async runOnce(): Promise<boolean> {
    const until = this.#options.clock.now() + roundMs;
    const ids = await this.#running();
    const ends = await Promise.allSettled(ids.map((id) => this.#workOn(id, until)));
    const failed = ends.find((end) => end.status === 'rejected');
    if (failed !== undefined) throw toError(failed.reason);
    return ids.length > 0;
  }

  async #running(): Promise<string[]> {
    const rows = await this.#options.sql
      .selectFrom('bulk_operations')
      .select('id')
      .where('state', '=', 'running')
      .orderBy('createdAt')
      .limit(operationsAtOnce)
      .execute();
    return rows.map(({ id }) => id);
  }

  async #workOn(id: string, until: number): Promise<void> {
    for (;;) {
      const operation = await this.#read(id);
      if (operation === undefined) return;
      const candidates = await this.#candidates(operation);
      if (candidates.length === 0) return this.#complete(id);
      let dueInMs = operation.dueInMs;
      for (const candidate of candidates) {
        await this.#pause(Math.min(dueInMs, until - this.#options.clock.now()));
        if (this.#stopping.signal.aborted || this.#options.clock.now() >= until) return;
        // Somebody else has gone on, or it was stopped: look again.
        if (!(await this.#actOn(operation, candidate))) break;
        dueInMs = 1_000 / operation.ratePerSecond;
      }
    }
  }

  async #read(id: string): Promise<Operation | undefined> {
    const row = await this.#options.sql
      .selectFrom('bulk_operations')
      .select(['id', 'actor', 'filter', 'action', 'options', 'ratePerSecond'])
      .select(sql<number>`(extract(epoch FROM "dueAt" - clock_timestamp()) * 1000)::float8`.as('dueInMs'))
      .where('id', '=', id)
      .where('state', '=', 'running')
      .executeTakeFirst();
    if (row === undefined) return undefined;
    const { filter, action, options, ...rest } = row;
    return {
      ...rest,
      filter: deadLetterFilterSchema.parse(filter),
      act: optionsSchema.parse({ ...(options as object), action }),
    };
  }

  /** Those that were open when it was started: what dies again later is a case of its own. */
  async #candidates({ id, filter }: Operation): Promise<Candidate[]> {
    const { rows } = await sql<Candidate>`
      SELECT d."jobId", d.generation FROM bulk_operations o JOIN dead_letters d ON (o.cursor IS NULL OR d."jobId" > o.cursor)
      WHERE o.id = ${id} AND d.state = 'open' AND d."createdAt" <= o."createdAt" AND ${matches(filter)}
      ORDER BY d."jobId" LIMIT ${candidatesAtOnce}`.execute(this.#options.sql);
    return rows;
  }

  /** @returns false where this letter was not this runner's to deal with */
  async #actOn({ id, actor, act }: Operation, { jobId, generation }: Candidate): Promise<boolean> {
    const { administration } = this.#options;
    const partOf: PartOf = { id, advance: (tx) => advance(tx, id, jobId) };
    try {
      if (act.action === 'replay') {
        const { mode, force } = act;
        await administration.replay(jobId, { actor, generation, mode, force, partOf });
      } else {
        await administration.discard(jobId, { actor, generation, reason: act.reason, partOf });
      }
    } catch (thrown) {
      if (thrown instanceof NotOurTurn) return false;
      if (thrown instanceof SynapError && thrown.code === 'unavailable') throw thrown;
      return this.#skip(id, jobId, toError(thrown));
    }
    reachFaultPoint('bulk.acted');
    return true;
  }

  /** One that cannot be dealt with must not hold up the others. */
  async #skip(id: string, jobId: string, error: Error): Promise<boolean> {
    const isExpected = error instanceof SynapError;
    const why = isExpected ? (error.publicMessage ?? error.title) : 'an unexpected error; the log has it';
    if (!isExpected) this.#options.logger.error({ err: error, operation: id, jobId }, 'a dead letter is skipped');
    const skipped = await this.#options.sql
      .updateTable('bulk_operations')
      .set({ cursor: jobId, skipped: sql<number>`skipped + 1`, lastError: `${jobId}: ${why}` })
      .where('id', '=', id)
      .where(isBehind(jobId))
      .executeTakeFirst();
    return skipped.numUpdatedRows > 0n;
  }

  /** What others dealt with before its turn came was never looked at, and counts as skipped. */
  async #complete(id: string): Promise<void> {
    await this.#options.sql
      .updateTable('bulk_operations')
      .set({
        state: 'completed',
        finishedAt: sql<Date>`now()`,
        skipped: sql<number>`greatest(skipped, total - done)`,
      })
      .where('id', '=', id)
      .where('state', '=', 'running')
      .execute();
  }

  /** At most so long; stopping ends it. */
  async #pause(ms: number): Promise<void> {
    const { signal } = this.#stopping;
    if (ms <= 0 || signal.aborted) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const onStop = () => resolve();
    const cancel = this.#options.clock.after(Math.ceil(ms), resolve);
    signal.addEventListener('abort', onStop);
    await promise;
    cancel();
    signal.removeEventListener('abort', onStop);
  }
}

/** Another runner has dealt with the letter, its time has not come, or the operation was stopped. */
class NotOurTurn extends Error {}

const isBehind = (jobId: string) => sql<boolean>`state = 'running' AND (cursor IS NULL OR cursor < ${jobId}::uuid)`;

/** The row stays locked until the act commits; who waited for it then finds the cursor moved. @throws NotOurTurn */
async function advance(tx: Sql, id: string, jobId: string): Promise<void> {
  const advanced = await tx
    .updateTable('bulk_operations')
    .set({
      cursor: jobId,
      done: sql<number>`done + 1`,
      dueAt: sql<Date>`clock_timestamp() + interval '1 second' / "ratePerSecond"`,
    })
    .where('id', '=', id)
    .where(isBehind(jobId))
    .where(sql<boolean>`"dueAt" <= clock_timestamp()`)
    .executeTakeFirst();
  if (advanced.numUpdatedRows === 0n) throw new NotOurTurn();
}
