import { defaultReconnect, delayBefore } from './backoff.js';
import { tokenMs } from './connection.js';
import type { Credentials } from './credentials.js';
import type { Environment } from './environment.js';
import { SynapClientError, toError } from './errors.js';
import { Follower } from './follower.js';
import { Leader } from './leader.js';
import type { Link, LinkListener, OpenLink } from './link.js';
import { ConnectionLost, type Call, type Tell } from './session.js';
import type { LeaderMessage, TabChannel, TabMessage, TabRequest, Tabs } from './tabs.js';
import { withinTime } from './time-limit.js';
import type { ConnectionState } from './types.js';

export interface SharedLinkDeps {
  readonly tabs: Tabs;
  readonly base: string;
  readonly credentials: Credentials;
  readonly environment: Environment;
  /** A connection of this tab's own. */
  readonly open: OpenLink;
}

/**
 * One connection for all tabs of a user. Whoever has the lock holds the connection (Leader), the others ask it (Follower); a tab that
 * closes or crashes gives the lock to the next.
 *
 *     following ─ lock granted, or taken from one that is frozen ▸ leading
 *     leading ─ lock taken away ▸ following;  token refused ▸ signed-out, without the lock
 */
export class SharedLink implements Link {
  readonly #deps: SharedLinkDeps;
  readonly #listener: LinkListener;
  readonly #closing = new AbortController();
  #role: Leader | Follower | undefined;
  /** Where the user is not known: a connection of one's own. */
  #alone: Link | undefined;
  #channel: TabChannel | undefined;
  #waiting = new AbortController();
  #release = () => {};
  #hurry = () => {};
  #state: ConnectionState | undefined;
  #wasConnected = false;

  constructor(deps: SharedLinkDeps, listener: LinkListener) {
    this.#deps = deps;
    this.#listener = { ...listener, onState: (state) => this.#changed(state) };
    this.#say = listener.onState;
  }

  readonly #say: (state: ConnectionState) => void;

  start(): void {
    void this.#start();
  }

  readonly call: Call = (name, message) => {
    const link = this.#alone ?? this.#role;
    return link === undefined ? Promise.reject(new ConnectionLost()) : link.call(name, message);
  };

  readonly tell: Tell = (name, message) => (this.#alone ?? this.#role)?.tell(name, message);

  reconnect(): void {
    if (this.#state === 'signed-out' && this.#alone === undefined) this.#follow();
    else (this.#alone ?? this.#role)?.reconnect();
    this.#hurry();
  }

  close(): void {
    this.#closing.abort();
    this.#hurry();
    this.#waiting.abort();
    this.#alone?.close();
    this.#role?.close();
    this.#role = undefined;
    this.#release();
    this.#channel?.close();
    this.#changed('closed');
  }

  async #start(): Promise<void> {
    const { credentials, tabs } = this.#deps;
    if (credentials.userId === undefined) await this.#askUser();
    if (this.#closing.signal.aborted) return;
    if (credentials.userId === undefined) {
      this.#alone = this.#deps.open(this.#listener);
      return this.#alone.start();
    }
    this.#channel = tabs.channel(this.#key, (message) => this.#heard(message));
    const living = Promise.withResolvers<void>();
    const alive = Promise.withResolvers<void>();
    this.#closing.signal.addEventListener('abort', () => living.resolve());
    const hold = (): Promise<void> => {
      alive.resolve();
      return living.promise;
    };
    tabs.lock(this.#lockOf(tabs.id), {}, hold).catch(() => alive.resolve());
    await alive.promise;
    this.#follow();
  }

  /** Until there is a token, or it is refused: a tab that went alone would stay so for good. */
  async #askUser(): Promise<void> {
    const { credentials, environment } = this.#deps;
    for (let failures = 1; !this.#closing.signal.aborted; failures += 1) {
      try {
        await withinTime(environment, tokenMs, credentials.token());
        return;
      } catch (thrown) {
        if (thrown instanceof SynapClientError) return;
        this.#listener.onError(toError(thrown));
        this.#changed(failures > defaultReconnect.attempts ? 'offline' : 'connecting');
        await this.#pause(delayBefore(failures, defaultReconnect, environment.random()));
      }
    }
  }

  /** Less where somebody asks to connect, or the page wakes. */
  async #pause(delayMs: number): Promise<void> {
    const { after, onWake } = this.#deps.environment;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#hurry = resolve;
    if (this.#closing.signal.aborted) resolve();
    const ends = [after(delayMs, resolve), onWake((wake) => wake !== 'offline' && resolve())];
    await promise;
    for (const end of ends) end();
  }

  get #key(): string {
    return `synap:${this.#deps.base}:${this.#deps.credentials.userId}`;
  }

  #lockOf(tab: string): string {
    return `${this.#key}:${tab}`;
  }

  #follow(): void {
    if (this.#closing.signal.aborted) return;
    const follower: Follower = new Follower(
      {
        id: this.#deps.tabs.id,
        environment: this.#deps.environment,
        post: (message) => this.#post(message),
        onSilence: () => this.#role === follower && this.#want({ steal: true }),
      },
      this.#listener,
    );
    this.#role = follower;
    this.#want({});
    follower.start();
  }

  /** Leads from when the lock is granted until it is taken away or given back. */
  #want({ steal = false }): void {
    this.#waiting.abort();
    this.#waiting = new AbortController();
    const { signal } = this.#waiting;
    const options = steal ? { steal } : { signal };
    this.#deps.tabs
      .lock(this.#key, options, () => this.#lead())
      .catch(() => {
        // Aborted by ourselves, or stolen: another tab leads.
        if (signal.aborted || this.#closing.signal.aborted) return;
        if (this.#role instanceof Leader) this.#role.depose();
        this.#follow();
      });
  }

  #lead(): Promise<void> {
    if (this.#closing.signal.aborted) return Promise.resolve();
    const released = Promise.withResolvers<void>();
    this.#release = released.resolve;
    this.#role?.close();
    const { tabs, open } = this.#deps;
    const lockOf = (tab: string) => this.#lockOf(tab);
    const leader = new Leader({ tabs, lockOf, open, post: (message) => this.#post(message) }, this.#listener);
    this.#role = leader;
    leader.start();
    return released.promise;
  }

  #heard(message: TabMessage): void {
    const { from } = message;
    const isRequest = ['hello', 'reconnect', 'call', 'tell'].includes(message.kind);
    if (this.#role instanceof Leader && isRequest) this.#role.heard(from, message as TabRequest);
    if (this.#role instanceof Follower && !isRequest) this.#role.heard(from, message as LeaderMessage);
  }

  #post(message: TabRequest | LeaderMessage): void {
    this.#channel?.post(message);
  }

  #changed(given: ConnectionState): void {
    // Another leader's first connection is not the first one here.
    const state = given === 'connecting' && this.#wasConnected ? 'reconnecting' : given;
    if (state === this.#state || this.#state === 'closed') return;
    // The end of a leader's own connection is not the end of this link.
    if (state === 'closed' && !this.#closing.signal.aborted) return;
    this.#state = state;
    this.#wasConnected ||= state === 'connected';
    if (state === 'signed-out' && this.#role instanceof Leader) {
      const leader = this.#role;
      this.#role = undefined;
      leader.close();
      this.#release();
    }
    this.#say(state);
  }
}
