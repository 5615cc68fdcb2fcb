import type { Link, LinkListener, OpenLink } from './link.js';
import type { Call, Calls, Tell, Tells } from './session.js';
import type { LeaderMessage, TabRequest, Tabs } from './tabs.js';
import type { ConnectionState } from './types.js';

export interface LeaderDeps {
  readonly tabs: Tabs;
  /** The name of the lock that a tab holds as long as it lives. */
  readonly lockOf: (tab: string) => string;
  readonly post: (message: LeaderMessage) => void;
  readonly open: OpenLink;
}

/** Holds the connection for all tabs: what it hears goes to each of them, and a room is left when the last of them does. */
export class Leader {
  readonly #deps: LeaderDeps;
  readonly #link: Link;
  readonly #rooms = new Map<string, Set<string>>();
  readonly #known = new Set<string>();
  readonly #closing = new AbortController();
  #state: ConnectionState = 'connecting';
  #connection = 0;

  constructor(deps: LeaderDeps, own: LinkListener) {
    this.#deps = deps;
    const tell = (message: LeaderMessage) => !this.#closing.signal.aborted && deps.post(message);
    this.#link = deps.open({
      onState: (state) => {
        this.#state = state;
        if (state === 'connected') this.#connection += 1;
        // The others try with tokens of their own.
        this.#tellState(state === 'signed-out' || state === 'closed' ? 'reconnecting' : state);
        own.onState(state);
      },
      onNotifications(payload) {
        tell({ kind: 'notifications', payload });
        own.onNotifications(payload);
      },
      onProgress(payload) {
        tell({ kind: 'progress', payload });
        own.onProgress(payload);
      },
      onDelta(payload) {
        tell({ kind: 'delta', payload });
        own.onDelta(payload);
      },
      onPong(payload) {
        tell({ kind: 'pong', payload });
        own.onPong(payload);
      },
      onError: (error) => own.onError(error),
    });
  }

  start(): void {
    this.#link.start();
  }

  reconnect(): void {
    this.#link.reconnect();
  }

  readonly call: Call = (name, message) => this.#callFor(this.#deps.tabs.id, name, message);
  readonly tell: Tell = (name, message) => this.#tellFor(this.#deps.tabs.id, name, message);

  /** Of another tab. */
  heard(tab: string, request: TabRequest): void {
    this.#watch(tab);
    if (request.kind === 'hello') this.#tellState(this.#state);
    else if (request.kind === 'reconnect') this.#link.reconnect();
    else if (request.kind === 'tell') this.#tellFor(tab, request.name, request.message as Tells[typeof request.name]);
    else {
      const { call } = request;
      this.#callFor(tab, request.name, request.message as Calls[typeof request.name][0]).then(
        (answer) => this.#deps.post({ kind: 'answer', to: tab, call, answer }),
        () => this.#deps.post({ kind: 'lost', to: tab, call }),
      );
    }
  }

  close(): void {
    this.#tellState('reconnecting');
    this.depose();
  }

  /** Another leads already: what this one said now would be taken for a change. */
  depose(): void {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort();
    this.#link.close();
  }

  #callFor<Name extends keyof Calls>(tab: string, name: Name, message: Calls[Name][0]): Promise<Calls[Name][1]> {
    if (name === 'subscribe') this.#wants((message as Calls['subscribe'][0]).room).add(tab);
    return this.#link.call(name, message);
  }

  #tellFor<Name extends keyof Tells>(tab: string, name: Name, message: Tells[Name]): void {
    if (name === 'unsubscribe') this.#leave(tab, message.room);
    else this.#link.tell(name, message);
  }

  #wants(room: string): Set<string> {
    const tabs = this.#rooms.get(room) ?? new Set();
    this.#rooms.set(room, tabs);
    return tabs;
  }

  #leave(tab: string, room: string): void {
    const tabs = this.#rooms.get(room);
    if (tabs?.delete(tab) !== true || tabs.size > 0) return;
    this.#rooms.delete(room);
    this.#link.tell('unsubscribe', { room });
  }

  /** Its lock is ours when it has died. */
  #watch(tab: string): void {
    if (this.#known.has(tab)) return;
    this.#known.add(tab);
    const { signal } = this.#closing;
    const died = (): Promise<void> => {
      this.#known.delete(tab);
      for (const room of this.#rooms.keys()) this.#leave(tab, room);
      return Promise.resolve();
    };
    this.#deps.tabs.lock(this.#deps.lockOf(tab), { signal }, died).catch(() => undefined);
  }

  #tellState(state: ConnectionState): void {
    if (!this.#closing.signal.aborted) this.#deps.post({ kind: 'state', state, connection: this.#connection });
  }
}
