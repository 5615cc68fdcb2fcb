import type { Clock } from '../../platform/clock.js';
import type { RealtimeConnection, RealtimeIo, RealtimeSocket } from '../io.js';
import type { SocketError } from './socket-error.js';

/** A client that is there answers the end of its connection at once; one that is not would keep it for half a minute. */
const answerMs = 2_000;

/**
 * Tells the client why, sends what is waiting, and ends the transport. Not `disconnect()`: to a client that is told to go, and it
 * would not come back. A closed transport it replaces by itself.
 */
export function endSocket(socket: RealtimeSocket, { data }: SocketError, clock: Clock): void {
  socket.data.closing ??= data.code;
  socket.emit('closing', data);
  endConnection(socket.conn, clock);
}

export function endConnection(connection: RealtimeConnection, clock: Clock): void {
  connection.close();
  clock.after(answerMs, () => cutConnection(connection));
}

/** At once, whatever still waits to be sent. Harmless where it has ended already. */
export function cutConnection(connection: RealtimeConnection): void {
  // Closing a WebSocket in order waits for the client's answer, behind all that the client has not read.
  websocketOf(connection)?.terminate();
  connection.close(true);
}

/** The socket of each connection that has one, found once where many are ended. */
export const socketsByConnection = (io: RealtimeIo): ReadonlyMap<RealtimeConnection, RealtimeSocket> =>
  new Map([...io.sockets.sockets.values()].map((socket) => [socket.conn, socket]));

/** Also the TCP connection below it, which lives until the client has answered. */
export const hasEnded = (connection: RealtimeConnection): boolean =>
  connection.readyState === 'closed' && (websocketOf(connection)?.readyState ?? closed) === closed;

const closed = 3;

interface WebSocket {
  readonly readyState: number;
  /** Bytes that were handed to the socket and have not left the process. */
  readonly bufferedAmount: number;
  terminate(): void;
}

/** What Engine.IO's WebSocket transport holds, a private field; undefined for polling. */
export function websocketOf({ transport }: RealtimeConnection): WebSocket | undefined {
  return (transport as { readonly socket?: WebSocket }).socket;
}
