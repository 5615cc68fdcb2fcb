import type { Server as HttpServer } from 'node:http';
import { Server } from 'socket.io';
import type { Clock } from '../platform/clock.js';
import type { Logger } from '../platform/logger.js';
import type { Metrics } from '../platform/metrics.js';
import type { Tokens } from '../platform/tokens.js';
import type { Backplane } from './backplane.js';
import { authenticate, SocketError } from './handshake.js';
import type { RealtimeIo, RealtimeSocket } from './io.js';
import type { NotificationLog } from './postgres-log.js';
import { RoomReader } from './room-reader.js';
import { roomKey, userRoom } from './rooms.js';
import { Subscriptions, type SubscriptionDeps } from './subscriptions.js';

export interface RealtimeServerDeps {
  /** With its request listener already in place: Socket.IO answers its own paths before it, and only what was there. */
  readonly httpServer: HttpServer;
  readonly backplane: Pick<Backplane, 'attach' | 'recent'>;
  readonly log: NotificationLog;
  readonly tokens: Tokens;
  readonly allowedOrigins: readonly string[];
  readonly metrics: Metrics;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly maxSubscriptions?: number;
  readonly notificationsLastMs: number;
}

export interface RealtimeServer {
  readonly io: RealtimeIo;
  /** Refuses new connections and closes the others so that their clients connect elsewhere. The HTTP server stays its owner's. */
  close(): Promise<void>;
}

/** A client sends rooms and ids, never content: that goes over HTTP. */
const maxInboundBytes = 16 * 1024;
/** A connection that does not ask for its namespace is none of our clients. */
const connectTimeoutMs = 10_000;
/** setTimeout cannot wait longer than 2^31 ms; a token may. */
const longestTimerMs = 86_400_000;

export function createRealtimeServer(deps: RealtimeServerDeps): RealtimeServer {
  const { httpServer, backplane, clock, metrics } = deps;
  let isDraining = false;
  const io: RealtimeIo = new Server(httpServer, {
    cors: { origin: [...deps.allowedOrigins], credentials: true },
    maxHttpBufferSize: maxInboundBytes,
    perMessageDeflate: false,
    connectTimeout: connectTimeoutMs,
    serveClient: true,
    allowRequest: (_request, decide) => decide(isDraining ? 'draining' : null, !isDraining),
  });
  backplane.attach(io);
  const admit = authenticate(deps.tokens);
  io.use((socket, next) => void admit(socket, next));
  const reader = new RoomReader({ ...deps, recent: backplane.recent });
  const subscriptionDeps: SubscriptionDeps = { ...deps, reader, maxSubscriptions: deps.maxSubscriptions ?? 100 };
  io.on('connection', (socket) => {
    new Subscriptions(socket, subscriptionDeps).listen();
    void socket.join(roomKey(userRoom(socket.data.identity.userId)));
    metrics.websocketConnections.inc();
    const cancel = closeAtExpiry(socket, clock);
    socket.once('disconnect', () => {
      cancel();
      metrics.websocketConnections.dec();
    });
  });
  return {
    io,
    close() {
      isDraining = true;
      // Not disconnectSockets: to a client that is told to go, and it would not come back. A closed transport it replaces.
      io.engine.close();
      return Promise.resolve();
    },
  };
}

/** @returns what takes it back */
function closeAtExpiry(socket: RealtimeSocket, clock: Clock): () => void {
  const { expiresAt } = socket.data.identity;
  if (expiresAt === undefined) return () => {};
  let cancel = () => {};
  const wait = (): void => {
    const leftMs = expiresAt - clock.now();
    if (leftMs > 0) cancel = clock.after(Math.min(leftMs, longestTimerMs), wait);
    else close(socket, new SocketError('token_expired', 'The token has expired'));
  };
  wait();
  return () => cancel();
}

/** What was sent before goes out first; then the transport ends, after which a client connects again by itself. */
function close(socket: RealtimeSocket, { data }: SocketError): void {
  socket.emit('closing', data);
  socket.conn.close();
}
