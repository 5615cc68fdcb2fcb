import {
  DefaultQueryExecutor,
  DummyDriver,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
  SingleConnectionProvider,
  Transaction,
  type CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type QueryResult,
} from 'kysely';
import type pg from 'pg';
import type { DB, Sql, Statement } from './database.js';
import { toError } from './errors.js';
import { sendAfterBegin, sendBeforeCommit } from './pipelined-query.js';

/** The last statement refused to commit: what it asks for did not hold any more. */
export class CommitRefused extends Error {}

export interface LastStatement {
  readonly statement: Statement;
  readonly values: unknown[];
}

/** By this a last statement refuses: it divides by the number of rows that it found. */
const divisionByZero = '22012';

const compiler = new PostgresQueryCompiler();
const adapter = new PostgresAdapter();
const driver = new DummyDriver();
const dialect: Dialect = {
  createAdapter: () => adapter,
  createDriver: () => driver,
  createQueryCompiler: () => compiler,
  createIntrospector: (db) => new PostgresIntrospector(db),
};

/**
 * A transaction in as few round trips as there can be: BEGIN travels with the first statement of `run`, COMMIT with `last`. Each
 * pair stands before one Sync, so that the second is not executed where the first fails. Where `run` sends nothing, `last`
 * commits by itself. What `run` has left behind and begins only when it is over is refused: it would stand behind the
 * COMMIT and commit by itself.
 * @throws CommitRefused where `last` divided by zero; else what `run` or Postgres throws. Nothing is committed then, unless
 *   the connection was lost at the COMMIT.
 */
export async function inTransaction<T>(
  pool: pg.Pool,
  run: (tx: Sql) => Promise<T>,
  last: (output: T) => LastStatement,
): Promise<T> {
  const client = await pool.connect();
  const connection = new TransactionConnection(client);
  try {
    const output = await connection.run(run);
    await connection.commitWith(last(output));
    client.release();
    return output;
  } catch (thrown) {
    client.release(await connection.rollback());
    throw thrown;
  }
}

/** What Kysely runs its statements on. */
class TransactionConnection implements DatabaseConnection {
  readonly #client: pg.PoolClient;
  #hasBegun = false;
  #isOver = false;

  constructor(client: pg.PoolClient) {
    this.#client = client;
  }

  async run<T>(run: (tx: Sql) => Promise<T>): Promise<T> {
    const executor = new DefaultQueryExecutor(compiler, adapter, new SingleConnectionProvider(this));
    try {
      return await run(new Transaction<DB>({ config: { dialect }, dialect, driver, executor }));
    } finally {
      this.#isOver = true;
    }
  }

  async executeQuery<R>({ sql, parameters }: CompiledQuery): Promise<QueryResult<R>> {
    if (this.#isOver) throw new Error('the transaction of this step is over');
    const { command, rowCount, rows } = await this.#send({ text: sql, values: [...parameters] });
    const isWrite = command === 'INSERT' || command === 'UPDATE' || command === 'DELETE' || command === 'MERGE';
    return { rows: rows as R[], ...(isWrite && { numAffectedRows: BigInt(rowCount ?? 0) }) };
  }

  #send(query: pg.QueryConfig): Promise<pg.QueryResult> {
    if (this.#hasBegun) return this.#client.query(query);
    this.#hasBegun = true;
    return query.values?.length === 0 ? this.#sendText(query) : sendAfterBegin(this.#client, query);
  }

  /** Without values a text may hold several statements, which only a query of its own takes. */
  async #sendText(query: pg.QueryConfig): Promise<pg.QueryResult> {
    await this.#client.query('BEGIN');
    return this.#client.query(query);
  }

  streamQuery<R>(): AsyncIterableIterator<QueryResult<R>> {
    throw new Error('rows cannot be streamed in a transaction');
  }

  async commitWith({ statement, values }: LastStatement): Promise<void> {
    const query = { ...statement, values };
    try {
      await (this.#hasBegun ? sendBeforeCommit(this.#client, query) : this.#client.query(query));
    } catch (thrown) {
      throw thrown instanceof Error && 'code' in thrown && thrown.code === divisionByZero
        ? new CommitRefused('the last statement refused', { cause: thrown })
        : thrown;
    }
  }

  /** @returns what to release the connection with: one that could not be rolled back must not be used again. */
  async rollback(): Promise<Error | undefined> {
    if (!this.#hasBegun) return undefined;
    try {
      await this.#client.query('ROLLBACK');
      return undefined;
    } catch (thrown) {
      return toError(thrown);
    }
  }
}
