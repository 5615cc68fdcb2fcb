import type { IncomingMessage } from 'node:http';
import { websocketOf } from './ending.js';
import type { RealtimeConnection } from '../io.js';

/** Of Engine.IO 6.6, private: whether the transport takes packets, and what sends those that wait. */
interface Engine {
  readonly transport: { writable: boolean };
  readonly request: IncomingMessage | null;
  flush(): void;
}

/**
 * Lets a socket in, and has what it is told in that turn (that it is connected, and `ready`) leave in one write: each would be a
 * system call of its own, the dearest part of a connection. Where something is still on its way out, all goes as it always does.
 *
 * @param next Socket.IO's; it connects the socket in the next tick.
 */
export function letInWithOneWrite(connection: RealtimeConnection, next: () => void): void {
  const engine = connection as unknown as Engine;
  const { transport, request } = engine;
  if (!transport.writable || request === null || websocketOf(connection) === undefined) {
    next();
    return;
  }
  const tcp = request.socket;
  transport.writable = false;
  tcp.cork();
  next();
  process.nextTick(() => {
    transport.writable = true;
    engine.flush();
    tcp.uncork();
  });
}
