import { Kysely, PostgresDialect } from 'kysely';
import pg from 'pg';
import type { DB } from '../generated/database.js';
import type { PrismaClient } from '../generated/prisma/client.js';
import { Circuit } from './circuit.js';
import { systemClock, type Clock } from './clock.js';
import type { Config } from './config.js';
import { SynapError, toError } from './errors.js';
import { GuardedPool } from './guarded-pool.js';
import type { Logger } from './logger.js';
import { SlowStatements } from './slow-statements.js';

export { isConnectionLoss, sqlStateClass } from './connection-loss.js';
export type { DB };
/** A typed SQL client on the hot pool; inside `step.transaction` it is bound to that transaction. */
export type Sql = Kysely<DB>;

// int8 arrives as text because it can exceed 2^53; sequences and byte counts never will.
const types = new pg.TypeOverrides(pg.types);
types.setTypeParser(pg.types.builtins.INT8, Number);

/**
 * The two ways to Postgres. `pool` and `sql` are the hot path: prepared statements and typed SQL. `prisma` is for
 * everything else; it has a small pool of its own so that a slow listing never takes a connection from accepting. It is loaded
 * by the first who asks for it: most processes never do, and it takes as much memory as all that they run.
 */
export interface Database {
  readonly pool: pg.Pool;
  readonly sql: Sql;
  prisma(): Promise<PrismaClient>;
  /** Resolves when Postgres answers, on a connection of its own: a pool that is all lent out is no outage. */
  ping(): Promise<void>;
  close(): Promise<void>;
}

const pingTimeoutMs = 1_500;

/** Without `slowQueryMs`, or with 0, no statement is called slow. */
type DatabaseSettings = Omit<Config['database'], 'slowQueryMs'> & Partial<Config['database']>;

export function createDatabase(
  url: string,
  config: DatabaseSettings,
  logger: Logger,
  clock: Clock = systemClock,
): Database {
  const ping = createPing(url, logger);
  const circuit = new Circuit({ ping: ping.run, clock, logger });
  const { slowQueryMs: fromMs = 0 } = config;
  const slow = fromMs > 0 ? new SlowStatements({ fromMs, clock, logger }) : undefined;
  const shared = { circuit, clock, logger, slow };
  const connection = { connectionString: url, ...timeouts(config.queryTimeoutMs) };
  const pool = new GuardedPool({
    ...shared,
    pool: {
      ...connection,
      application_name: 'synap',
      min: config.poolMin,
      max: config.poolMax,
      idleTimeoutMillis: config.idleTimeoutMs,
      types,
    },
  });
  const prismaPool = new GuardedPool({
    ...shared,
    pool: { ...connection, application_name: 'synap-prisma', max: 5 },
  });
  const sql = new Kysely<DB>({ dialect: new PostgresDialect({ pool }) });
  let prisma: Promise<PrismaClient> | undefined;
  return {
    pool,
    sql,
    prisma: () =>
      (prisma ??= loadPrisma(prismaPool).catch((thrown: unknown) => {
        // The next who asks tries again.
        prisma = undefined;
        throw thrown;
      })),
    ping: ping.run,
    async close() {
      circuit.stop();
      // One that could not be opened has nothing to close.
      const opened = await prisma?.catch(() => undefined);
      await opened?.$disconnect();
      await Promise.all([pool.end(), prismaPool.end(), ping.end()]);
    },
  };
}

async function loadPrisma(pool: pg.Pool): Promise<PrismaClient> {
  const { openPrisma } = await import('./prisma.js');
  return openPrisma(pool);
}

/** One connection that nothing else can use up: a process that is too busy to say that it lives would be taken for dead. */
export function createHeartbeatPool(url: string, logger: Logger): pg.Pool {
  const pool = new pg.Pool({
    connectionString: url,
    application_name: 'synap-heartbeat',
    max: 1,
    idleTimeoutMillis: 0,
    connectionTimeoutMillis: 3_000,
    query_timeout: 3_000,
    lock_timeout: 2_000,
    keepAlive: true,
    types,
  });
  pool.on('error', (error) => logger.debug({ err: error }, 'the heartbeat lost its connection'));
  pool.on('connect', (client) =>
    client.on('error', (error) => logger.debug({ err: error }, 'the heartbeat lost its connection')),
  );
  return pool;
}

/**
 * Nothing waits for ever. A statement that takes too long is ended by Postgres, which keeps the connection; only where no answer
 * comes at all does the client give up, a little later, and with the connection.
 */
export function timeouts(queryTimeoutMs: number) {
  return {
    connectionTimeoutMillis: 5_000,
    statement_timeout: Math.ceil(queryTimeoutMs * 0.9),
    query_timeout: queryTimeoutMs,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    // A process that freezes inside a transaction must not hold its locks for longer than a moment.
    idle_in_transaction_session_timeout: 10_000,
    lock_timeout: 5_000,
  } as const;
}

/** Asks on one connection, however many ask at once. What Postgres refuses with a reason of its own is an answer too. */
function createPing(url: string, logger: Logger) {
  const pool = new pg.Pool({
    connectionString: url,
    application_name: 'synap-ping',
    max: 1,
    connectionTimeoutMillis: pingTimeoutMs,
    query_timeout: pingTimeoutMs,
    idleTimeoutMillis: 30_000,
    allowExitOnIdle: true,
  });
  pool.on('error', (error) => logger.debug({ err: error }, 'the connection for pings was lost'));
  let asking: Promise<void> | undefined;
  const ask = async (): Promise<void> => {
    try {
      await pool.query('SELECT 1');
    } catch (thrown) {
      if (!isTooManyConnections(thrown)) throw thrown;
    } finally {
      asking = undefined;
    }
  };
  return { run: () => (asking ??= ask()), end: () => pool.end() };
}

/** The connections that exist go on working. */
function isTooManyConnections(thrown: unknown): boolean {
  return thrown instanceof Error && 'code' in thrown && thrown.code === '53300';
}

/** A statement that Postgres prepares once per connection. */
export interface Statement {
  readonly name: string;
  readonly text: string;
}

/**
 * In the FROM of a statement that is its own transaction: its commit does not wait for the disk. For what a crash of Postgres may take
 * back because all it costs is work done again, never for what anybody was told. Commits keep their order: none that was waited for
 * outlives it. It ends with the transaction.
 */
export const withoutFlush = `set_config('synchronous_commit', 'off', true)`;

export async function runStatement<Row extends pg.QueryResultRow>(
  client: pg.Pool | pg.PoolClient,
  statement: Statement,
  values: unknown[],
): Promise<Row[]> {
  const result = await client.query<Row>({ ...statement, values });
  return result.rows;
}

/** What a caller sees when Postgres is away: 503 with Retry-After, never a 202. */
export function unavailable(thrown: unknown): SynapError {
  return new SynapError('unavailable', `database: ${toError(thrown).message}`, { cause: thrown, retryAfterMs: 1_000 });
}
