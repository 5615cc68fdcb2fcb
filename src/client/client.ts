import type { Pong, RoomHead, WireDelta, WireNotification, WireProgress } from '../realtime/contract.js';
import { Connection } from './connection.js';
import { Credentials } from './credentials.js';
import { deviceOf } from './device.js';
import { Value } from './emitter.js';
import { createEnvironment, type Environment } from './environment.js';
import { randomId } from './random-id.js';
import { closedError, SynapClientError } from './errors.js';
import { eventIdOf } from './event-id.js';
import { Events } from './events.js';
import { Http } from './http.js';
import type { Unsent } from './kept-events.js';
import type { Link, OpenLink } from './link.js';
import { createNotificationsApi } from './notifications-api.js';
import { Outbox } from './outbox.js';
import { RecentIds } from './recent-ids.js';
import { isRequestView } from './request-view.js';
import { Requests } from './requests.js';
import { Room } from './room.js';
import { socketSessions, type Io } from './socket-session.js';
import { SharedLink } from './shared-link.js';
import { streamSessions } from './stream-session.js';
import { chooseTransports } from './transports.js';
import type {
  ClientEvents,
  ConnectionState,
  NotificationsApi,
  Observable,
  OutgoingEvent,
  RequestEnd,
  RequestState,
  RoomListeners,
  Sent,
  Start,
  Subscription,
  SynapClient,
  SynapClientOptions,
} from './types.js';

export type { Io } from './socket-session.js';

/** How long an event waits for its room to be heard, so that not even its first progress is missed. */
const patienceMs = 2_000;
const rememberedIds = 5_000;

/** @param io of socket.io-client, from wherever the program has it */
export function createClient(
  io: Io,
  options: SynapClientOptions,
  environment = createEnvironment(options.storage),
): SynapClient {
  const base = baseOf(options.url, environment);
  const credentials = new Credentials(options.token, options.userId);
  const device = deviceOf(options.device, environment.storage);
  const transports = chooseTransports(options.transport, {
    socket: socketSessions(io, { base, device }, environment),
    stream: streamSessions(base, environment),
    environment,
  });
  const own: OpenLink = (listener) =>
    new Connection({ transports, credentials, environment, reconnect: options.reconnect ?? {} }, listener);
  const tabs = (options.shared ?? environment.isBrowser) ? environment.tabs() : undefined;
  const open: OpenLink =
    tabs === undefined
      ? own
      : (listener) => new SharedLink({ tabs, base, credentials, environment, open: own }, listener);
  return new Client({ base, credentials, environment, open, acknowledges: options.acknowledge ?? true });
}

interface ClientDeps {
  readonly base: string;
  readonly credentials: Credentials;
  readonly environment: Environment;
  readonly open: OpenLink;
  readonly acknowledges: boolean;
}

class Client implements SynapClient {
  readonly #deps: ClientDeps;
  readonly #events = new Events();
  readonly #rooms = new Map<string, Room>();
  readonly #heard = new RecentIds(rememberedIds);
  readonly #state: Value<ConnectionState>;
  readonly #link: Link;
  readonly #outbox: Outbox;
  readonly #requests: Requests;
  readonly notifications: NotificationsApi;

  constructor(deps: ClientDeps) {
    this.#deps = deps;
    const onError = this.#events.failed;
    this.#state = new Value<ConnectionState>('connecting', onError);
    const http = new Http(deps.base, deps.credentials, deps.environment);
    this.notifications = createNotificationsApi(http);
    this.#requests = new Requests({
      subscribe: (...args) => this.subscribe(...args),
      ask: (requestId) => http.attempt(`/v1/requests/${encodeURIComponent(requestId)}`, () => ({}), isRequestView),
      idOf: (event) => eventIdOf(deps.credentials.userId, event),
      ...{ after: deps.environment.after, random: deps.environment.random },
      onError,
    });
    this.#outbox = new Outbox({
      ...{ http, credentials: deps.credentials, environment: deps.environment, onError },
      isConnected: () => this.#state.get() === 'connected',
      prepare: (event) => this.#prepare(event),
      onAccepted: (event) => this.#requests.accepted(event),
      onRefused: (event, error, hasCaller) => this.#eventRefused(event, error, hasCaller),
    });
    this.#link = deps.open({
      onState: (state) => this.#changed(state),
      onError,
      onNotifications: (notifications) => this.#notified(notifications),
      onProgress: (progress) => this.#progressed(progress),
      onDelta: (delta) => this.#streamed(delta),
      onPong: (pong) => this.#compare(pong),
    });
    deps.credentials.onUser(() => this.#outbox.restore());
    this.#outbox.restore();
    this.#link.start();
  }

  get state(): Observable<ConnectionState> {
    return this.#state;
  }

  get unsent(): Observable<number> {
    return this.#outbox.unsent;
  }

  get held(): Observable<SynapClientError | undefined> {
    return this.#outbox.held;
  }

  on<Event extends keyof ClientEvents>(event: Event, listener: ClientEvents[Event]): () => void {
    return this.#events.on(event, listener);
  }

  subscribe(name: string, listeners: RoomListeners = {}, start: Start = 'now'): Subscription {
    const from = start === 'beginning' ? beginning : start === 'now' ? undefined : start;
    const room = this.#rooms.get(name) ?? this.#open(name, from);
    const end = room.listen(listeners, from);
    let isActive = true;
    return {
      room: name,
      ready: room.ready,
      unsubscribe: () => {
        if (!isActive) return;
        isActive = false;
        end();
        if (room.isEmpty) this.#leave(name, room);
      },
    };
  }

  send(event: OutgoingEvent): Sent {
    const requestId = event.requestId ?? randomId();
    // Heard from now on, also while the event waits for others before it.
    void this.#requests.send(requestId);
    const accepted = this.#outbox.send({ ...event, requestId });
    // Who does not look at it is told by the request's state.
    accepted.catch(() => undefined);
    return { requestId, accepted };
  }

  request(requestId: string): Observable<RequestState> {
    return this.#requests.observe(requestId);
  }

  waitFor(requestId: string, { signal }: { readonly signal?: AbortSignal } = {}): Promise<RequestEnd> {
    return this.#requests.waitFor(requestId, signal);
  }

  reconnect(): void {
    this.#link.reconnect();
    this.#outbox.hurry();
  }

  close(): void {
    if (this.#state.get() === 'closed') return;
    this.#outbox.close();
    this.#requests.close();
    for (const room of this.#rooms.values()) room.leave(closedError());
    this.#rooms.clear();
    this.#link.close();
    this.#events.clear();
  }

  #open(name: string, start: RoomHead | undefined): Room {
    const room: Room = new Room(name, start, {
      link: () => this.#link,
      ...{ environment: this.#deps.environment, acknowledges: this.#deps.acknowledges, onError: this.#events.failed },
      onNotification: (notification) => {
        if (!this.#heard.add(notification.id)) return;
        this.#requests.heard(notification);
        this.#events.emit('notification', notification);
      },
      onRefused: (error) => {
        this.#rooms.delete(name);
        room.leave(error);
        this.#events.emit('error', error);
      },
    });
    this.#rooms.set(name, room);
    if (this.#state.get() === 'closed') room.leave(closedError());
    else if (this.#state.get() === 'connected') room.join();
    return room;
  }

  #leave(name: string, room: Room): void {
    if (this.#rooms.get(name) !== room) return;
    this.#rooms.delete(name);
    room.leave();
  }

  #changed(state: ConnectionState): void {
    this.#state.set(state);
    this.#events.emit('state', state);
    if (state !== 'connected') return;
    for (const room of this.#rooms.values()) room.join();
    this.#outbox.hurry();
    this.#requests.connected();
  }

  #notified(notifications: readonly WireNotification[]): void {
    for (const notification of notifications) this.#rooms.get(notification.room)?.notified(notification);
  }

  #progressed(progress: WireProgress): void {
    this.#rooms.get(progress.room)?.progressed(progress);
    this.#events.emit('progress', progress);
  }

  #streamed(delta: WireDelta): void {
    this.#rooms.get(delta.room)?.streamed(delta);
    this.#events.emit('delta', delta);
  }

  #compare(pong: Pong): void {
    for (const room of this.#rooms.values()) room.compare(pong.heads);
    this.#events.emit('pong', pong);
  }

  /** Its room first. Without a connection it does not wait for it: the room begins with all that is stored, so nothing is missed. */
  async #prepare(event: Unsent): Promise<void> {
    const heard = this.#requests.send(event.requestId, event);
    if (this.#state.get() !== 'connected') return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const cancel = this.#deps.environment.after(patienceMs, resolve);
    await Promise.race([heard.catch(() => undefined), promise]);
    cancel();
  }

  #eventRefused(event: Unsent, error: SynapClientError, hasCaller: boolean): void {
    this.#requests.refused(event, error);
    if (!hasCaller) this.#events.emit('error', error);
  }
}

const beginning: RoomHead = { epoch: null, seq: 0 };

function baseOf(url: string | undefined, environment: Environment): string {
  if (url === undefined && !environment.isBrowser)
    throw new SynapClientError('url_missing', 'Outside a browser the client needs `url`.');
  return (url ?? '').replace(/\/+$/, '');
}
