import type { DefaultEventsMap, Server, Socket } from 'socket.io';
import type { Identity } from '../platform/tokens.js';
import type { ClientToServerEvents, HandshakeAuth, ServerToClientEvents, SocketErrorCode } from './contract.js';

export type Device = NonNullable<HandshakeAuth['device']>;

export interface SocketData {
  /** Of the newest token that this connection has shown. */
  identity: Identity;
  /** As the client named it when it connected. */
  device: Device | undefined;
  /** Whether the client understands `notifications`. */
  batch: boolean;
  /** Why this side ends the connection, once it does. */
  closing: SocketErrorCode | undefined;
}

export type RealtimeIo = Server<ClientToServerEvents, ServerToClientEvents, DefaultEventsMap, SocketData>;
export type RealtimeSocket = Socket<ClientToServerEvents, ServerToClientEvents, DefaultEventsMap, SocketData>;
/** What carries a socket: one browser's connection, over whichever transport. */
export type RealtimeConnection = RealtimeSocket['conn'];
