import { sql, type Selectable } from 'kysely';
import { z } from 'zod';
import type { Page, PageRequest } from '../events/queries.js';
import { recordAct } from '../platform/audit.js';
import { defineCursor } from '../platform/cursor.js';
import type { DB, Database, Sql } from '../platform/database.js';
import { SynapError } from '../platform/errors.js';
import { newId } from '../platform/ids.js';
import { reachable } from './administration.js';
import { matches, type DeadLetterFilter } from './dead-letter-filter.js';

/** What is done to each of many dead letters. */
export type BulkAct =
  | { readonly action: 'replay'; readonly mode: 'resume' | 'restart'; readonly force: boolean }
  | { readonly action: 'discard'; readonly reason: string };

export interface BulkOrder {
  readonly filter: DeadLetterFilter;
  readonly act: BulkAct;
  readonly ratePerSecond: number;
  readonly actor: string;
}

export interface BulkOperationView {
  readonly id: string;
  readonly action: string;
  readonly actor: string;
  readonly filter: unknown;
  /** `mode` and `force`, or `reason`. */
  readonly options: unknown;
  readonly ratePerSecond: number;
  readonly state: 'running' | 'completed' | 'cancelled';
  /** Open dead letters that matched when it was started. */
  readonly total: number;
  readonly done: number;
  /** Refused, or dealt with by somebody else meanwhile. */
  readonly skipped: number;
  /** The last refusal. */
  readonly lastError: string | null;
  readonly startedAt: Date;
  readonly finishedAt: Date | null;
}

const cursors = defineCursor('operations', z.tuple([z.iso.datetime(), z.uuid()]));

/** Replays and discards of many, as orders that the BulkRunner of a dispatcher works off. */
export class BulkOperations {
  readonly #sql: Sql;

  constructor(database: Pick<Database, 'sql'>) {
    this.#sql = database.sql;
  }

  /** How many it would be now. */
  count(filter: DeadLetterFilter): Promise<number> {
    return reachable(countOpen(this.#sql, filter));
  }

  /** @throws SynapError unavailable */
  start({ filter, act, ratePerSecond, actor }: BulkOrder): Promise<BulkOperationView> {
    const { action, ...options } = act;
    return reachable(
      this.#sql.transaction().execute(async (tx) => {
        const row = await tx
          .insertInto('bulk_operations')
          .values({
            id: newId(),
            action,
            actor,
            filter: JSON.stringify(filter),
            options: JSON.stringify(options),
            ratePerSecond,
            total: await countOpen(tx, filter),
          })
          .returningAll()
          .executeTakeFirstOrThrow();
        const details = { action, filter, ...options, ratePerSecond, total: row.total };
        await recordAct(tx, { actor, action: 'operation.started', target: row.id, details });
        return toView(row);
      }),
    );
  }

  async find(id: string): Promise<BulkOperationView | undefined> {
    const row = await this.#sql.selectFrom('bulk_operations').selectAll().where('id', '=', id).executeTakeFirst();
    return row && toView(row);
  }

  /** Newest first. */
  async list({ cursor, limit }: PageRequest): Promise<Page<BulkOperationView>> {
    const position = cursor === undefined ? undefined : cursors.decode(cursor);
    const after =
      position === undefined
        ? sql<boolean>`true`
        : sql<boolean>`("createdAt", id) < (${position[0]}::timestamptz, ${position[1]}::uuid)`;
    const rows = await this.#sql
      .selectFrom('bulk_operations')
      .selectAll()
      .where(after)
      .orderBy('createdAt', 'desc')
      .orderBy('id', 'desc')
      .limit(limit + 1)
      .execute();
    const items = rows.slice(0, limit).map(toView);
    const last = items.at(-1);
    if (rows.length <= limit || last === undefined) return { items };
    return { items, nextCursor: cursors.encode([last.startedAt.toISOString(), last.id]) };
  }

  /**
   * What is done stays done; nothing more is. Stopping it again is answered as before.
   * @throws SynapError not_found, operation_ended (it is completed), unavailable
   */
  stop(id: string, { actor }: { readonly actor: string }): Promise<BulkOperationView> {
    return reachable(
      this.#sql.transaction().execute(async (tx) => {
        const row = await tx
          .selectFrom('bulk_operations')
          .selectAll()
          .where('id', '=', id)
          .forUpdate()
          .executeTakeFirst();
        if (row === undefined) throw new SynapError('not_found', `there is no operation ${id}`);
        if (row.state === 'completed') throw new SynapError('operation_ended', `operation ${id} is completed`);
        if (row.state === 'cancelled') return toView(row);
        await recordAct(tx, { actor, action: 'operation.stopped', target: id });
        const stopped = await tx
          .updateTable('bulk_operations')
          .set({ state: 'cancelled', finishedAt: sql<Date>`now()` })
          .where('id', '=', id)
          .returningAll()
          .executeTakeFirstOrThrow();
        return toView(stopped);
      }),
    );
  }
}

async function countOpen(db: Sql, filter: DeadLetterFilter): Promise<number> {
  const { rows } = await sql<{ n: number }>`
    SELECT count(*)::int AS n FROM dead_letters d WHERE d.state = 'open' AND ${matches(filter)}`.execute(db);
  return rows[0]?.n ?? 0;
}

function toView({
  cursor: _cursor,
  dueAt: _dueAt,
  createdAt,
  ...row
}: Selectable<DB['bulk_operations']>): BulkOperationView {
  return { ...row, startedAt: createdAt };
}
