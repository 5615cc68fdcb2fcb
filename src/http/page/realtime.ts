import { io } from '/socket.io/socket.io.esm.min.js';
import { createClient } from '../../client/client.js';
import type { StreamedText } from '../../client/deltas.js';
import type { ConnectionState, Subscription, SynapClient } from '../../client/types.js';
import type { WireNotification, WireProgress } from '../../realtime/contract.js';

/** What the page does with what it hears. */
export interface Listener {
  onConnection(connection: Exclude<ConnectionState, 'signed-out' | 'closed'>): void;
  /** In order, each once, whichever room brought it. */
  onNotification(notification: WireNotification): void;
  onProgress(progress: WireProgress): void;
  onText(text: StreamedText): void;
  /** The user's room is heard for the first time, or more was missed than the server still has: (re)load what it keeps true. */
  onStale(): void;
  /** The server does not take this token (any more). */
  onSignedOut(): void;
}

const patienceMs = 5_000;

/** What this page listens to: its user's room, and a room for each request that is under way. */
export class Realtime {
  readonly #client: SynapClient;
  readonly #listener: Listener;
  readonly #requests = new Map<string, Subscription>();

  constructor(token: string, listener: Listener) {
    this.#listener = listener;
    this.#client = createClient(io, { token });
    this.#client.on('state', (state) => this.#changed(state));
    this.#client.on('notification', (notification) => listener.onNotification(notification));
    this.#client.on('progress', (progress) => listener.onProgress(progress));
  }

  /** From now on, and the newest few that were there before. */
  async listenToUser(userId: string, recent: number): Promise<void> {
    const room = `user_${userId}`;
    const { epoch, seq } = await this.#client.subscribe(room, { onReset: () => this.#listener.onStale() }).ready;
    this.#client.subscribe(room, {}, { epoch, seq: Math.max(0, seq - recent) });
  }

  /** Resolves once it is heard, or at once without a connection: a request's room begins at its beginning, so nothing is missed. */
  async listenToRequest(requestId: string): Promise<void> {
    const onText = (text: StreamedText) => this.#listener.onText(text);
    const subscription = this.#client.subscribe(`request_${requestId}`, { onText }, 'beginning');
    this.#requests.set(requestId, subscription);
    if (this.#client.state.get() !== 'connected') return;
    await Promise.race([
      subscription.ready.catch(() => undefined),
      new Promise((resolve) => setTimeout(resolve, patienceMs)),
    ]);
  }

  leaveRequest(requestId: string): void {
    this.#requests.get(requestId)?.unsubscribe();
    this.#requests.delete(requestId);
  }

  #changed(state: ConnectionState): void {
    if (state === 'signed-out') this.#listener.onSignedOut();
    else if (state !== 'closed') this.#listener.onConnection(state);
  }
}
