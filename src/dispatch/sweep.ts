import { firstIdAt } from '../platform/ids.js';

export interface Pruned {
  /** Rows by table. */
  readonly deleted: Readonly<Record<string, number>>;
  /** Where the next batch goes on; undefined where there is no more. */
  readonly cursor: string | undefined;
}

/** Rows that one statement deletes at most, or looks at. */
export const batchSize = 500;

const dayMs = 86_400_000;
const firstId = '00000000-0000-0000-0000-000000000000';
const lastId = 'ffffffff-ffff-ffff-ffff-ffffffffffff';

/** A part of a table in the order of its ids, and what in it is past its age. */
export interface Stretch {
  /** Exclusive. */
  readonly from: string;
  /** Inclusive. */
  readonly to: string;
  readonly before: Date;
  /** Where the sweep goes on after this stretch. */
  readonly beyond: string | undefined;
}

/**
 * A sweep through a table that has no index on its age, because one would be written with every row. Ids are mostly UUIDv7: those
 * made since `before` are of rows that cannot be past their age and are left out, so a sweep reads little more than it deletes.
 * Ids that clients made in another way lie before or after them and are looked at.
 */
export function stretchOf(now: Date, ageMs: number, cursor = firstId): Stretch {
  const before = new Date(now.getTime() - ageMs);
  const young = firstIdAt(before.getTime());
  const notYet = firstIdAt(now.getTime() + dayMs);
  return cursor < young
    ? { from: cursor, to: young, before, beyond: notYet }
    : { from: cursor < notYet ? notYet : cursor, to: lastId, before, beyond: undefined };
}

/** @param seen rows that were looked at, of which `last` was the last. */
export function cursorAfter(stretch: Stretch, seen: number, last: string | null): string | undefined {
  return seen < batchSize || last === null ? stretch.beyond : last;
}
