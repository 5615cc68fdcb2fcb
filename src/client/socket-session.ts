import type { io, Socket } from 'socket.io-client';
import type {
  ClientToServerEvents,
  HandshakeAuth,
  ServerToClientEvents,
  SocketErrorCode,
} from '../realtime/contract.js';
import type { Environment } from './environment.js';
import {
  ConnectionLost,
  type Call,
  type OpenSession,
  type Session,
  type SessionEnd,
  type SessionListener,
} from './session.js';

/** socket.io-client's `io`, given so that a page without a bundler can give the one that the server serves. */
export type Io = typeof io;
type ClientSocket = Socket<ServerToClientEvents, ClientToServerEvents>;

export interface SocketOptions {
  /** The server's URL without a slash at its end, or '' for the page's own origin. */
  readonly base: string;
  readonly device: NonNullable<HandshakeAuth['device']>;
}

const openTimeoutMs = 15_000;
const ackTimeoutMs = 5_000;

/** Sessions over Socket.IO. Its own reconnecting is not used: ours knows tokens, draining servers and other transports. */
export function socketSessions(connect: Io, options: SocketOptions, environment: Environment): OpenSession {
  return (token, listener) => {
    const { origin, path } = placeOf(options.base);
    const auth: HandshakeAuth = { token, device: options.device, batch: true };
    const socket: ClientSocket = connect(origin, {
      ...{ path, auth, forceNew: true, reconnection: false, autoConnect: false },
      // Long polling only where WebSockets do not come through: it needs a load balancer that keeps a client to one server.
      ...{ transports: ['websocket', 'polling'], tryAllTransports: true },
    });
    return new SocketSession(socket, listener, environment);
  };
}

class SocketSession implements Session {
  readonly #socket: ClientSocket;
  readonly #listener: SessionListener;
  readonly #environment: Environment;
  readonly #lost = new Set<() => void>();
  readonly #cancelOpening: () => void;
  /** Why the server is about to close, said before it does. */
  #reason: SocketErrorCode | undefined;
  #hasEnded = false;

  constructor(socket: ClientSocket, listener: SessionListener, environment: Environment) {
    this.#socket = socket;
    this.#listener = listener;
    this.#environment = environment;
    this.#cancelOpening = environment.after(openTimeoutMs, () => this.#end({ code: undefined, message: 'timeout' }));
    this.#listenToConnection();
    this.#listenToFrames();
    socket.connect();
  }

  readonly call: Call = (name, message) => {
    if (this.#hasEnded) return Promise.reject(new ConnectionLost());
    const { promise, resolve, reject } = Promise.withResolvers<never>();
    const lost = () => reject(new ConnectionLost());
    this.#lost.add(lost);
    const late = () => this.#end({ code: undefined, message: `no answer to ${name} in ${ackTimeoutMs} ms` });
    const cancel = this.#environment.after(ackTimeoutMs, late);
    const socket: Untyped = this.#socket;
    socket.emit(name, ...(message === undefined ? [] : [message]), resolve);
    return promise.finally(() => {
      cancel();
      this.#lost.delete(lost);
    });
  };

  readonly tell = (name: string, message: unknown): void => {
    const socket: Untyped = this.#socket;
    if (!this.#hasEnded) socket.emit(name, message);
  };

  close(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#cancelOpening();
    this.#socket.off();
    this.#socket.disconnect();
    for (const lost of this.#lost) lost();
  }

  #end(end: SessionEnd): void {
    if (this.#hasEnded) return;
    this.close();
    this.#listener.onEnd(end);
  }

  #listenToConnection(): void {
    this.#socket.on('connect', () => {
      this.#cancelOpening();
      this.#listener.onOpen();
    });
    this.#socket.on('connect_error', (error: Error & { data?: { code?: SocketErrorCode } }) =>
      this.#end({ code: error.data?.code, message: error.message }),
    );
    this.#socket.on('disconnect', (reason) => this.#end({ code: this.#reason, message: reason }));
    this.#socket.on('closing', (closing) => {
      this.#reason = closing.code;
      this.#listener.onClosing(closing);
    });
  }

  #listenToFrames(): void {
    const socket = this.#socket;
    const listener = this.#listener;
    socket.on('ready', (ready) => listener.onReady(ready));
    socket.on('notification', (notification) => listener.onNotifications([notification]));
    socket.on('notifications', (notifications) => listener.onNotifications(notifications));
    socket.on('progress', (progress) => listener.onProgress(progress));
    socket.on('delta', (delta) => listener.onDelta(delta));
    socket.on('check', () => listener.onCheck());
  }
}

interface Untyped {
  emit(event: string, ...args: unknown[]): unknown;
}

/** Socket.IO takes a URL's path for a namespace; a server behind a prefix has its sockets behind it too. */
function placeOf(base: string): { origin: string; path: string } {
  if (base === '') return { origin: '/', path: '/socket.io' };
  const { origin, pathname } = new URL(base);
  return { origin, path: `${pathname.replace(/\/$/, '')}/socket.io` };
}
