import { Claims } from '../execution/claims.js';
import { Executor } from '../execution/executor.js';
import { Finishing } from '../execution/finishing.js';
import { Fleet } from '../execution/fleet.js';
import { WorkerRegistry } from '../execution/worker-registry.js';
import { createServices } from '../features/services.js';
import type { SynapNode } from './node.js';

/** Takes jobs from every queue and runs their handlers. */
export async function startWorker(node: SynapNode): Promise<void> {
  const { config, backend, handlers, lifecycle, health } = node;
  const { concurrency, concurrencyByType } = config.queues;

  const registry = new WorkerRegistry({ ...node, pool: node.database.pool });
  await registry.start();
  lifecycle.onStop('worker registry', () => registry.stop());

  const shutdown = new AbortController();
  const { execute } = createExecutor(node, registry.id, shutdown.signal);
  const concurrencyOf = (queue: string) => concurrencyByType[queue] ?? concurrency;
  const fleet = new Fleet({ ...node, queues: handlers.types, concurrency: concurrencyOf, execute, shutdown });
  fleet.start();
  lifecycle.onStop('worker fleet', () => fleet.stop(config.shutdownTimeoutMs / 2));

  health.add({ name: 'queues', run: () => backend.ping().then(() => 'ok') });
}

function createExecutor(node: SynapNode, workerId: string, shutdown: AbortSignal) {
  const { publisher, fastPath } = node;
  const { pool } = node.database;
  const claims = new Claims({ pool, workerId });
  const finishing = new Finishing({ pool, publisher, onRunnable: fastPath.offer });
  return new Executor({ ...node, claims, finishing, services: createServices(node), random: Math.random, shutdown });
}
