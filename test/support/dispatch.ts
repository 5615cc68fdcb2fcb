import { pino } from 'pino';
import { systemClock } from '../../src/platform/clock.js';
import { createMetrics } from '../../src/platform/metrics.js';
import type { Core } from './core.js';

export const probeQueue = 'probe.run.requested';

/** What the parts of dispatch need that look over a whole core. */
export const partsOf = ({ database, backend, catalogue }: Core) => ({
  pool: database.pool,
  sql: database.sql,
  backend,
  queues: catalogue.queues,
  clock: systemClock,
  logger: pino({ level: 'silent' }),
  metrics: createMetrics('synap_'),
});

/** How many tickets of the probe's queue its store has. */
export async function ticketsOf({ backend }: Core): Promise<number> {
  return (await backend.occupancy([probeQueue])).get(probeQueue)?.tickets ?? 0;
}

/** The probe's jobs by id, with the number of their dispatch. */
export async function generationsOf({ testDatabase }: Core): Promise<Record<string, number>> {
  const { rows } = await testDatabase.pool.query<{ id: string; generation: number }>('SELECT id, generation FROM jobs');
  return Object.fromEntries(rows.map(({ id, generation }) => [id, generation]));
}
