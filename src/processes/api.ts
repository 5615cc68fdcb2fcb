import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { EventAcceptor } from '../events/acceptor.js';
import { createEventQueries } from '../events/event-queries.js';
import { EventStore } from '../events/store.js';
import { JobAdministration } from '../execution/administration.js';
import { BulkOperations } from '../execution/bulk-operations.js';
import { Corrections } from '../execution/corrections.js';
import { createDeadLetterQueries } from '../execution/dead-letter-queries.js';
import { QueueAdministration } from '../execution/queue-administration.js';
import { RequestCancellation } from '../execution/cancellation.js';
import { createRequestQueries } from '../execution/request-queries.js';
import { createStorage } from '../features/files/create-storage.js';
import { createUploads } from '../features/files/uploads.js';
import { createApp } from '../http/app.js';
import type { AdminDeps } from '../http/deps.js';
import { Admission } from '../http/middleware/admission.js';
import { createOperationsRouter } from '../operations/router.js';
import { measureLoopDelay } from '../platform/event-loop.js';
import { version } from '../platform/version.js';
import { Broadcasts } from '../realtime/publishing/broadcasts.js';
import { NotificationQueries } from '../realtime/log/notification-queries.js';
import type { SynapNode } from './node.js';

const dist = path.join(path.dirname(fileURLToPath(import.meta.url)), '..');
const pageDirectory = path.join(dist, 'http/page');
const clientDirectory = path.join(dist, 'client');
const examplesDirectory = path.join(dist, 'examples');

/** Accepts events, answers reads, serves the page and Bull Board. */
export function startApi(node: SynapNode): void {
  const { config, database, backend, publisher, fastPath, catalogue, health, clock, logger, lifecycle, jwtSecret } =
    node;
  const { environment, isProduction, auth } = config;

  const keysLastMs = config.retention.idempotencyKeysMs;
  const store = new EventStore({ pool: database.pool, onRunnable: fastPath.offer, keysLastMs });
  lifecycle.onStop('event store', () => store.drain());
  const onLanesEnded = node.lanes.ended;
  const administration = new JobAdministration({ database, publisher, onRunnable: fastPath.offer, onLanesEnded });
  const requests = createRequestQueries(database);
  const operations = createOperationsRouter({
    path: '/admin',
    queues: catalogue.queues,
    backend,
    administration,
    database,
    environment,
    isProduction,
    clock,
    logger,
    operator: { name: auth.operatorName, password: auth.operatorPassword },
    // Without a password nobody signs in, and with one there is a secret: readConfig insists.
    secret: jwtSecret ?? auth.apiKey ?? '',
  });
  const app = createApp({
    ...node,
    version,
    pageDirectory,
    clientDirectory,
    ...(!isProduction && { examplesDirectory }),
    admission: startAdmission(node, store),
    acceptor: new EventAcceptor({ catalogue, store, clock, metrics: node.metrics }),
    events: createEventQueries(database),
    requests,
    cancellation: new RequestCancellation({ database, requests, publisher, onLanesEnded }),
    uploads: createUploads({ storage: createStorage(config.storage, node.metrics), sql: database.sql }),
    broadcasts: new Broadcasts({ log: node.log, publisher, presence: node.backplane.presence }),
    notifications: new NotificationQueries(database),
    presence: node.backplane.presence,
    admin: createAdmin(node, administration),
    mounts: [{ path: '/admin', router: operations }],
  });
  node.http.serve(app);
  // Before what an answer needs is closed.
  lifecycle.onStop('http intake', () => node.http.close());
  // Without its queues the api still accepts: the outbox holds what it cannot enqueue.
  health.add({ name: 'queues', run: () => backend.ping().then(() => 'ok'), otherwise: 'degraded' });
}

function startAdmission(node: SynapNode, store: EventStore): Admission {
  const loop = measureLoopDelay();
  const admission = new Admission({ ...node, loop, isCommitterBehind: () => store.isOverloaded, random: Math.random });
  admission.start();
  node.lifecycle.onStop('admission', () => {
    admission.stop();
    loop.stop();
  });
  return admission;
}

function createAdmin(
  { database, catalogue, backend, clock, logger }: SynapNode,
  administration: JobAdministration,
): AdminDeps {
  return {
    administration,
    deadLetters: createDeadLetterQueries(database),
    corrections: new Corrections({ database, catalogue }),
    bulk: new BulkOperations(database),
    queues: new QueueAdministration({ database, backend, queues: catalogue.queues, clock, logger }),
  };
}
