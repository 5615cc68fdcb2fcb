import type { Metrics } from '../../platform/metrics.js';
import type { Tokens } from '../../platform/tokens.js';
import type { Acknowledgements } from '../log/acknowledgements.js';
import { acknowledgeRequest, authenticateRequest } from '../contract.js';
import type { Expiries } from './expiries.js';
import { parse, SocketError } from './socket-error.js';
import type { RealtimeSocket } from '../io.js';
import { Requests, type RequestHandlers, type RequestsDeps } from './requests.js';
import { roomKey, userRoom } from '../rooms.js';
import { Subscriptions, type SubscriptionDeps } from './subscriptions.js';

export interface ConnectionDeps extends SubscriptionDeps, RequestsDeps {
  readonly tokens: Tokens;
  readonly metrics: Metrics;
  readonly expiries: Expiries;
  /** Absent: who acknowledges is told that it cannot be kept. */
  readonly acknowledgements?: Pick<Acknowledgements, 'note'> | undefined;
}

/** One socket whose token was accepted, from `ready` to its end. It answers messages itself: closures for each would be kept for each socket. */
export class Connection implements RequestHandlers {
  readonly #socket: RealtimeSocket;
  readonly #deps: ConnectionDeps;
  readonly #subscriptions: Subscriptions;

  constructor(socket: RealtimeSocket, deps: ConnectionDeps) {
    this.#socket = socket;
    this.#deps = deps;
    this.#subscriptions = new Subscriptions(socket, deps);
  }

  /** In the turn of the connection; `ready` goes out before the socket is in any room that others speak in. */
  open(): void {
    const { metrics, expiries } = this.#deps;
    const { identity, device } = this.#socket.data;
    this.#socket.emit('ready', {
      connectionId: this.#socket.id,
      userId: identity.userId,
      deviceId: device?.id ?? null,
      expiresAt: this.#expiresAt(),
    });
    void this.#socket.join(roomKey(userRoom(identity.userId)));
    new Requests(this.#socket, this, this.#deps).listen();
    expiries.arm(this.#socket);
    metrics.websocketConnections.inc();
    metrics.websocketConnects.inc();
    this.#socket.on('disconnect', (reason) => {
      expiries.disarm(this.#socket);
      this.#subscriptions.close();
      metrics.websocketConnections.dec();
      metrics.websocketDisconnects.inc({ reason: this.#socket.data.closing ?? reason.replaceAll(' ', '_') });
    });
  }

  subscribe(message: unknown): Promise<object> {
    return this.#subscriptions.subscribe(message);
  }

  unsubscribe(message: unknown): Promise<object> {
    return this.#subscriptions.unsubscribe(message);
  }

  ping(): Promise<object> {
    return this.#subscriptions.pong();
  }

  /** A refused token changes nothing: the connection lives as long as the one that it has. */
  async authenticate(message: unknown): Promise<object> {
    const { token } = parse(authenticateRequest, message);
    const identity = await this.#deps.tokens.verify(token);
    if (identity.userId !== this.#socket.data.identity.userId)
      throw new SocketError('forbidden', 'This token is of another user: connect anew with it');
    this.#deps.expiries.disarm(this.#socket);
    this.#socket.data.identity = identity;
    if (this.#socket.connected) this.#deps.expiries.arm(this.#socket);
    return { ok: true, expiresAt: this.#expiresAt() };
  }

  acknowledge(message: unknown): Promise<object> {
    const request = parse(acknowledgeRequest, message);
    const room = this.#subscriptions.resolve(request.room);
    const { acknowledgements } = this.#deps;
    if (acknowledgements === undefined) throw new SocketError('unavailable', 'Acknowledgements are not kept here');
    acknowledgements.note(roomKey(room), request);
    return Promise.resolve({ ok: true });
  }

  #expiresAt(): string | null {
    const { expiresAt } = this.#socket.data.identity;
    return expiresAt === undefined ? null : new Date(expiresAt).toISOString();
  }
}
