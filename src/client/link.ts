import type { Call, FrameListener, Tell } from './session.js';
import type { ConnectionState } from './types.js';

export interface LinkListener extends FrameListener {
  /** Each `connected` is another connection: rooms subscribe again, from where they are. */
  onState(state: ConnectionState): void;
  onError(error: Error): void;
}

/** What keeps the client connected, by whatever means: a connection of its own, or that of another tab. */
export interface Link {
  start(): void;
  /** Rejects with ConnectionLost while there is no connection. */
  readonly call: Call;
  readonly tell: Tell;
  reconnect(): void;
  close(): void;
}

/** Given to whoever opens a link. */
export type OpenLink = (listener: LinkListener) => Link;
