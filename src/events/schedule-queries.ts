import type { Sql } from '../platform/database.js';
import type { Schedule } from './schedule.js';

export interface ScheduleView {
  readonly name: string;
  readonly type: string;
  readonly cron: string;
  readonly timeZone: string;
  readonly userId: string;
  readonly ifMissed: Schedule['ifMissed'];
  /** ISO 8601, UTC. */
  readonly nextTickAt: string;
  /** The last tick that was sent or passed over; null where there was none since the schedule came to be. */
  readonly lastTickAt: string | null;
}

/** The schedules of this build, by name. @param now the next tick is the first after it. */
export async function listSchedules(sql: Sql, schedules: readonly Schedule[], now: Date): Promise<ScheduleView[]> {
  const rows = await sql.selectFrom('schedules').select(['name', 'definition', 'lastTickAt']).execute();
  const byName = new Map(rows.map((row) => [row.name, row]));
  const views = schedules.map(({ name, type, cron, timeZone, userId, ifMissed, ticks, definition }) => {
    const row = byName.get(name);
    const last = row?.definition === definition ? row.lastTickAt : undefined;
    // A new schedule is settled up to its beginning, which is no tick.
    const isTick = last !== undefined && ticks.next(new Date(last.getTime() - 1)).getTime() === last.getTime();
    return {
      name,
      type,
      cron,
      timeZone,
      userId,
      ifMissed,
      nextTickAt: ticks.next(now).toISOString(),
      lastTickAt: isTick ? last.toISOString() : null,
    };
  });
  return views.toSorted((a, b) => (a.name < b.name ? -1 : 1));
}
