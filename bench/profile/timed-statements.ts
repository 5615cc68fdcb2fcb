import pg from 'pg';

/** As Postgres knows it: with parameters in the place of values. */
export interface TimedStatement {
  readonly text: string;
  readonly calls: number;
  readonly us: number;
}

/** Postgres times the statements of this database from now on; it costs each of them a little, so no other figure is taken there. */
export async function timeStatements(databaseUrl: string): Promise<void> {
  await asked(databaseUrl, async (client) => {
    await client.query('CREATE EXTENSION pg_stat_statements');
    const { rows } = await client.query<{ name: string }>('SELECT current_database() AS name');
    await client.query(
      `ALTER DATABASE ${client.escapeIdentifier(rows[0]?.name ?? '')} SET pg_stat_statements.track = 'top'`,
    );
  });
}

export const forgetStatements = (databaseUrl: string): Promise<void> =>
  asked(databaseUrl, async (client) => void (await client.query('SELECT pg_stat_statements_reset()')));

/** Since they were forgotten, the dearest first. */
export async function readStatements(databaseUrl: string): Promise<TimedStatement[]> {
  return asked(databaseUrl, async (client) => {
    const { rows } = await client.query<{ text: string; calls: number; us: number }>(
      `SELECT query AS text, calls::int AS calls, total_exec_time * 1000 AS us FROM pg_stat_statements
       WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) ORDER BY total_exec_time DESC`,
    );
    return rows;
  });
}

async function asked<Result>(databaseUrl: string, ask: (client: pg.Client) => Promise<Result>): Promise<Result> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    return await ask(client);
  } finally {
    await client.end();
  }
}
