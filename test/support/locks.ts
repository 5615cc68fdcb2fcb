import type pg from 'pg';
import { eventually } from './signals.js';

/** Resolves when so many connections to this database wait for somebody's lock. */
export async function somebodyWaits(pool: pg.Pool, count = 1): Promise<void> {
  await eventually(async () => {
    const { rowCount } = await pool.query(
      `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
    );
    return rowCount === count ? true : undefined;
  }, `${count} to wait for a lock`);
}

/** A transaction of somebody else; `during` commits it when it is time. */
export async function meanwhile<T>(pool: pg.Pool, during: (other: pg.PoolClient) => Promise<T>): Promise<T> {
  const other = await pool.connect();
  try {
    await other.query('BEGIN');
    return await during(other);
  } finally {
    // Without effect after a commit.
    await other.query('ROLLBACK');
    other.release();
  }
}
