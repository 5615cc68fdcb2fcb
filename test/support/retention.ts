import { pino } from 'pino';
import { v7 } from 'uuid';
import { Retention } from '../../src/dispatch/retention.js';
import { systemClock } from '../../src/platform/clock.js';
import { createDatabase, type Database } from '../../src/platform/database.js';
import { createMetrics } from '../../src/platform/metrics.js';
import { createTestDatabase } from './database.js';

const logger = pino({ level: 'silent' });
export const dayMs = 86_400_000;
export const ages = {
  idempotencyKeysMs: dayMs,
  jobsMs: 30 * dayMs,
  notificationsMs: 30 * dayMs,
  notificationsPerRoom: 10_000,
  eventsMs: undefined as number | undefined,
};

export interface OldJob {
  readonly state?: string;
  readonly days?: number;
  readonly deadLetter?: string;
  readonly closedDays?: number;
  readonly steps?: number;
  readonly id?: string;
}

/** A database with rows that are older than the test, and what deletes them. */
export class RetentionKit {
  readonly database: Database;
  readonly metrics = createMetrics('synap_');
  readonly #testDatabase: Awaited<ReturnType<typeof createTestDatabase>>;

  private constructor(testDatabase: Awaited<ReturnType<typeof createTestDatabase>>) {
    this.#testDatabase = testDatabase;
    const { url } = testDatabase;
    const settings = { url, poolMin: 0, poolMax: 10, idleTimeoutMs: 1_000, queryTimeoutMs: 10_000 };
    this.database = createDatabase(url, settings, logger);
  }

  static async start(): Promise<RetentionKit> {
    return new RetentionKit(await createTestDatabase());
  }

  get url(): string {
    return this.#testDatabase.url;
  }

  async end(): Promise<void> {
    await this.database.close();
    await this.#testDatabase.drop();
  }

  retention(more: Partial<typeof ages> = {}, metrics = this.metrics): Retention {
    return new Retention({ sql: this.database.sql, ages: { ...ages, ...more }, metrics, clock: systemClock, logger });
  }

  /** Rounds until all is done. @returns how many there were. */
  async prune(retention = this.retention()): Promise<number> {
    let rounds = 1;
    while ((await retention.runOnce()) !== undefined) rounds++;
    return rounds;
  }

  async query<Row extends object>(text: string, values: unknown[] = []): Promise<Row[]> {
    const { rows } = await this.#testDatabase.pool.query<Row>(text, values);
    return rows;
  }

  async count(table: string): Promise<number> {
    const [row] = await this.query<{ n: number }>(`SELECT count(*)::int AS n FROM ${table}`);
    return row?.n ?? -1;
  }

  /** Does something while a transaction of somebody else has run `text` and is open; then commits it. */
  async whileOpen(text: string, values: unknown[], act: () => Promise<void>): Promise<void> {
    const client = await this.#testDatabase.pool.connect();
    await client.query('BEGIN');
    await client.query(text, values);
    await act();
    await client.query('COMMIT');
    client.release();
  }

  /** Ada's job, with its event, that ended so many days ago. */
  async addJob(job: OldJob = {}): Promise<string> {
    const { state = 'completed', days = 31, deadLetter, closedDays = days, steps = 0 } = job;
    const id = job.id ?? v7({ msecs: Date.now() - days * dayMs });
    const isOver = ['completed', 'cancelled', 'dead'].includes(state);
    await this.query(
      `WITH event AS (
         INSERT INTO events (id, type, "aggregateId", "aggregateType", "userId", data, timestamp, source, "correlationId", "requestId")
         VALUES ($1, 'probe.run.requested', 'a', 'probe', 'ada', '{}', now() - $3 * interval '1 day', 'api', 'req', 'req')
       ), letter AS (
         INSERT INTO dead_letters ("jobId", queue, "userId", state, generation, attempts, fingerprint, error, "createdAt", "resolvedAt")
         SELECT $1, 'probe.run.requested', 'ada', $5::dead_letter_state, 1, 3, 'f', '{}', now() - $3 * interval '1 day',
                now() - $7 * interval '1 day'
         WHERE $5 IS NOT NULL
       ), steps AS (
         INSERT INTO steps ("jobId", name, fence) SELECT $1, 'step-' || n, 1 FROM generate_series(1, $6::int) n
       ), failed AS (
         INSERT INTO failed_attempts ("jobId", attempt, error) VALUES ($1, 1, '{}')
       )
       INSERT INTO jobs (id, queue, "userId", "requestId", "isRoot", state, priority, "runAt", "createdAt", "finishedAt")
       VALUES ($1, 'probe.run.requested', 'ada', 'req', true, $2::job_state, 10, now() - $3 * interval '1 day',
               now() - $3 * interval '1 day', CASE WHEN $4 THEN now() - $3 * interval '1 day' END)`,
      [id, state, days, isOver, deadLetter ?? null, steps, closedDays],
    );
    return id;
  }
}
