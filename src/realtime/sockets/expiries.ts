import type { Clock } from '../../platform/clock.js';
import { endSocket } from './ending.js';
import { SocketError } from './socket-error.js';
import type { RealtimeSocket } from '../io.js';

interface Due {
  readonly sockets: Set<RealtimeSocket>;
  readonly cancel: () => void;
}

/**
 * Ends connections with their tokens. Those that end in the same second share a timer: one for each of them would be a good part
 * of what an idle connection takes.
 */
export class Expiries {
  readonly #clock: Clock;
  /** By the second that a token ends in, or with. */
  readonly #due = new Map<number, Due>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** By the socket's identity as it is now: before that changes, `disarm`. */
  arm(socket: RealtimeSocket): void {
    const second = secondOf(socket);
    if (second === undefined) return;
    let due = this.#due.get(second);
    if (due === undefined) {
      const leftMs = Math.max(0, second * 1_000 - this.#clock.now());
      due = { sockets: new Set(), cancel: this.#clock.after(leftMs, () => this.#end(second)) };
      this.#due.set(second, due);
    }
    due.sockets.add(socket);
  }

  disarm(socket: RealtimeSocket): void {
    const second = secondOf(socket);
    const due = second === undefined ? undefined : this.#due.get(second);
    if (second === undefined || due?.sockets.delete(socket) !== true || due.sockets.size > 0) return;
    due.cancel();
    this.#due.delete(second);
  }

  #end(second: number): void {
    const sockets = this.#due.get(second)?.sockets ?? [];
    this.#due.delete(second);
    for (const socket of sockets) {
      endSocket(socket, new SocketError('token_expired', 'The token has expired'), this.#clock);
    }
  }
}

function secondOf({ data: { identity } }: RealtimeSocket): number | undefined {
  return identity.expiresAt === undefined ? undefined : Math.ceil(identity.expiresAt / 1_000);
}
