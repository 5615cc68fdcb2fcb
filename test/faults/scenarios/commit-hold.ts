import type pg from 'pg';
import { eventually } from '../../support/signals.ts';

/** Numbers of advisory locks: the gate is shut while the suite holds it; whoever waits there holds the place. */
const gate = 4_711_001;
const place = 4_711_002;

/**
 * Runs when all statements of the transaction are done, its fence check too, and it is not committed yet. The statement's own time may
 * run out meanwhile: that is not what is tried here.
 */
const install = `
CREATE OR REPLACE FUNCTION fault_hold_commit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NOT pg_try_advisory_xact_lock(${place}) THEN RETURN NULL; END IF;
  PERFORM set_config('lock_timeout', '0', true), set_config('application_name', 'held ' || NEW."jobId", true);
  LOOP
    BEGIN
      PERFORM pg_advisory_xact_lock_shared(${gate});
      RETURN NULL;
    EXCEPTION WHEN query_canceled THEN NULL;
    END;
  END LOOP;
END $$;
CREATE CONSTRAINT TRIGGER fault_hold_commit AFTER INSERT ON steps DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW WHEN (NEW.name = 'last') EXECUTE FUNCTION fault_hold_commit()`;

/** Holds the first step that comes by between the check of its fence and its commit, inside Postgres. */
export class CommitHold {
  readonly #pool: pg.Pool;
  readonly #gatekeeper: pg.PoolClient;

  private constructor(pool: pg.Pool, gatekeeper: pg.PoolClient) {
    this.#pool = pool;
    this.#gatekeeper = gatekeeper;
  }

  static async install(pool: pg.Pool): Promise<CommitHold> {
    const gatekeeper = await pool.connect();
    await gatekeeper.query('SELECT pg_advisory_lock($1)', [gate]);
    await pool.query(install);
    return new CommitHold(pool, gatekeeper);
  }

  /** @returns the process of the worker whose commit is held */
  untilHeld(): Promise<number> {
    const read = `
      SELECT w.pid FROM pg_stat_activity a JOIN jobs j ON a.application_name = 'held ' || j.id JOIN workers w ON w.id = j."workerId"`;
    return eventually(async () => (await this.#pool.query<{ pid: number }>(read)).rows[0]?.pid, 'a commit to be held');
  }

  /** @throws Error where nothing was held any more: then what was to meet that commit has not met it. */
  async release(): Promise<void> {
    const { rowCount } = await this.#pool.query(`SELECT FROM pg_stat_activity WHERE application_name LIKE 'held %'`);
    await this.#gatekeeper.query('SELECT pg_advisory_unlock($1)', [gate]);
    if (rowCount !== 1) throw new Error(`${rowCount} commits were held in the end`);
  }

  /** Also where it came to nothing: who still waits there goes on. */
  async remove(): Promise<void> {
    this.#gatekeeper.release(true);
    await this.#pool.query('DROP TRIGGER IF EXISTS fault_hold_commit ON steps');
  }
}
