import type {
  AcknowledgeRequest,
  Closing,
  Pong,
  Ready,
  Refused,
  SocketErrorCode,
  Subscribed,
  SubscribeRequest,
  WireDelta,
  WireNotification,
  WireProgress,
} from '../realtime/contract.js';

/** What is asked over a connection, and what it answers. */
export interface Calls {
  subscribe: [SubscribeRequest, Subscribed | Refused];
  authenticate: [{ readonly token: string }, { readonly ok: true; readonly expiresAt: string | null } | Refused];
  ping: [undefined, Pong];
}

/** What is said without waiting for an answer. */
export interface Tells {
  unsubscribe: { readonly room: string };
  acknowledge: AcknowledgeRequest;
}

export type Call = <Name extends keyof Calls>(name: Name, message: Calls[Name][0]) => Promise<Calls[Name][1]>;
export type Tell = <Name extends keyof Tells>(name: Name, message: Tells[Name]) => void;

/** What a connection hears. */
export interface FrameListener {
  onNotifications(notifications: readonly WireNotification[]): void;
  onProgress(progress: WireProgress): void;
  onDelta(delta: WireDelta): void;
  onPong(pong: Pong): void;
}

export interface SessionEnd {
  /** What the server said, where it said why. */
  readonly code: SocketErrorCode | undefined;
  readonly message: string;
}

export interface SessionListener extends FrameListener {
  onOpen(): void;
  onReady(ready: Ready): void;
  onCheck(): void;
  onClosing(closing: Closing): void;
  /** Once, and not after `close()`. */
  onEnd(end: SessionEnd): void;
}

/** One connection, from its opening to its end. It never comes back: the next one is another. */
export interface Session {
  /** Rejects with ConnectionLost where the connection ends first; one that is not answered in time ends the connection. */
  readonly call: Call;
  readonly tell: Tell;
  close(): void;
}

export type OpenSession = (token: string, listener: SessionListener) => Session;

/** The connection ended before the answer: the next one asks again. */
export class ConnectionLost extends Error {
  override readonly name = 'ConnectionLost';

  constructor() {
    super('The connection was lost before the answer came.');
  }
}
