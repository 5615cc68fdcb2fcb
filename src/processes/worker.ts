import { Claims } from '../execution/claims.js';
import { Executor } from '../execution/executor.js';
import { FetchingWatch } from '../execution/fetching-watch.js';
import { Finishing } from '../execution/finishing.js';
import { Fleet } from '../execution/fleet.js';
import { Isolation } from '../execution/isolation.js';
import { WorkerRegistry } from '../execution/worker-registry.js';
import { createServices } from '../features/services.js';
import { createHeartbeatPool } from '../platform/database.js';
import { startWatchdog } from '../platform/watchdog.js';
import { withoutQueues, type SynapNode } from './node.js';

/** Takes jobs from every queue and runs their handlers. */
export async function startWorker(node: SynapNode): Promise<void> {
  const { config, backend, handlers, lifecycle, health, databaseUrl, logger } = node;
  const { concurrency, concurrencyByType } = config.queues;

  const watchdog = startWatchdog(config.worker.watchdogTimeoutMs, logger);
  lifecycle.onStop('watchdog', () => watchdog.stop());
  const heartbeats = createHeartbeatPool(databaseUrl, logger);
  lifecycle.onStop('heartbeats', () => heartbeats.end());
  const registry = new WorkerRegistry({ ...node, pool: heartbeats });
  await registry.start();
  lifecycle.onStop('worker registry', () => registry.stop());

  const shutdown = new AbortController();
  const { execute } = createExecutor(node, registry, shutdown.signal);
  const concurrencyOf = (queue: string) => concurrencyByType[queue] ?? concurrency;
  const fleet = new Fleet({ ...node, queues: handlers.types, concurrency: concurrencyOf, execute, shutdown });
  fleet.start();
  lifecycle.onStop('worker fleet', () => fleet.stop(config.shutdownTimeoutMs / 2));

  health.add({ name: 'queues', run: () => backend.ping().then(() => 'ok'), otherwise: withoutQueues(config) });
  watchFetching(node, fleet);
}

/** A worker that has gone deaf is not ready, and ends so that whoever runs it starts another. */
function watchFetching(node: SynapNode, { consumed }: Fleet): void {
  const { lifecycle, config, health } = node;
  const onDeaf = (): void => {
    process.exitCode = 1;
    void lifecycle.stop(config.shutdownTimeoutMs).then(() => process.exit(1));
  };
  const watch = new FetchingWatch({ ...node, consumed, onDeaf });
  watch.start();
  lifecycle.onStop('fetching watch', () => watch.stop());
  health.add({ name: 'fetching', run: () => (watch.isDeaf ? 'failed' : 'ok') });
}

function createExecutor(node: SynapNode, { id: workerId, attempts }: WorkerRegistry, shutdown: AbortSignal) {
  const { publisher, fastPath, lanes, config } = node;
  const { pool } = node.database;
  const onRunnable = fastPath.offer;
  const onLanesEnded = lanes.ended;
  const claims = new Claims({ pool, workerId });
  const finishing = new Finishing({ pool, publisher, onRunnable, onLanesEnded });
  const isolation = new Isolation({
    ...node,
    entry: process.argv[1] ?? '',
    memoryMb: config.worker.isolatedMemoryMb,
    silenceMs: config.worker.watchdogTimeoutMs + 10_000,
    pool,
    onRunnable,
    shutdown,
  });
  const services = createServices(node);
  const { run: isolate } = isolation;
  return new Executor({ ...node, claims, finishing, services, random: Math.random, attempts, isolate, shutdown });
}
