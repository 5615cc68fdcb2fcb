import type { Clock } from '../../platform/clock.js';
import { endSocket } from './ending.js';
import { SocketError } from './socket-error.js';
import type { RealtimeSocket } from '../io.js';

/** Ends a connection with its token, unless a newer one was shown meanwhile. */
export class Expiry {
  readonly #socket: RealtimeSocket;
  readonly #clock: Clock;
  #cancel: () => void = () => undefined;

  constructor(socket: RealtimeSocket, clock: Clock) {
    this.#socket = socket;
    this.#clock = clock;
  }

  /** Again whenever the identity has changed. */
  arm(): void {
    this.#cancel();
    const { expiresAt } = this.#socket.data.identity;
    if (expiresAt === undefined) return;
    const leftMs = Math.max(0, expiresAt - this.#clock.now());
    this.#cancel = this.#clock.after(leftMs, () => this.#end());
  }

  cancel(): void {
    this.#cancel();
  }

  #end(): void {
    endSocket(this.#socket, new SocketError('token_expired', 'The token has expired'), this.#clock);
  }
}
