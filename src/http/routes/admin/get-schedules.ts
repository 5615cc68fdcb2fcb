import { listSchedules } from '../../../events/schedule-queries.js';
import type { AppDeps } from '../../deps.js';
import type { Endpoint } from '../../endpoint.js';

/** When each schedule ticks next and did last. */
export function getSchedules({
  database,
  schedules,
  clock,
}: Pick<AppDeps, 'database' | 'schedules' | 'clock'>): Endpoint {
  return {
    method: 'get',
    path: '/v1/admin/schedules',
    access: { scope: 'admin' },
    async handle(_req, res) {
      res.json({ items: await listSchedules(database.sql, schedules, new Date(clock.now())) });
    },
  };
}
