import type { Pong, RoomHead, Subscribed, WireDelta, WireNotification, WireProgress } from '../realtime/contract.js';
import { Audience } from './audience.js';
import { Deltas, type DeltaOutcome } from './deltas.js';
import type { Environment } from './environment.js';
import { SynapClientError } from './errors.js';
import type { Link } from './link.js';
import { RoomLog, type Outcome } from './room-log.js';
import { ConnectionLost } from './session.js';
import type { RoomListeners } from './types.js';

export interface RoomDeps {
  readonly link: () => Pick<Link, 'call' | 'tell'>;
  readonly environment: Environment;
  readonly acknowledges: boolean;
  /** Before the room's listeners: the client's own. */
  readonly onNotification: (notification: WireNotification) => void;
  readonly onError: (thrown: unknown) => void;
  /** The server will not have this client in the room. */
  readonly onRefused: (error: SynapClientError) => void;
}

const acknowledgeMs = 1_000;
const retryMs = 2_000;
/** A text with a hole is asked for again, but not with each piece that comes behind the hole. */
const healMs = 1_000;
const longestHealMs = 30_000;
const nowhere: RoomHead = { epoch: null, seq: 0 };
/** A place among the rooms of a connection is free again when another is left. */
const temporary: readonly unknown[] = ['unavailable', 'rate_limited', 'draining', 'too_many_subscriptions'];

/** One room, over all connections: its order, its texts, and whoever listens to it. */
export class Room {
  readonly #name: string;
  readonly #deps: RoomDeps;
  #log: RoomLog;
  readonly #deltas = new Deltas();
  readonly #audience: Audience;
  readonly #ready = Promise.withResolvers<RoomHead>();
  #isWanted = false;
  /** Whether the server gives the text so far, and how often in vain. */
  #givesTexts = false;
  #heals = 0;
  #isJoining = false;
  #hasLeft = false;
  /** The last that was given to listeners, and the last that the server was told of. */
  #applied: RoomHead | undefined;
  #acknowledged: RoomHead | undefined;
  readonly #cancels = new Map<string, () => void>();

  constructor(name: string, start: RoomHead | undefined, deps: RoomDeps) {
    this.#name = name;
    this.#deps = deps;
    this.#log = new RoomLog(start);
    this.#audience = new Audience(deps.onError);
    // Nobody may be waiting for it when it is refused.
    this.#ready.promise.catch(() => undefined);
  }

  get ready(): Promise<RoomHead> {
    return this.#ready.promise;
  }

  /** Nobody listens but the client itself. */
  get isEmpty(): boolean {
    return this.#audience.size === 0;
  }

  /**
   * @param start undefined: from now on. One that lies before the room's own place takes the room back; the others hear nothing twice.
   * @returns what ends it
   */
  listen(listeners: RoomListeners, start: RoomHead | undefined): () => void {
    const end = this.#audience.add(listeners, start, this.#log.isNew ? undefined : this.#log.head);
    if (start !== undefined && this.#log.isBeyond(start)) {
      this.#log = new RoomLog(start);
      this.join();
    } else if (!this.#log.isNew) this.#audience.answered(this.#log.head ?? start ?? nowhere, undefined);
    return end;
  }

  /** Subscribes, or again. One join at a time: a wish that comes while one is under way is granted after it. */
  join(): void {
    this.#log.joining();
    this.#deltas.joining();
    this.#isWanted = true;
    if (!this.#isJoining) void this.#joinWhileWanted();
  }

  leave(error?: SynapClientError): void {
    this.#hasLeft = true;
    for (const cancel of this.#cancels.values()) cancel();
    this.#ready.reject(error ?? new SynapClientError('unsubscribed', 'The subscription was ended.'));
    if (error === undefined) this.#deps.link().tell('unsubscribe', { room: this.#name });
  }

  notified(notification: WireNotification): void {
    this.#apply(this.#log.live(notification));
  }

  progressed(progress: WireProgress): void {
    this.#audience.each(({ onProgress }) => onProgress?.(progress));
  }

  streamed(delta: WireDelta): void {
    this.#show(this.#deltas.add(delta));
  }

  compare(heads: Pong['heads']): void {
    const newest = heads[this.#name];
    if (newest !== undefined && this.#log.isBehind(newest)) this.join();
  }

  async #joinWhileWanted(): Promise<void> {
    this.#isJoining = true;
    try {
      while (this.#isWanted && !this.#hasLeft) {
        this.#isWanted = false;
        await this.#joinOnce();
      }
    } catch (thrown) {
      // Cut off before the answer: the next connection subscribes again, from the same place.
      if (!(thrown instanceof ConnectionLost)) this.#deps.onError(thrown);
    } finally {
      this.#isJoining = false;
    }
    // Asked for in the turn in which the connection was lost, thus for the next one.
    if (this.#isWanted && !this.#hasLeft) void this.#joinWhileWanted();
  }

  async #joinOnce(): Promise<void> {
    const log = this.#log;
    const { since } = log;
    const request = { room: this.#name, paged: true, ...(since && { since }) };
    const answer = await this.#deps.link().call('subscribe', request);
    if (this.#hasLeft) return;
    // The room was taken back meanwhile, and is joined again: this answer begins behind what is wanted now.
    if (log !== this.#log) return;
    if (answer.ok) return this.#joined(answer);
    if (temporary.includes(answer.code)) return this.#later('join', retryMs, () => this.join());
    this.#deps.onRefused(new SynapClientError(answer.code, answer.message));
  }

  #joined(answer: Subscribed): void {
    const { epoch, seq } = answer;
    const outcome = this.#log.joined(answer);
    this.#audience.answered({ epoch, seq }, outcome.reset === 'first' ? undefined : outcome.reset);
    this.#apply(outcome);
    // Behind the notifications: what they have ended is not shown again.
    this.#givesTexts = answer.streams !== undefined;
    if (answer.hasMore !== true) this.#show(this.#deltas.joined(answer.streams ?? []));
    this.#acknowledged = undefined;
    this.#acknowledgeSoon();
    this.#ready.resolve({ epoch, seq });
  }

  #apply({ apply, resync }: Outcome): void {
    for (const notification of apply) {
      this.#deltas.end(notification);
      this.#applied = { epoch: notification.epoch, seq: notification.seq };
      this.#deps.onNotification(notification);
      this.#audience.notify(notification);
    }
    if (apply.length > 0) this.#acknowledgeSoon();
    if (resync) this.join();
  }

  #show({ texts, hasGap }: DeltaOutcome): void {
    for (const text of texts) this.#audience.each(({ onText }) => onText?.(text));
    if (texts.length > 0) this.#heals = 0;
    if (hasGap && this.#givesTexts) this.#heal();
  }

  #heal(): void {
    this.#later('heal', Math.min(longestHealMs, healMs * 2 ** this.#heals), () => {
      this.#heals += 1;
      this.join();
    });
  }

  #acknowledgeSoon(): void {
    if (this.#deps.acknowledges) this.#later('acknowledge', acknowledgeMs, () => this.#acknowledge());
  }

  /** Up to what has reached this device. One that is lost is said again after the next answer. */
  #acknowledge(): void {
    const { epoch, seq } = this.#applied ?? nowhere;
    if (epoch === null || (epoch === this.#acknowledged?.epoch && seq <= this.#acknowledged.seq)) return;
    this.#acknowledged = { epoch, seq };
    this.#deps.link().tell('acknowledge', { room: this.#name, epoch, delivered: seq });
  }

  /** Once, however often it is asked for in the meantime. */
  #later(what: string, delayMs: number, run: () => void): void {
    if (this.#cancels.has(what)) return;
    const cancel = this.#deps.environment.after(delayMs, () => {
      this.#cancels.delete(what);
      run();
    });
    this.#cancels.set(what, cancel);
  }
}
