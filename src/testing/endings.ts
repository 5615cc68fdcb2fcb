import { sql as text } from 'kysely';
import type { Sql } from '../platform/database.js';
import type { Run } from './run.js';

/** What a run left, as lines of JSON that can be compared with another run's. */
export type Ending = ReadonlyMap<string, readonly string[]>;

export type Mask = (value: unknown) => string;

/** Synap's own: how often something was tried may differ, and what it came to is in the run. All other tables are features'. */
const ownTables = [
  '_prisma_migrations',
  'api_keys',
  'audit_log',
  'bulk_operations',
  'dead_letters',
  'events',
  'failed_attempts',
  'idempotency_keys',
  'jobs',
  'lanes',
  'notifications',
  'outbox',
  'queue_generations',
  'queue_settings',
  'room_entries',
  'rooms',
  'schedules',
  'steps',
  'workers',
];

/** The rows of the features' tables, by table. */
export async function readTables(sql: Sql): Promise<ReadonlyMap<string, readonly unknown[]>> {
  const { rows: tables } = await text<{ name: string }>`
    SELECT tablename AS name FROM pg_tables
    WHERE schemaname = current_schema() AND tablename <> ALL(${ownTables}) ORDER BY tablename`.execute(sql);
  const found = new Map<string, readonly unknown[]>();
  for (const { name } of tables) {
    const { rows } = await text<{ row: unknown }>`SELECT to_jsonb(t) AS row FROM ${text.table(name)} t`.execute(sql);
    found.set(
      name,
      rows.map(({ row }) => row),
    );
  }
  return found;
}

export async function toEnding(sql: Sql, run: Run, mask: Mask): Promise<Ending> {
  const { outcome, result, error, emitted, notifications, steps } = run;
  const tables = await readTables(sql);
  // The notification of a dead job says how many attempts there were; a crash is one more.
  const heard = notifications.map(({ data, ...rest }) => ({
    ...rest,
    data: rest.status === 'error' && isObject(data) ? { ...data, attempts: undefined } : data,
  }));
  return new Map<string, readonly string[]>([
    ['outcome', [mask({ outcome, result, error })]],
    ['emitted events', emitted.map(({ type, data, aggregateId }) => mask({ type, aggregateId, data }))],
    ['notifications', heard.map(mask)],
    ['steps', Object.entries(steps).map(mask).toSorted()],
    ...[...tables].map(([name, rows]) => [`table "${name}"`, rows.map(mask).toSorted()] as const),
  ]);
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const made = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d)/g;

/**
 * Ids and times that `known` does not hold were made up on the way and may be others next time.
 * @param ignore names of properties that are left out.
 */
export function makeMask(known: string, ignore: readonly string[]): Mask {
  const kept = new Set(known.match(made));
  const left = new Set(ignore);
  const write = (value: unknown) =>
    JSON.stringify(value, (key, inner: unknown) => (left.has(key) ? undefined : sortKeys(inner)));
  return (value) =>
    write(value).replace(made, (found) => (kept.has(found) ? found : found.includes('T') ? '<time>' : '<id>'));
}

function sortKeys(value: unknown): unknown {
  return isObject(value) ? Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1))) : value;
}

const shownLength = 500;

/** Empty where the two are the same. */
export function describeDifferences(expected: Ending, actual: Ending): string[] {
  return [...expected].flatMap(([name, lines]) => {
    const others = actual.get(name) ?? [];
    const missing = without(lines, others).map((line) => `  ${name}: missing ${line.slice(0, shownLength)}`);
    const extra = without(others, lines).map((line) => `  ${name}: too much ${line.slice(0, shownLength)}`);
    const isOtherOrder = missing.length + extra.length === 0 && lines.join('\n') !== others.join('\n');
    return [...missing, ...extra, ...(isOtherOrder ? [`  ${name}: in another order`] : [])];
  });
}

/** The lines that stand in `all` more often than in `others`. */
function without(all: readonly string[], others: readonly string[]): string[] {
  const left = [...others];
  return all.filter((line) => {
    const at = left.indexOf(line);
    if (at >= 0) left.splice(at, 1);
    return at < 0;
  });
}
