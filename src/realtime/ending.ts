import type { Clock } from '../platform/clock.js';
import type { SocketError } from './socket-error.js';
import type { RealtimeConnection, RealtimeSocket } from './io.js';

/** A client that is there answers the end of its connection at once; one that is not would keep it for half a minute. */
const answerMs = 2_000;

/** Tells the client why, sends what is waiting, and ends the transport, after which a client connects again by itself. */
export function endSocket(socket: RealtimeSocket, { data }: SocketError, clock: Clock): void {
  socket.data.closing ??= data.code;
  socket.emit('closing', data);
  endConnection(socket.conn, clock);
}

/**
 * The transport and not `disconnect()`: to a client that is told to go, and it would not come back.
 * @returns what ends it without waiting any longer
 */
export function endConnection(connection: RealtimeConnection, clock: Clock): () => void {
  connection.close();
  const cut = (): void => cutConnection(connection);
  clock.after(answerMs, cut);
  return cut;
}

/** At once, whatever still waits to be sent. Harmless where it has ended already. */
export function cutConnection(connection: RealtimeConnection): void {
  // Closing a WebSocket in order waits for the client's answer, behind all that the client has not read.
  websocketOf(connection)?.terminate();
  connection.close(true);
}

interface WebSocket {
  /** Bytes that were handed to the socket and have not left the process. */
  readonly bufferedAmount: number;
  terminate(): void;
}

/** What Engine.IO's WebSocket transport holds, a private field; undefined for polling. */
export function websocketOf({ transport }: RealtimeConnection): WebSocket | undefined {
  return (transport as { readonly socket?: WebSocket }).socket;
}
