import { Claims } from '../execution/claims.js';
import { Executor } from '../execution/executor.js';
import { Finishing } from '../execution/finishing.js';
import { Fleet } from '../execution/fleet.js';
import { WorkerRegistry } from '../execution/worker-registry.js';
import { createServices } from '../features/services.js';
import type { SynapNode } from './node.js';

/** Takes jobs from every queue and runs their handlers. */
export async function startWorker(node: SynapNode): Promise<void> {
  const {
    config,
    database,
    publisher,
    fastPath,
    handlers,
    catalogue,
    backend,
    clock,
    logger,
    metrics,
    lifecycle,
    health,
  } = node;
  const { pool } = database;

  const registry = new WorkerRegistry({ pool, clock, logger });
  await registry.start();
  lifecycle.onStop('worker registry', () => registry.stop());

  const services = createServices(node);
  const claims = new Claims({ pool, workerId: registry.id });
  const finishing = new Finishing({ pool, publisher, onRunnable: fastPath.offer });
  const shutdown = new AbortController();
  const executor = new Executor({
    database,
    claims,
    finishing,
    handlers,
    catalogue,
    services,
    publisher,
    clock,
    logger,
    metrics,
    random: Math.random,
    shutdown: shutdown.signal,
  });

  const { concurrency, concurrencyByType } = config.queues;
  const concurrencyOf = (queue: string) => concurrencyByType[queue] ?? concurrency;
  const fleet = new Fleet({
    backend,
    queues: handlers.types,
    concurrency: concurrencyOf,
    execute: executor.execute,
    clock,
    shutdown,
  });
  fleet.start();
  lifecycle.onStop('worker fleet', () => fleet.stop(config.shutdownTimeoutMs / 2));

  health.add({ name: 'queues', run: () => backend.ping().then(() => 'ok') });
}
