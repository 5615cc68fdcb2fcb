import type { Environment } from './environment.js';
import type { LinkListener } from './link.js';
import { ConnectionLost, type Call, type Calls, type Tell } from './session.js';
import type { LeaderMessage, TabRequest } from './tabs.js';
import type { ConnectionState } from './types.js';

export interface FollowerDeps {
  readonly id: string;
  readonly environment: Environment;
  readonly post: (message: TabRequest) => void;
  /** The tab that holds the connection answers nothing any more. */
  readonly onSilence: () => void;
}

interface Pending {
  resolve(answer: unknown): void;
  reject(error: Error): void;
}

/** Longer than the leader waits for the server. */
const answerMs = 7_000;
const helloMs = 30_000;

/** Uses the connection of another tab. A change of that tab, or of its connection, looks like a reconnect. */
export class Follower {
  readonly #deps: FollowerDeps;
  readonly #listener: LinkListener;
  readonly #pending = new Map<number, Pending>();
  #calls = 0;
  #leader: string | undefined;
  #connection = 0;
  #state: ConnectionState | undefined;
  #cancelHello = () => {};
  #endWaking = () => {};
  #cancelSilence: (() => void) | undefined;

  constructor(deps: FollowerDeps, listener: LinkListener) {
    this.#deps = deps;
    this.#listener = listener;
  }

  start(): void {
    this.#say('connecting');
    this.#endWaking = this.#deps.environment.onWake((wake) => wake !== 'offline' && this.#wake());
    this.#hello();
  }

  reconnect(): void {
    this.#deps.post({ kind: 'reconnect' });
  }

  readonly call: Call = <Name extends keyof Calls>(name: Name, message: Calls[Name][0]): Promise<Calls[Name][1]> => {
    if (this.#state !== 'connected') return Promise.reject(new ConnectionLost());
    const call = (this.#calls += 1);
    const { promise, resolve, reject } = Promise.withResolvers<Calls[Name][1]>();
    this.#pending.set(call, { resolve: (answer) => resolve(answer as Calls[Name][1]), reject });
    this.#deps.post({ kind: 'call', call, name, message });
    const cancel = this.#deps.environment.after(answerMs, () => {
      reject(new ConnectionLost());
      this.#hello();
    });
    return promise.finally(() => {
      cancel();
      this.#pending.delete(call);
    });
  };

  readonly tell: Tell = (name, message) => this.#deps.post({ kind: 'tell', name, message });

  heard(from: string, message: LeaderMessage): void {
    this.#cancelSilence?.();
    this.#cancelSilence = undefined;
    if (message.kind === 'state') return this.#changed(from, message.state, message.connection);
    if (from !== this.#leader) return;
    if (message.kind === 'answer' || message.kind === 'lost') return this.#answered(message);
    if (message.kind === 'notifications') this.#listener.onNotifications(message.payload);
    else if (message.kind === 'progress') this.#listener.onProgress(message.payload);
    else if (message.kind === 'delta') this.#listener.onDelta(message.payload);
    else this.#listener.onPong(message.payload);
  }

  close(): void {
    this.#endWaking();
    this.#cancelHello();
    this.#cancelSilence?.();
    this.#lose();
  }

  /** The tab with the connection may be hidden, and thus not know that somebody looks: it connects now, or shows that it is connected. */
  #wake(): void {
    if (this.#state !== 'connected') return this.reconnect();
    this.call('ping', undefined).then(
      (pong) => this.#listener.onPong(pong),
      () => undefined,
    );
  }

  #changed(leader: string, state: ConnectionState, connection: number): void {
    const isAnother = leader !== this.#leader || connection !== this.#connection;
    this.#leader = leader;
    this.#connection = connection;
    if (isAnother && this.#state === 'connected' && state === 'connected') this.#say('reconnecting');
    if (state !== 'connected') this.#lose();
    this.#say(state);
  }

  #answered(message: Extract<LeaderMessage, { kind: 'answer' | 'lost' }>): void {
    if (message.to !== this.#deps.id) return;
    const pending = this.#pending.get(message.call);
    if (message.kind === 'answer') pending?.resolve(message.answer);
    else pending?.reject(new ConnectionLost());
  }

  #lose(): void {
    for (const { reject } of this.#pending.values()) reject(new ConnectionLost());
  }

  /** Asks whether the leader lives: at the beginning, now and then, and where it owes an answer. */
  #hello(): void {
    const { after } = this.#deps.environment;
    this.#cancelHello();
    this.#cancelHello = after(helloMs, () => this.#hello());
    this.#cancelSilence ??= after(answerMs, () => this.#deps.onSilence());
    this.#deps.post({ kind: 'hello' });
  }

  #say(state: ConnectionState): void {
    if (state === this.#state) return;
    if (state !== 'connected') this.#lose();
    this.#state = state;
    this.#listener.onState(state);
  }
}
