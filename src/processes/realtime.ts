import { createStreamApp, streamPath } from '../http/stream-app.js';
import { OpenStreams } from '../http/streams/open-streams.js';
import { version } from '../platform/version.js';
import { RoomReader } from '../realtime/room-reader.js';
import { Acknowledgements } from '../realtime/acknowledgements.js';
import { createRealtimeServer } from '../realtime/server.js';
import type { SynapNode } from './node.js';

/** As with sockets: so many per user and replica, and so much that waits for one of them. */
const streamLimits = { perUser: 50, bufferBytes: 1024 * 1024, drainMs: 2_000 };

/** Socket.IO on the process' HTTP server. */
export function startRealtime(node: SynapNode): void {
  const { config, http, backplane, lifecycle, health } = node;
  const acknowledgements = new Acknowledgements(node);
  const parts = { ...node, acknowledgements };
  // After the sockets that fill it are closed.
  lifecycle.onStop('acknowledgements', () => acknowledgements.drain());
  const realtime = createRealtimeServer({
    ...parts,
    httpServer: http.server,
    allowedOrigins: config.http.allowedOrigins,
    notificationsLastMs: config.retention.notificationsMs,
  });
  lifecycle.onStop('realtime', () => realtime.close());
  startStreams(node);
  health.add(backplane.check);
}

/** Server-sent events, for where sockets do not come through. */
function startStreams(node: SynapNode): void {
  const streams = new OpenStreams({
    ...node,
    tap: node.backplane,
    reader: new RoomReader({
      ...node,
      recent: node.backplane.recent,
      notificationsLastMs: node.config.retention.notificationsMs,
    }),
    presence: node.backplane.presence,
    random: Math.random,
    limits: streamLimits,
  });
  node.lifecycle.onStop('streams', () => streams.close());
  node.http.serveAt(streamPath, createStreamApp({ ...node, version, streams }));
}
