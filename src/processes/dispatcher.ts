import { DeadWorkers } from '../dispatch/dead-workers.js';
import { Dispatcher } from '../dispatch/dispatcher.js';
import { Reconciler } from '../dispatch/reconciler.js';
import { JobAdministration } from '../execution/administration.js';
import { BulkRunner } from '../operations/bulk-runner.js';
import { queueGauge } from '../operations/gauges.js';
import { PauseKeeper } from '../operations/pause-keeper.js';
import { Sweeper } from '../realtime/sweeper.js';
import type { SynapNode } from './node.js';

/** What keeps carriers in step with Postgres: dispatch, reconciling, pauses, bulk operations, and publishing what a crash left unsaid. */
export function startDispatcher(node: SynapNode): void {
  const { backend, outbox, catalogue, clock, logger, metrics, lifecycle, log, publisher, database } = node;
  const queues = catalogue.queues;

  const dispatcher = new Dispatcher({ backend, outbox, queues, clock, logger, metrics });
  dispatcher.start();
  lifecycle.onStop('dispatcher', () => dispatcher.stop());

  const reconciler = new Reconciler({ pool: database.pool, backend, queues, clock, logger, metrics });
  reconciler.start();
  lifecycle.onStop('reconciler', () => reconciler.stop());

  const deadWorkers = new DeadWorkers({ pool: database.pool, clock, logger, metrics });
  deadWorkers.start();
  lifecycle.onStop('dead workers', () => deadWorkers.stop());

  const sweeper = new Sweeper({ log, publisher, clock, logger });
  sweeper.start();
  lifecycle.onStop('sweeper', () => sweeper.stop());

  const pauses = new PauseKeeper({ backend, queues, sql: database.sql, clock, logger });
  pauses.start();
  lifecycle.onStop('pause keeper', () => pauses.stop());

  const administration = new JobAdministration({ database, publisher, onRunnable: node.fastPath.offer });
  const bulk = new BulkRunner({ sql: database.sql, administration, clock, logger });
  bulk.start();
  lifecycle.onStop('bulk operations', () => bulk.stop());

  const gauge = queueGauge({ backend, queues, database, metrics, clock, logger });
  gauge.start();
  lifecycle.onStop('queue gauge', () => gauge.stop());
}
