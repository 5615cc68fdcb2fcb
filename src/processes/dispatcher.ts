import { Aging } from '../dispatch/aging.js';
import { DeadWorkers } from '../dispatch/dead-workers.js';
import { Dispatcher } from '../dispatch/dispatcher.js';
import { GenerationWatch } from '../dispatch/generation-watch.js';
import { LaneWatch } from '../dispatch/lanes.js';
import { Reconciler } from '../dispatch/reconciler.js';
import { Retention } from '../dispatch/retention.js';
import { ScheduleRunner } from '../dispatch/schedule-runner.js';
import { UnclaimedTickets } from '../dispatch/unclaimed-tickets.js';
import { EventStore } from '../events/store.js';
import { JobAdministration } from '../execution/administration.js';
import { BulkRunner } from '../operations/bulk-runner.js';
import { queueGauge } from '../operations/gauges.js';
import { SettingsKeeper } from '../operations/settings-keeper.js';
import { Leader } from '../platform/leader.js';
import { Sweeper } from '../realtime/publishing/sweeper.js';
import { withoutQueues, type SynapNode } from './node.js';

/**
 * What keeps carriers in step with Postgres: dispatch, and publishing what a crash left unsaid, by every process that has this
 * role; by the one that leads, what looks over the whole.
 */
export function startDispatcher(node: SynapNode): void {
  const { backend, catalogue, lifecycle, database, health } = node;
  const parts = { ...node, queues: catalogue.queues, pool: database.pool, sql: database.sql };
  const run = (name: string, service: { start(): void; stop(): Promise<void> }): void => {
    service.start();
    lifecycle.onStop(name, () => service.stop());
  };

  const leader = new Leader(node);
  run('leader', leader);
  const led = { ...parts, leader };

  run('dispatcher', new Dispatcher(parts));
  run('sweeper', new Sweeper(node));
  run('queue gauge', queueGauge(parts));
  run('dead workers', new DeadWorkers(parts));
  run('lane watch', new LaneWatch(parts));
  const administration = new JobAdministration({
    ...node,
    onRunnable: node.fastPath.offer,
    onLanesEnded: node.lanes.ended,
  });
  run('bulk operations', new BulkRunner({ ...parts, administration }));

  const settings = new SettingsKeeper(led);
  run('queue settings', settings);
  const reconciler = new Reconciler(led);
  run('reconciler', reconciler);
  run('aging', new Aging(led));
  run('unclaimed tickets', new UnclaimedTickets(led));
  run(
    'generation watch',
    new GenerationWatch({ ...led, onLost: () => settings.runOnce(), onRestored: () => reconciler.sweepAll() }),
  );

  const store = new EventStore({ ...parts, onRunnable: node.fastPath.offer });
  lifecycle.onStop('scheduled events', () => store.drain());
  run('schedules', new ScheduleRunner({ ...parts, store }));
  run('retention', new Retention({ ...led, ages: node.config.retention }));

  health.add({ name: 'queues', run: () => backend.ping().then(() => 'ok'), otherwise: withoutQueues(node.config) });
}
