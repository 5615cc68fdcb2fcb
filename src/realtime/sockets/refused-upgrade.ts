import type { Duplex } from 'node:stream';
import type { Clock } from '../../platform/clock.js';

/** The answer is a line: whoever has not taken it by then takes nothing. */
const sendMs = 1_000;

/**
 * Answers a WebSocket's handshake with a refusal and ends the connection. From `upgrade` on Node leaves the socket to its listeners:
 * an error that none of them hears would end the process, and one that nobody destroys stays open, because nobody reads its end.
 */
export function refuseUpgrade(socket: Duplex, status: string, reason: string, clock: Clock): void {
  socket.on('error', () => undefined);
  socket.once(
    'close',
    clock.after(sendMs, () => socket.destroy()),
  );
  socket.end(
    `HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: ${reason.length}\r\n\r\n${reason}`,
    () => void socket.destroy(),
  );
}
