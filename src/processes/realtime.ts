import { createRealtimeServer } from '../realtime/server.js';
import type { SynapNode } from './node.js';

/** Socket.IO on the process' HTTP server. */
export function startRealtime(node: SynapNode): void {
  const { config, http, backplane, lifecycle, health } = node;
  const realtime = createRealtimeServer({
    ...node,
    httpServer: http.server,
    allowedOrigins: config.http.allowedOrigins,
    trustProxy: config.http.trustProxy,
    limits: config.sockets,
    drainMs: config.sockets.drainMs,
    notificationsLastMs: config.retention.notificationsMs,
  });
  lifecycle.onStop('realtime', () => realtime.close());
  health.add(backplane.check);
}
