// Sends the ticks of one schedule once, and is killed when it has appended them and not recorded that.
// Arguments: database URL, what time it is (ISO 8601). Needs dist.
import { pino } from 'pino';
import { z } from 'zod';
import { ScheduleRunner } from '../../dist/dispatch/schedule-runner.js';
import { defineEvent } from '../../dist/events/definition.js';
import { defineSchedule } from '../../dist/events/schedule.js';
import { EventStore } from '../../dist/events/store.js';
import { systemClock } from '../../dist/platform/clock.js';
import { createDatabase } from '../../dist/platform/database.js';
import { armFault } from '../../dist/platform/fault-points.js';

const [, , url, now] = process.argv;
const logger = pino({ level: 'silent' });
const settings = { url, poolMin: 0, poolMax: 5, idleTimeoutMs: 1_000, queryTimeoutMs: 10_000 };
const { pool } = createDatabase(url, settings, logger);
const on = defineEvent({
  type: 'clock.minute.struck',
  aggregateType: 'clock',
  origin: 'handler',
  data: z.object({ at: z.string() }),
});
const schedule = defineSchedule({
  name: 'probe',
  on,
  cron: '* * * * *',
  timeZone: 'UTC',
  data: (tick) => ({ at: tick.toISOString() }),
  ifMissed: 'skip',
});
armFault({ point: 'schedule.appended', action: 'kill', nth: 1 });
const runner = new ScheduleRunner({
  schedules: [schedule],
  pool,
  store: new EventStore({ pool, onRunnable: () => undefined }),
  catalogue: { hasHandler: () => true, laneOf: () => null },
  clock: systemClock,
  logger,
  now: async () => new Date(now),
});
await runner.runOnce();
