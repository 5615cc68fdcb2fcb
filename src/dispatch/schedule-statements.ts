import type { Statement } from '../platform/database.js';

/** Without a process of its definition for so long, a row may be taken over by one of another. */
const abandonedAfterMs = 90_000;
/** How old the sign of life in a row may become. */
export const presentEveryMs = 30_000;

const statement = (name: string, text: string): Statement => ({ name: `schedules-${name}`, text });

/** Times are parameters (`$1` is now, cut to milliseconds): rounded up, a new schedule would count its first tick as sent. */
export const statements = {
  now: statement('now', `SELECT date_trunc('milliseconds', clock_timestamp()) AS now`),

  read: statement(
    'read',
    `SELECT name, definition, seed, "lastTickAt", "updatedAt" FROM schedules WHERE name = ANY($1::text[])`,
  ),

  /** Locked until the transaction ends; what another process has in hand is left to it. */
  take: statement(
    'take',
    `SELECT name, definition, seed, "lastTickAt", "updatedAt" FROM schedules WHERE name = ANY($1::text[]) ORDER BY name FOR UPDATE SKIP LOCKED`,
  ),

  record: statement(
    'record',
    `UPDATE schedules s SET "lastTickAt" = t.tick, "updatedAt" = $1
     FROM unnest($2::text[], $3::timestamptz[]) AS t(name, tick) WHERE s.name = t.name AND s."lastTickAt" < t.tick`,
  ),

  /**
   * A new schedule starts from now, and so does one whose cron or time zone is another. `$4`: this process has just started, so
   * what it brings is what is wanted. Later it takes over only what nobody serves any more, or an old and a new release would
   * take turns for as long as both run.
   */
  adopt: statement(
    'adopt',
    `INSERT INTO schedules AS s (name, definition, "lastTickAt", "updatedAt")
     SELECT name, definition, $1, $1 FROM unnest($2::text[], $3::text[]) AS d(name, definition) ORDER BY name
     ON CONFLICT (name) DO UPDATE SET definition = excluded.definition, "lastTickAt" = $1, "updatedAt" = $1
     WHERE s.definition <> excluded.definition
       AND ($4 OR s."updatedAt" < $1::timestamptz - interval '${abandonedAfterMs} milliseconds')`,
  ),

  present: statement(
    'present',
    `UPDATE schedules s SET "updatedAt" = $1
     FROM (SELECT name FROM schedules WHERE name = ANY($2::text[]) ORDER BY name FOR UPDATE SKIP LOCKED) mine
     WHERE mine.name = s.name`,
  ),
} as const;

export interface ScheduleRow {
  readonly name: string;
  readonly definition: string;
  readonly seed: string;
  readonly lastTickAt: Date;
  readonly updatedAt: Date;
}
