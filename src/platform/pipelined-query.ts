import pg from 'pg';
import { toError } from './errors.js';

/** Statements that travel together before one Sync: where one fails, Postgres passes over those behind it. */
export class PipelinedQuery extends pg.Query {
  /** One result for each statement. */
  readonly answer: Promise<readonly pg.QueryResult[]>;

  constructor(config: pg.QueryConfig, with_: { readonly before?: string; readonly after?: string }) {
    const { promise, resolve, reject } = Promise.withResolvers<readonly pg.QueryResult[]>();
    // A simple query would not be passed over where the one before it fails.
    super({ ...config, ...extended }, (error, results) =>
      error instanceof Error ? reject(error) : resolve(results as unknown as readonly pg.QueryResult[]),
    );
    this.answer = promise;
    // Where it could not even be sent nobody waits for its timeout.
    promise.catch(() => undefined);
    const submit = this.submit.bind(this);
    this.submit = (connection) => {
      const { before, after } = with_;
      connection.stream.cork();
      try {
        if (before !== undefined) execute(connection, before);
        return submit(after === undefined ? connection : afterExecute(connection, () => execute(connection, after)));
      } finally {
        connection.stream.uncork();
      }
    };
  }
}

const extended: object = { queryMode: 'extended' };

/** BEGIN and the first statement of a transaction. */
export async function sendAfterBegin(client: pg.PoolClient, config: pg.QueryConfig): Promise<pg.QueryResult> {
  const [, result] = await send(client, new PipelinedQuery(config, { before: 'BEGIN' }));
  if (result === undefined) throw new Error('BEGIN and the first statement had one answer');
  return result;
}

/** The last statement of a transaction and, where it succeeds, COMMIT. */
export async function sendBeforeCommit(client: pg.PoolClient, config: pg.QueryConfig): Promise<void> {
  const results = await send(client, new PipelinedQuery(config, { after: 'COMMIT' }));
  if (results.at(-1)?.command !== 'COMMIT') throw new Error('the transaction was not committed');
}

async function send(client: pg.PoolClient, query: PipelinedQuery): Promise<readonly pg.QueryResult[]> {
  try {
    // A guarded client answers with the promise, so that it sees a lost connection.
    const sent: unknown = client.query(query);
    return await (sent instanceof Promise ? (sent as typeof query.answer) : query.answer);
  } catch (thrown) {
    const error = toError(thrown);
    // The driver's own leads to the socket, this one to who sent the statement.
    Error.captureStackTrace(error);
    throw error;
  }
}

/** A statement without name and values, in the driver's messages. */
function execute(connection: pg.Connection, text: string): void {
  connection.parse({ name: '', text, types: [] }, true);
  connection.bind({}, true);
  connection.execute({}, true);
}

/** The same connection, on which `act` follows the driver's statement; where that could not be sent, nothing does. */
function afterExecute(connection: pg.Connection, act: () => void): pg.Connection {
  return Object.create(connection, {
    execute: {
      value: (...args: Parameters<pg.Connection['execute']>) => {
        connection.execute(...args);
        act();
      },
    },
  }) as pg.Connection;
}
