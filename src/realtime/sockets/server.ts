import type { Server as HttpServer } from 'node:http';
import { Server } from 'socket.io';
import type { Clock, Random } from '../../platform/clock.js';
import type { Logger } from '../../platform/logger.js';
import type { Metrics } from '../../platform/metrics.js';
import { Periodic } from '../../platform/periodic.js';
import type { Tokens } from '../../platform/tokens.js';
import type { Acknowledgements } from '../log/acknowledgements.js';
import type { Backplane } from '../backplane.js';
import type { TrustProxy } from './client-address.js';
import { batchNotifications } from './batching.js';
import { ConnectionCounts } from './connection-counts.js';
import { Connection } from './connection.js';
import { drainConnections } from './drain.js';
import { Expiries } from './expiries.js';
import { guardAgainstFlood } from './flood-guard.js';
import { Gate } from './gate.js';
import { authenticate } from './handshake.js';
import type { RealtimeConnection, RealtimeIo, RealtimeSocket } from '../io.js';
import { defaultLimits, type SocketLimits } from './limits.js';
import type { NotificationLog } from '../log/postgres-log.js';
import { refuseUpgrade } from './refused-upgrade.js';
import { RoomReader } from '../reading/room-reader.js';
import { SlowConsumers } from './slow-consumers.js';

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
  /** Nobody's word on whose connection it is, unless it says otherwise. */
  readonly trustProxy?: TrustProxy;
  readonly limits?: Partial<SocketLimits>;
  readonly acknowledgements?: Pick<Acknowledgements, 'note'>;
  /** The longest that closing may take; 0: all at once. */
  readonly drainMs?: number;
  readonly random?: Random;
  readonly notificationsLastMs: number;
}

export interface RealtimeServer {
  readonly io: RealtimeIo;
  /** Connections of each user here; other ways to listen count with them. */
  readonly users: ConnectionCounts;
  /** And of each address. */
  readonly addresses: Pick<Gate, 'take'>;
  /** Refuses new connections and closes the others so that their clients connect elsewhere. The HTTP server stays its owner's. */
  close(): Promise<void>;
}

/** A client sends rooms and ids, never content: that goes over HTTP. */
const maxInboundBytes = 16 * 1024;
/** A connection that does not ask for its namespace is none of our clients. */
const connectTimeoutMs = 10_000;
const defaultDrainMs = 5_000;

export function createRealtimeServer(deps: RealtimeServerDeps): RealtimeServer {
  const { clock } = deps;
  const limits: SocketLimits = { ...defaultLimits, ...deps.limits };
  const gate = new Gate({ trustProxy: false, ...deps, perAddress: limits.perAddress });
  const users = new ConnectionCounts(limits.perUser);
  const io = createIo(deps, gate);
  io.engine.on('connection', (connection: RealtimeConnection) => {
    gate.admit(connection);
    guardAgainstFlood(connection, { io, messages: limits.messages, clock });
  });
  deps.backplane.attach(io);
  const admit = authenticate({ ...deps, users });
  io.use((socket, next) => void admit(socket, next));
  const reader = new RoomReader({ ...deps, recent: deps.backplane.recent });
  const parts = { ...deps, ...limits, reader, expiries: new Expiries(clock) };
  io.on('connection', (socket) => {
    letGoOfHandshake(socket);
    if (socket.data.batch) batchNotifications(socket);
    new Connection(socket, parts).open();
  });
  const slowConsumers = watchSlowConsumers(io, limits, deps);
  return {
    io,
    users,
    addresses: gate,
    async close() {
      gate.drain();
      await drainConnections({
        io,
        clock,
        drainMs: deps.drainMs ?? defaultDrainMs,
        random: deps.random ?? Math.random,
      });
      io.engine.close();
      await slowConsumers.stop();
    },
  };
}

const readHandshake = { headers: {}, query: {}, auth: {} };

/** The first request and what was said with it are read by now: a connection of days need not keep them, nor its token. */
function letGoOfHandshake(socket: RealtimeSocket): void {
  Object.assign(socket, { handshake: readHandshake });
  Object.assign(socket.conn, { request: null });
}

function createIo({ httpServer, allowedOrigins, clock }: RealtimeServerDeps, gate: Gate): RealtimeIo {
  const io: RealtimeIo = new Server(httpServer, {
    cors: { origin: [...allowedOrigins], credentials: true },
    maxHttpBufferSize: maxInboundBytes,
    perMessageDeflate: false,
    connectTimeout: connectTimeoutMs,
    serveClient: true,
    allowRequest: gate.allow,
    // Engine.IO would end those of other paths by half, and nobody the other half.
    destroyUpgrade: false,
  });
  httpServer.on('upgrade', ({ url }, socket) => {
    if (url?.startsWith(`${io.path()}/`) !== true) refuseUpgrade(socket, '404 Not Found', 'not_found', clock);
  });
  return io;
}

function watchSlowConsumers(io: RealtimeIo, { bufferBytes }: SocketLimits, deps: RealtimeServerDeps): Periodic {
  const slowConsumers = new SlowConsumers({ ...deps, io, bufferBytes });
  const run = () => Promise.resolve(slowConsumers.check());
  const watch = new Periodic({ ...deps, name: 'slow consumers', everyMs: 1_000, run });
  watch.start();
  return watch;
}
