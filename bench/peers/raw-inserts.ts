import { performance } from 'node:perf_hooks';
import pg from 'pg';
import { v7 } from 'uuid';
import { answer } from '../load/answers.ts';

// Rows into `events` and nowhere else, as many as pg can: one prepared statement of many rows, on several connections at once.

export interface InsertPlan {
  readonly databaseUrl: string;
  readonly connections: number;
  readonly rows: number;
  readonly warmUpMs: number;
  readonly measureMs: number;
}

export interface InsertResult {
  readonly rowsPerSecond: number;
}

const columns = [
  ['id', 'uuid'],
  ['type', 'text'],
  ['aggregateId', 'text'],
  ['aggregateType', 'text'],
  ['userId', 'text'],
  ['data', 'jsonb'],
  ['version', 'int2'],
  ['source', 'event_source'],
  ['causationId', 'uuid'],
  ['correlationId', 'text'],
  ['requestId', 'text'],
] as const;

const names = columns.map(([name]) => `"${name}"`).join(', ');
const arrays = columns.map(([, type], index) => `$${index + 1}::${type}[]`).join(', ');
const statement = { name: 'insert', text: `INSERT INTO events (${names}) SELECT * FROM unnest(${arrays})` };

let inserted = 0;

function rowsOf(count: number): unknown[][] {
  const values: unknown[][] = columns.map(() => []);
  for (let nth = 0; nth < count; nth += 1) {
    inserted += 1;
    const request = `request-${inserted}`;
    const user = `user-${inserted % 1_000}`;
    const data = `{"n":${inserted}}`;
    const row = [v7(), 'bench.work.requested', v7(), 'bench', user, data, 1, 'api', null, request, request];
    for (const [index, value] of row.entries()) values[index]?.push(value);
  }
  return values;
}

async function insert({ databaseUrl, connections, rows, warmUpMs, measureMs }: InsertPlan): Promise<InsertResult> {
  const from = performance.now() + warmUpMs;
  const until = from + measureMs;
  let counted = 0;
  const repeat = async (): Promise<void> => {
    const client = new pg.Client({ connectionString: databaseUrl });
    await client.connect();
    while (performance.now() < until) {
      await client.query({ ...statement, values: rowsOf(rows) });
      const now = performance.now();
      if (now >= from && now < until) counted += rows;
    }
    await client.end();
  };
  await Promise.all(Array.from({ length: connections }, repeat));
  return { rowsPerSecond: (counted / measureMs) * 1_000 };
}

answer({ insert });
