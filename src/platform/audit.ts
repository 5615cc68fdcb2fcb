import type { Sql } from './database.js';
import { newId } from './ids.js';
import type { Json } from './text.js';

/** Who did what to what: a row of `audit_log`. */
export interface Act {
  readonly actor: string;
  /** `noun.verb`, such as `job.replayed` or `operator.signed_in`. */
  readonly action: string;
  readonly target?: string;
  readonly details?: Json;
}

/** Give it the transaction of the act itself, so that there is never the one without the other. */
export async function recordAct(sql: Sql, { actor, action, target, details }: Act): Promise<void> {
  await sql
    .insertInto('audit_log')
    .values({
      id: newId(),
      actor,
      action,
      target: target ?? null,
      details: details === undefined ? null : JSON.stringify(details),
    })
    .execute();
}
