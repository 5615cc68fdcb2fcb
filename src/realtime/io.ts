import type { DefaultEventsMap, Server, Socket } from 'socket.io';
import type { Identity } from '../platform/tokens.js';
import type { ClientToServerEvents, ServerToClientEvents } from './contract.js';

export interface SocketData {
  identity: Identity;
}

export type RealtimeIo = Server<ClientToServerEvents, ServerToClientEvents, DefaultEventsMap, SocketData>;
export type RealtimeSocket = Socket<ClientToServerEvents, ServerToClientEvents, DefaultEventsMap, SocketData>;
