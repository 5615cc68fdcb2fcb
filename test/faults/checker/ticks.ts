import type pg from 'pg';
import { clockUser, everyTick, scheduleName } from '../app/clock.ts';
import type { Findings } from './check.ts';

/** The time in which a scenario looks at the schedule: after `from`, up to `to`; milliseconds since the epoch. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

export interface TickFact {
  readonly requestId: string;
  readonly id: string;
  readonly source: string;
  readonly state: string;
  readonly startedAt: number | null;
  readonly finishedAt: number | null;
  readonly effects: number;
  /** Notifications in its user's room. */
  readonly told: number;
}

const requestOf = (ms: number) => `schedule:${scheduleName}:${new Date(ms).toISOString()}`;

function ticksIn({ from, to }: Span): number[] {
  const ticks: number[] = [];
  for (let tick = everyTick.next(new Date(from)); tick.getTime() <= to; tick = everyTick.next(tick))
    ticks.push(tick.getTime());
  return ticks;
}

/** Whatever the schedule sent for that time, also what is no tick of it. */
export async function readTicks(pool: pg.Pool, { from, to }: Span): Promise<TickFact[]> {
  const { rows } = await pool.query<TickFact>(
    `SELECT e."requestId", e.id, e.source::text, j.state::text,
            (extract(epoch FROM j."startedAt") * 1000)::float8 AS "startedAt",
            (extract(epoch FROM j."finishedAt") * 1000)::float8 AS "finishedAt",
            (SELECT count(*)::int FROM fault_effects f WHERE f."eventId" = e.id) AS effects,
            (SELECT count(*)::int FROM room_entries r JOIN notifications n ON n.id = r."notificationId"
             WHERE r.room = 'u:' || $1 AND n.data->>'eventId' = e.id::text) AS told
     FROM events e JOIN jobs j ON j.id = e.id
     WHERE e."userId" = $1 AND e."requestId" COLLATE "C" > $2 AND e."requestId" COLLATE "C" <= $3`,
    [clockUser, requestOf(from), requestOf(to)],
  );
  return rows;
}

/** Ticks of that time that were not sent, or have no end. */
export async function countOpenTicks(pool: pg.Pool, span: Span): Promise<number> {
  const ended = new Set(
    (await readTicks(pool, span)).filter(({ finishedAt }) => finishedAt !== null).map(({ requestId }) => requestId),
  );
  return ticksIn(span).filter((ms) => !ended.has(requestOf(ms))).length;
}

/**
 * Exactly one event for each tick, with its effect and its end, and it starts as soon as anything else does.
 * @param startMs after its time, or after the fault where that is later.
 */
export function checkTicks(
  findings: Findings,
  { ticks, span, healedAt = 0 }: { ticks: readonly TickFact[]; span: Span; healedAt: number | undefined },
  startMs: number,
): void {
  const sent = Map.groupBy(ticks, ({ requestId }) => requestId);
  for (const ms of ticksIn(span)) {
    const name = requestOf(ms);
    const [tick, ...more] = sent.get(name) ?? [];
    sent.delete(name);
    if (tick === undefined) {
      findings.add('tick-lost', name);
      continue;
    }
    if (more.length > 0) findings.add('tick-twice', `${name}: ${more.length + 1} events`);
    if (tick.effects > 1 || tick.told > 1)
      findings.add('tick-twice', `${name}: ${tick.effects} effects, told ${tick.told} times`);
    if (tick.state !== 'completed' || tick.effects === 0 || tick.told === 0)
      findings.add('tick-lost', `${name} is ${tick.state}: ${tick.effects} effects, told ${tick.told} times`);
    const lateMs = (tick.startedAt ?? ms) - Math.max(ms, healedAt);
    if (lateMs > startMs) findings.add('start-late', `${name}: ${Math.round(lateMs)} ms`);
  }
  for (const name of sent.keys()) findings.add('unexpected', `${name} is no tick`);
}
