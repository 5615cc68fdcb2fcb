import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';

// 0.2 and 0.5 are the service levels of the HTTP API; a bucket must end there or the alert rules can only guess.
const httpBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10];
const jobBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];
const byteBuckets = [100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000];

export type Metrics = ReturnType<typeof createMetrics>;

/**
 * Every metric of Synap, declared here and nowhere else; names and labels are a contract (docs/metrics.md).
 * @param defaultLabels stand on every series; a metric's own label of the same name wins
 */
export function createMetrics(prefix: string, defaultLabels: Readonly<Record<string, string>> = {}) {
  const registry = new Registry();
  registry.setDefaultLabels(defaultLabels);
  const registers = [registry];
  collectDefaultMetrics({ register: registry, prefix });
  const counter = <L extends string>(name: string, help: string, labelNames: readonly L[] = []) =>
    new Counter<L>({ name: `${prefix}${name}`, help, labelNames: [...labelNames], registers });
  const gauge = <L extends string>(name: string, help: string, labelNames: readonly L[] = []) =>
    new Gauge<L>({ name: `${prefix}${name}`, help, labelNames: [...labelNames], registers });
  const histogram = <L extends string>(name: string, help: string, labelNames: readonly L[], buckets: number[]) =>
    new Histogram<L>({ name: `${prefix}${name}`, help, labelNames: [...labelNames], buckets, registers });
  const httpLabels = ['method', 'route', 'status_code'] as const;

  return {
    registry,
    httpRequestDuration: histogram(
      'http_request_duration_seconds',
      'Time to answer an HTTP request',
      httpLabels,
      httpBuckets,
    ),
    httpRequests: counter('http_requests_total', 'HTTP requests answered', httpLabels),
    httpRequestSize: histogram('http_request_size_bytes', 'Size of request bodies', httpLabels, byteBuckets),
    httpResponseSize: histogram('http_response_size_bytes', 'Size of response bodies', httpLabels, byteBuckets),
    requestsShed: counter('requests_shed_total', 'Requests refused because the process was overloaded', ['reason']),
    eventsAccepted: counter('events_accepted_total', 'Events committed for clients', ['type']),
    eventsProcessed: counter('events_processed_total', 'Events whose job ended', ['type', 'status']),
    eventProcessingDuration: histogram(
      'event_processing_duration_seconds',
      'From acceptance to the end of the job',
      ['type', 'status'],
      jobBuckets,
    ),
    eventsInQueue: gauge(
      'events_in_queue',
      'Events accepted whose job has not ended, waiting in a queue or in Postgres',
      ['type'],
    ),
    jobsProcessed: counter('jobs_processed_total', 'Attempts, by outcome', ['queue', 'outcome']),
    jobProcessingDuration: histogram(
      'job_processing_duration_seconds',
      'Time of one attempt',
      ['queue', 'outcome'],
      jobBuckets,
    ),
    jobsWaiting: gauge('jobs_waiting_in_queue', 'Jobs waiting in a queue', ['queue', 'state']),
    deadLetters: counter('dead_letters_total', 'Jobs that ended as dead letters', ['queue']),
    outboxDispatched: counter('outbox_dispatched_total', 'Jobs put in a queue, by the way they took', ['path']),
    retentionDeleted: counter('retention_deleted_total', 'Rows deleted because they were past their age', ['table']),
    websocketConnections: gauge('websocket_connections_active', 'Connected sockets'),
    websocketConnects: counter('websocket_connects_total', 'Connections whose token was accepted'),
    websocketReconnects: counter('websocket_reconnects_total', 'Connections that went on where another one had ended'),
    websocketDisconnects: counter('websocket_disconnects_total', 'Connections that ended', ['reason']),
    websocketConnectionsRefused: counter('websocket_connections_refused_total', 'Connections that were refused', [
      'reason',
    ]),
    websocketRequests: counter('websocket_requests_total', 'Messages of clients, by what became of them', [
      'event',
      'outcome',
    ]),
    websocketSlowConsumers: counter('websocket_slow_consumers_total', 'Connections cut because they were not read'),
    websocketBufferedBytes: gauge('websocket_buffered_bytes', 'Bytes that wait unsent for clients'),
    eventStreams: gauge('event_streams_active', 'Open streams of server-sent events'),
    eventStreamsClosed: counter('event_streams_closed_total', 'Streams of server-sent events that ended', ['reason']),
    websocketMessages: counter('websocket_messages_sent_total', 'Messages published to rooms', ['event']),
    websocketBroadcastDuration: histogram(
      'websocket_broadcast_duration_seconds',
      'From commit to publish',
      ['room_kind'],
      jobBuckets,
    ),
    realtimeDeliveryDuration: histogram(
      'realtime_delivery_duration_seconds',
      'From commit to the write to the sockets of the room, of one notification in 16',
      [],
      jobBuckets,
    ),
    realtimeProbeFailures: counter(
      'realtime_probe_failures_total',
      'Times a process did not hear what it had published itself',
    ),
    realtimeHealed: counter('realtime_healed_total', 'Notifications published from Postgres after a gap or a loss'),
    realtimeRecoveries: counter(
      'realtime_recoveries_total',
      'Subscriptions that gave what they have: answered from the tail (hot), from Postgres (cold), or with a reset',
      ['path'],
    ),
    publishFailures: counter(
      'publish_failures_total',
      'Publishes that failed or found a gap and were left to the pump',
      ['reason'],
    ),
    dbPoolSize: gauge('db_connection_pool_size', 'Connections of the hot pool', ['state']),
    aiRequests: counter('ai_requests_total', 'Requests to the assistant', ['assistant', 'status']),
    aiRequestDuration: histogram(
      'ai_request_duration_seconds',
      'Time of a request to the assistant',
      ['assistant'],
      jobBuckets,
    ),
    aiTokens: counter('ai_tokens_used_total', 'Tokens used by the assistant', ['assistant', 'direction']),
    storageOperations: counter('storage_operations_total', 'Storage operations', ['operation', 'status']),
    storageOperationDuration: histogram(
      'storage_operation_duration_seconds',
      'Time of a storage operation; of an open, until the first byte may be read',
      ['operation', 'status'],
      httpBuckets,
    ),
    storageBytes: counter('storage_bytes_transferred_total', 'Bytes written to and read from storage', ['direction']),
    notesCreated: counter('notes_created_total', 'Notes that came to be'),
    conversationsStarted: counter('conversations_started_total', 'Conversations that began with a first message'),
    applicationErrors: counter('application_errors_total', 'Unexpected errors', ['type', 'severity']),
  };
}
