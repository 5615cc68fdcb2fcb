import { CompiledQuery } from 'kysely';
import type { Sql } from '../platform/database.js';
import { placeLast } from '../events/statements.js';

/**
 * The turn of a dead job that is to run again: where it still holds its lane it is the head as before. Those behind one that
 * was discarded or skipped have gone on without it, so it takes a place at the end: still one after the other.
 * @returns whether it may be dispatched now; else the end of the one before it releases it.
 */
export async function takeTurn(
  tx: Sql,
  { id, lane }: { readonly id: string; readonly lane: string | null },
): Promise<boolean> {
  if (lane === null) return true;
  const row = await tx.selectFrom('lanes').select('head').where('key', '=', lane).forUpdate().executeTakeFirst();
  if (row?.head === id) return true;
  const placed = await tx.executeQuery<{ position: string; isHead: boolean }>(CompiledQuery.raw(placeLast, [lane, id]));
  const { position, isHead = true } = placed.rows[0] ?? {};
  await tx.updateTable('jobs').set({ position, isReleased: isHead }).where('id', '=', id).execute();
  return isHead;
}
