import { PrismaPg } from '@prisma/adapter-pg';
import { Kysely, PostgresDialect } from 'kysely';
import pg from 'pg';
import type { DB } from '../generated/database.js';
import { PrismaClient } from '../generated/prisma/client.js';
import type { Config } from './config.js';
import { SynapError, toError } from './errors.js';
import type { Logger } from './logger.js';

export type { DB };
/** A typed SQL client on the hot pool; inside `step.transaction` it is bound to that transaction. */
export type Sql = Kysely<DB>;

// int8 arrives as text because it can exceed 2^53; sequences and byte counts never will.
const types = new pg.TypeOverrides(pg.types);
types.setTypeParser(pg.types.builtins.INT8, Number);

/**
 * The two ways to Postgres. `pool` and `sql` are the hot path: prepared statements and typed SQL. `prisma` is for
 * everything else; it has a small pool of its own so that a slow listing never takes a connection from accepting.
 */
export interface Database {
  readonly pool: pg.Pool;
  readonly sql: Sql;
  readonly prisma: PrismaClient;
  close(): Promise<void>;
}

export function createDatabase(url: string, config: Config['database'], logger: Logger): Database {
  const pool = new pg.Pool({
    connectionString: url,
    application_name: 'synap',
    min: config.poolMin,
    max: config.poolMax,
    idleTimeoutMillis: config.idleTimeoutMs,
    connectionTimeoutMillis: 5_000,
    keepAlive: true,
    // A process that freezes inside a transaction must not hold its locks for longer than a moment.
    idle_in_transaction_session_timeout: 10_000,
    lock_timeout: 5_000,
    types,
  });
  // An idle connection that Postgres ends is replaced by the pool; without a listener it would end the process.
  pool.on('error', (error) => logger.warn({ err: error }, 'an idle database connection was lost'));
  // So would one that is lost between two statements of a transaction: the pool does not listen to what it has lent out.
  pool.on('connect', (client) =>
    client.on('error', (error) => logger.debug({ err: error }, 'a database connection was lost')),
  );
  const sql = new Kysely<DB>({ dialect: new PostgresDialect({ pool }) });
  const prisma = new PrismaClient({
    adapter: new PrismaPg({ connectionString: url, max: 5, application_name: 'synap-prisma' }),
  });
  return {
    pool,
    sql,
    prisma,
    async close() {
      await prisma.$disconnect();
      await pool.end();
    },
  };
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

/** A statement that Postgres prepares once per connection. */
export interface Statement {
  readonly name: string;
  readonly text: string;
}

export async function runStatement<Row extends pg.QueryResultRow>(
  client: pg.Pool | pg.PoolClient,
  statement: Statement,
  values: unknown[],
): Promise<Row[]> {
  const result = await client.query<Row>({ ...statement, values });
  return result.rows;
}

/** The two-character class of a SQLSTATE, or undefined where the error did not come from Postgres' executor. */
export function sqlStateClass(thrown: unknown): string | undefined {
  const code = thrown instanceof Error && 'code' in thrown ? thrown.code : undefined;
  // EPIPE has five letters too; no class of SQLSTATE begins with E.
  return typeof code === 'string' && /^[0-9A-DF-Z][0-9A-Z]{4}$/.test(code) ? code.slice(0, 2) : undefined;
}

/** What pg, sockets and name resolution say (a container that is stopped has no name: EAI_AGAIN). */
const lossOfConnection =
  /timeout exceeded|Connection terminated|not queryable|EPIPE|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|ECONN(REFUSED|RESET|ABORTED)|E(HOST|NET)UNREACH/i;

/** Errors of the connection and not of the statement: whether it committed is unknown. */
export function isConnectionLoss(thrown: unknown): boolean {
  const state = sqlStateClass(thrown);
  if (state !== undefined) return ['08', '53', '57'].includes(state) || isReadOnly(thrown);
  return lossOfConnection.test(describe(thrown));
}

/** The server has become a replica: the connection leads to the wrong place. */
function isReadOnly(thrown: unknown): boolean {
  return thrown instanceof Error && 'code' in thrown && thrown.code === '25006';
}

function describe(thrown: unknown): string {
  const error = toError(thrown);
  return `${error.message} ${'code' in error ? String(error.code) : ''}`;
}

/** What a caller sees when Postgres is away: 503 with Retry-After, never a 202. */
export function unavailable(thrown: unknown): SynapError {
  return new SynapError('unavailable', `database: ${toError(thrown).message}`, { cause: thrown, retryAfterMs: 1_000 });
}
