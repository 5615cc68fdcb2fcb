import type { DefaultEventsMap, Server, Socket } from 'socket.io';
import type { Identity } from '../platform/tokens.js';
import type { ClientToServerEvents, HandshakeAuth, ServerToClientEvents } from './contract.js';

export type Device = NonNullable<HandshakeAuth['device']>;

export interface SocketData {
  identity: Identity;
  /** As the client named it when it connected. */
  device?: Device | undefined;
}

export type RealtimeIo = Server<ClientToServerEvents, ServerToClientEvents, DefaultEventsMap, SocketData>;
export type RealtimeSocket = Socket<ClientToServerEvents, ServerToClientEvents, DefaultEventsMap, SocketData>;
