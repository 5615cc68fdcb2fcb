import { createStreamApp, streamPath } from '../http/stream-app.js';
import { OpenStreams } from '../http/streams/open-streams.js';
import { version } from '../platform/version.js';
import { RoomReader } from '../realtime/reading/room-reader.js';
import { Acknowledgements } from '../realtime/log/acknowledgements.js';
import { createRealtimeServer, type RealtimeServer } from '../realtime/sockets/server.js';
import type { SynapNode } from './node.js';

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
    trustProxy: config.http.trustProxy,
    limits: config.sockets,
    drainMs: config.sockets.drainMs,
    notificationsLastMs: config.retention.notificationsMs,
  });
  const streams = startStreams(node, realtime);
  // Together: each takes as long as a drain may.
  lifecycle.onStop('realtime', async () => void (await Promise.all([realtime.close(), streams.close()])));
  health.add(backplane.check);
}

/** Server-sent events, for where sockets do not come through. Counted with them: they take the same memory. */
function startStreams(node: SynapNode, { users, addresses }: RealtimeServer): OpenStreams {
  const streams = new OpenStreams({
    ...node,
    tap: node.backplane,
    reader: new RoomReader({
      ...node,
      recent: node.backplane.recent,
      notificationsLastMs: node.config.retention.notificationsMs,
    }),
    presence: node.backplane.presence,
    users,
    addresses,
    random: Math.random,
    limits: node.config.sockets,
  });
  node.http.serveAt(streamPath, createStreamApp({ ...node, version, streams }));
  return streams;
}
