import type { Server as HttpServer } from 'node:http';
import { Server } from 'socket.io';
import type { Clock } from '../platform/clock.js';
import type { Logger } from '../platform/logger.js';
import type { Metrics } from '../platform/metrics.js';
import type { Tokens } from '../platform/tokens.js';
import type { Acknowledgements } from './acknowledgements.js';
import type { Backplane } from './backplane.js';
import type { TrustProxy } from './client-address.js';
import { ConnectionCounts } from './connection-counts.js';
import { Connection } from './connection.js';
import { Gate } from './gate.js';
import { authenticate } from './handshake.js';
import type { RealtimeConnection, RealtimeIo } from './io.js';
import { defaultLimits, type SocketLimits } from './limits.js';
import type { NotificationLog } from './postgres-log.js';

export interface RealtimeServerDeps {
  /** With its request listener already in place: Socket.IO answers its own paths before it, and only what was there. */
  readonly httpServer: HttpServer;
  readonly backplane: Pick<Backplane, 'attach'>;
  readonly log: NotificationLog;
  readonly tokens: Tokens;
  readonly allowedOrigins: readonly string[];
  readonly metrics: Metrics;
  readonly logger: Logger;
  readonly clock: Clock;
  /** Nobody's word on whose connection it is, unless it says otherwise. */
  readonly trustProxy?: TrustProxy;
  readonly limits?: Partial<SocketLimits>;
  readonly acknowledgements?: Acknowledgements;
}

export interface RealtimeServer {
  readonly io: RealtimeIo;
  /** Connections of each user here; other ways to listen count with them. */
  readonly users: ConnectionCounts;
  /** Refuses new connections and closes the others so that their clients connect elsewhere. The HTTP server stays its owner's. */
  close(): Promise<void>;
}

/** A client sends rooms and ids, never content: that goes over HTTP. */
const maxInboundBytes = 16 * 1024;
/** A connection that does not ask for its namespace is none of our clients. */
const connectTimeoutMs = 10_000;

export function createRealtimeServer(deps: RealtimeServerDeps): RealtimeServer {
  const { metrics } = deps;
  const limits: SocketLimits = { ...defaultLimits, ...deps.limits };
  const gate = new Gate({ trustProxy: false, ...deps, perAddress: limits.perAddress });
  const users = new ConnectionCounts(limits.perUser);
  const io = createIo(deps, gate);
  deps.backplane.attach(io);
  const admit = authenticate({ tokens: deps.tokens, users, metrics });
  io.use((socket, next) => void admit(socket, next));
  io.on('connection', (socket) => new Connection(socket, { ...deps, ...limits }).open());
  return {
    io,
    users,
    close() {
      gate.drain();
      io.engine.close();
      return Promise.resolve();
    },
  };
}

function createIo({ httpServer, allowedOrigins }: RealtimeServerDeps, gate: Gate): RealtimeIo {
  const io: RealtimeIo = new Server(httpServer, {
    cors: { origin: [...allowedOrigins], credentials: true },
    maxHttpBufferSize: maxInboundBytes,
    perMessageDeflate: false,
    connectTimeout: connectTimeoutMs,
    serveClient: true,
    allowRequest: gate.allow,
  });
  io.engine.on('connection', (connection: RealtimeConnection) => gate.admit(connection));
  return io;
}
