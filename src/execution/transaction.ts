import { isConnectionLoss, sqlStateClass, unavailable, type Sql } from '../platform/database.js';

const maxTries = 5;
const lockNotAvailable = '55P03';

/**
 * One transaction for an act of a person. Where Postgres ended it for another's sake (deadlock, serialization) it is done
 * again.
 * @throws SynapError `unavailable` where Postgres is away (whether a lost COMMIT happened shows in the job's state), or
 *   somebody keeps a lock for too long.
 */
export async function transact<T>(sql: Sql, run: (tx: Sql) => Promise<T>, tries = 1): Promise<T> {
  try {
    return await sql.transaction().execute(run);
  } catch (thrown) {
    if (sqlStateClass(thrown) === '40' && tries < maxTries) return transact(sql, run, tries + 1);
    const isLocked = thrown instanceof Error && 'code' in thrown && thrown.code === lockNotAvailable;
    throw isLocked || isConnectionLoss(thrown) ? unavailable(thrown) : thrown;
  }
}
