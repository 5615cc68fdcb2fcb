import type { Closing } from '../realtime/contract.js';
import { defaultReconnect, delayBefore } from './backoff.js';
import type { Credentials } from './credentials.js';
import type { Environment, Wake } from './environment.js';
import { SynapClientError, toError } from './errors.js';
import type { Link, LinkListener } from './link.js';
import { Refresh } from './refresh.js';
import {
  ConnectionLost,
  type Call,
  type Session,
  type SessionEnd,
  type SessionListener,
  type Tell,
} from './session.js';
import { withinTime } from './time-limit.js';
import type { Transports } from './transports.js';
import type { ConnectionState, ReconnectOptions } from './types.js';

export interface ConnectionDeps {
  readonly transports: Transports;
  readonly credentials: Credentials;
  readonly environment: Environment;
  readonly reconnect: ReconnectOptions;
}

const pingMs = 30_000;
/** What a provider of tokens may take. */
export const tokenMs = 30_000;
/** An attempt that is so young is not begun again: of many tabs that wake at once, each asks for one. */
const youngMs = 1_000;
/** In which all clients of a server that drains come back, each at its own moment. */
const drainMs = 1_000;
/** A connection that ends sooner counts as a failed attempt: who takes and drops us is not hurried. */
const stableMs = 1_000;
const tokenCodes: readonly unknown[] = ['unauthenticated', 'token_invalid', 'token_expired'];

/**
 * Keeps a session alive: opens one, and another after each end, with a back-off. An attempt, its token and its session belong to a
 * turn; a newer turn makes what still comes of it void, so there is never more than one session.
 */
export class Connection implements Link {
  readonly #deps: ConnectionDeps;
  readonly #options: Required<ReconnectOptions>;
  readonly #listener: LinkListener;
  readonly #refresh: Refresh;
  readonly #endWaking: () => void;
  #turn = 0;
  #session: Session | undefined;
  #openedAt: number | undefined;
  /** Of the attempt that is under way. */
  #triedAt: number | undefined;
  #state: ConnectionState | undefined;
  #wasOpen = false;
  /** In a row, of whatever kind. */
  #failures = 0;
  /** Of tokens, in a row. */
  #refusals = 0;
  #cancelRetry: (() => void) | undefined;
  #cancelPing = () => {};

  constructor(deps: ConnectionDeps, listener: LinkListener) {
    this.#deps = deps;
    this.#options = { ...defaultReconnect, ...deps.reconnect };
    this.#listener = listener;
    this.#refresh = new Refresh(deps, (token) => this.call('authenticate', { token }));
    this.#endWaking = deps.environment.onWake((wake) => this.#wake(wake));
  }

  start(): void {
    void this.#attempt();
  }

  readonly call: Call = (name, message) => {
    if (this.#session === undefined || !this.#isOpen) return Promise.reject(new ConnectionLost());
    return this.#session.call(name, message);
  };

  readonly tell: Tell = (name, message) => {
    if (this.#isOpen) this.#session?.tell(name, message);
  };

  reconnect(): void {
    const isTrying = this.#triedAt !== undefined && this.#deps.environment.now() - this.#triedAt < youngMs;
    if (this.#isOpen || isTrying || this.#state === 'closed') return;
    this.#failures = 0;
    this.#refusals = 0;
    void this.#attempt();
  }

  close(): void {
    this.#drop();
    this.#endWaking();
    this.#say('closed');
  }

  get #isOpen(): boolean {
    return this.#openedAt !== undefined;
  }

  /** Ends what there is: session, timers, and whatever of this turn is still on its way. */
  #drop(): void {
    this.#turn += 1;
    this.#openedAt = undefined;
    this.#triedAt = undefined;
    this.#cancelRetry?.();
    this.#cancelRetry = undefined;
    this.#cancelPing();
    this.#refresh.cancel();
    this.#session?.close();
    this.#session = undefined;
  }

  async #attempt(): Promise<void> {
    this.#drop();
    const turn = this.#turn;
    this.#triedAt = this.#deps.environment.now();
    this.#say(this.#stateWithout());
    try {
      const { credentials, environment } = this.#deps;
      const token = await withinTime(environment, tokenMs, credentials.token());
      if (turn !== this.#turn) return;
      this.#session = this.#deps.transports.open(this.#failures)(token, this.#hear(turn));
    } catch (thrown) {
      if (turn !== this.#turn) return;
      this.#listener.onError(toError(thrown));
      if (thrown instanceof SynapClientError) this.#signOut();
      else this.#retryLater();
    }
  }

  #hear(turn: number): SessionListener {
    const current =
      <Args extends readonly unknown[]>(hear: (...args: Args) => void) =>
      (...args: Args): void => {
        if (turn === this.#turn) hear(...args);
      };
    const listener = this.#listener;
    return {
      onOpen: current(() => this.#opened()),
      onReady: current(({ expiresAt }) => this.#refresh.plan(expiresAt)),
      onNotifications: current((notifications) => listener.onNotifications(notifications)),
      onProgress: current((progress) => listener.onProgress(progress)),
      onDelta: current((delta) => listener.onDelta(delta)),
      onPong: current((pong) => listener.onPong(pong)),
      onCheck: current(() => this.#ping()),
      onClosing: current((closing) => this.#closing(closing)),
      onEnd: current((end) => this.#ended(end)),
    };
  }

  #opened(): void {
    this.#openedAt = this.#deps.environment.now();
    this.#wasOpen = true;
    this.#refusals = 0;
    this.#planPing();
    this.#say('connected');
  }

  #ended({ code, message }: SessionEnd): void {
    const { now } = this.#deps.environment;
    if (this.#openedAt !== undefined && now() - this.#openedAt >= stableMs) this.#failures = 0;
    const retryIsPlanned = this.#cancelRetry !== undefined;
    if (retryIsPlanned) return this.#lostWhileLeaving();
    this.#drop();
    if (tokenCodes.includes(code)) this.#refused(message);
    else this.#retryLater();
  }

  /** The provider is asked once more, as it may have given a token from a cache; a second refusal is an answer. */
  #refused(message: string): void {
    this.#refusals += 1;
    if (this.#refusals === 1 && !this.#deps.credentials.isFixed) {
      if (this.#failures === 0) void this.#attempt();
      else this.#retryLater();
      return;
    }
    this.#listener.onError(new SynapClientError('unauthenticated', message, { status: 401 }));
    this.#signOut();
  }

  #signOut(): void {
    this.#drop();
    this.#say('signed-out');
  }

  #retryLater(): void {
    this.#triedAt = undefined;
    this.#failures += 1;
    this.#say(this.#stateWithout());
    this.#retryIn(delayBefore(this.#failures, this.#options, this.#deps.environment.random()));
  }

  #retryIn(delayMs: number): void {
    this.#cancelRetry?.();
    this.#cancelRetry = this.#deps.environment.after(delayMs, () => void this.#attempt());
  }

  /** A server that drains serves on until it closes; each client leaves at a moment of its own. */
  #closing({ code }: Closing): void {
    if (code === 'draining') this.#retryIn(this.#deps.environment.random() * drainMs);
  }

  #lostWhileLeaving(): void {
    this.#openedAt = undefined;
    this.#cancelPing();
    this.#session = undefined;
    this.#say(this.#stateWithout());
  }

  #planPing(): void {
    const { after, random } = this.#deps.environment;
    this.#cancelPing();
    this.#cancelPing = after(pingMs * (0.9 + random() / 5), () => {
      this.#planPing();
      this.#ping();
    });
  }

  /** Shows a connection that died without a word, and by the heads what was lost before a silence. */
  #ping(): void {
    this.call('ping', undefined).then(
      (pong) => this.#listener.onPong(pong),
      () => undefined, // The session has ended and says so itself.
    );
  }

  #wake(wake: Wake): void {
    if (this.#state === 'closed' || this.#state === 'signed-out') return;
    if (this.#isOpen) return this.#ping();
    if (wake === 'offline') return this.#say(this.#stateWithout());
    if (wake === 'online') this.#failures = 0;
    // An attempt that is under way while the page is opened again is left to its own.
    if (wake === 'online' || this.#session === undefined) void this.#attempt();
  }

  #stateWithout(): ConnectionState {
    if (!this.#deps.environment.isOnline() || this.#failures > this.#options.attempts) return 'offline';
    return this.#wasOpen ? 'reconnecting' : 'connecting';
  }

  #say(state: ConnectionState): void {
    if (state === this.#state || this.#state === 'closed') return;
    this.#state = state;
    this.#listener.onState(state);
  }
}
