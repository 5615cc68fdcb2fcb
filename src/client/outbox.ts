import { delayBefore } from './backoff.js';
import type { Credentials } from './credentials.js';
import type { Environment } from './environment.js';
import { Value } from './emitter.js';
import { closedError, SynapClientError } from './errors.js';
import { eventIdOf } from './event-id.js';
import { isLater, type Http, type TryLater } from './http.js';
import { KeptEvents, type Unsent } from './kept-events.js';
import type { Accepted } from './types.js';

interface Entry {
  readonly event: Unsent;
  readonly chars: number;
  /** Whoever called `send`; nobody where it was left by an earlier page. */
  readonly caller?: PromiseWithResolvers<Accepted>;
}

export interface OutboxDeps {
  readonly http: Http;
  readonly credentials: Credentials;
  readonly environment: Environment;
  /** Whether Synap itself can be heard at the moment, over whatever connection. */
  readonly isConnected: () => boolean;
  /** Resolves when the event may be posted: its room is heard, or cannot be at the moment. */
  readonly prepare: (event: Unsent) => Promise<void>;
  readonly onAccepted: (event: Unsent) => void;
  readonly onRefused: (event: Unsent, error: SynapClientError, isOurs: boolean) => void;
  readonly onError: (thrown: unknown) => void;
}

const backoff = { attempts: 1e9, delayMs: 1_000, maxDelayMs: 30_000, slowRetryMs: 30_000 };
/** A new sign-in is told by a connection; this is for a token that is good again without one. */
const signedOutMs = 60_000;
/** So long an event is tried while Synap can be heard and somebody between refuses to let it through. */
const blockedMs = 300_000;
/** What fits into a browser's storage several times over: nothing is taken that a reload would lose. */
const maxUnsent = 100;
const maxUnsentChars = 1_000_000;

/** Posts events in the order in which they were sent, one at a time, each until it is answered. */
export class Outbox {
  readonly #deps: OutboxDeps;
  readonly #entries: Entry[] = [];
  readonly #isClosed = new AbortController();
  #isPosting = false;
  #kept: KeptEvents | undefined;
  #wake = () => {};
  /** Since the attempt that is under way has begun: the pause after it is not made. */
  #isHurried = false;
  readonly unsent: Value<number>;
  readonly held: Value<SynapClientError | undefined>;

  constructor(deps: OutboxDeps) {
    this.#deps = deps;
    this.unsent = new Value(0, deps.onError);
    this.held = new Value<SynapClientError | undefined>(undefined, deps.onError);
  }

  send(given: Unsent): Promise<Accepted> {
    const caller = Promise.withResolvers<Accepted>();
    if (this.#isClosed.signal.aborted) return Promise.reject(closedError());
    try {
      const entry = { ...this.#admitted(given), caller };
      this.#entries.push(entry);
      this.#kept?.add(entry.event);
      this.#changed();
      void this.#run();
    } catch (thrown) {
      this.#refuse({ event: given, caller }, thrown);
    }
    return caller.promise;
  }

  /** As soon as the user is known: keeps what there is, and takes what an earlier page of theirs left. */
  restore(): void {
    const { environment, credentials, onError } = this.#deps;
    if (this.#kept !== undefined || credentials.userId === undefined) return;
    const kept = new KeptEvents(environment.storage, credentials.userId, onError);
    const left = kept.all();
    const own = this.#entries.filter(({ event }) => !kept.has(event));
    this.#kept = kept;
    for (const { event } of own) kept.add(event);
    const known = new Set(this.#entries.map(({ event }) => this.#idOf(event)));
    for (const event of left)
      if (!known.has(this.#idOf(event))) this.#entries.push({ event, chars: JSON.stringify(event).length });
    this.#changed();
    void this.#run();
  }

  /** Now, and not when the back-off would have come to it. */
  hurry(): void {
    this.#isHurried = true;
    this.#wake();
  }

  /** What is unsent stays kept for the next page of this user. */
  close(): void {
    this.#isClosed.abort();
    this.#wake();
    for (const { caller } of this.#entries.splice(0)) caller?.reject(closedError());
  }

  async #run(): Promise<void> {
    if (this.#isPosting) return;
    this.#isPosting = true;
    for (let entry = this.#entries[0]; entry !== undefined; entry = this.#entries[0]) {
      await this.#post(entry);
      if (this.#isClosed.signal.aborted) return;
      this.held.set(undefined);
      this.#entries.splice(this.#entries.indexOf(entry), 1);
      this.#kept?.remove(entry.event);
      this.#changed();
    }
    this.#isPosting = false;
  }

  async #post(entry: Entry): Promise<void> {
    try {
      await this.#deps.prepare(entry.event);
      const accepted = await this.#untilAnswered(entry.event);
      if (accepted === undefined) return;
      this.#deps.onAccepted(entry.event);
      entry.caller?.resolve(accepted);
    } catch (thrown) {
      this.#refuse(entry, thrown);
    }
  }

  /** Undefined after `close`. @throws SynapClientError where the event is refused, or blocked for too long */
  async #untilAnswered(event: Unsent): Promise<Accepted | undefined> {
    let blocked: { readonly forMs: number; readonly at: number } | undefined;
    for (let attempt = 1; !this.#isClosed.signal.aborted; attempt += 1) {
      this.#isHurried = false;
      const answer = await this.#attempt(event);
      if (!isLater(answer)) return answer;
      const { isConnected, environment } = this.#deps;
      // Who cannot hear Synap at all is behind a portal, and what it says is no word on this event.
      const at = environment.now();
      // Of a pause in which the device slept only as much counts as a pause can last.
      const sinceMs = blocked === undefined ? 0 : Math.min(at - blocked.at, backoff.maxDelayMs);
      blocked = isRefusal(answer) && isConnected() ? { forMs: (blocked?.forMs ?? 0) + sinceMs, at } : undefined;
      if (blocked !== undefined && blocked.forMs >= blockedMs) throw heldBy(answer);
      const ownMs = delayBefore(attempt, backoff, this.#deps.environment.random());
      await this.#pause(Math.max(ownMs, answer.afterMs ?? 0));
    }
    return undefined;
  }

  /** A refused token says nothing of the event: it waits for its user. @throws SynapClientError where the event is refused */
  async #attempt(event: Unsent): Promise<Accepted | TryLater> {
    try {
      const { http } = this.#deps;
      const answer = await http.attempt<Accepted>('/v1/events', () => this.#posting(event), isAcceptance);
      if (isLater(answer)) this.#hold(heldBy(answer));
      return answer;
    } catch (thrown) {
      if (!isOfToken(thrown)) throw thrown;
      this.#deps.onError(thrown);
      this.#hold(thrown);
      return { isLater: true, afterMs: signedOutMs, why: 'busy', status: 401 };
    }
  }

  /**
   * The event's own id makes repeating safe, for ever: a lost answer is not a second event. As Idempotency-Key too, so that a repetition
   * within a day is answered even where a deploy in between reads the same data otherwise.
   */
  #posting(event: Unsent): RequestInit {
    const eventId = this.#idOf(event);
    return {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', 'Idempotency-Key': eventId },
      body: JSON.stringify({ ...event, eventId }),
    };
  }

  #idOf(event: Unsent): string {
    return eventIdOf(this.#deps.credentials.userId, event);
  }

  /** As it is now, whatever its caller does to it later. @throws SynapClientError not_json, outbox_full */
  #admitted(given: Unsent): Pick<Entry, 'event' | 'chars'> {
    const text = textOf(given);
    const chars = this.#entries.reduce((sum, entry) => sum + entry.chars, text.length);
    if (this.#entries.length >= maxUnsent || (this.#entries.length > 0 && chars > maxUnsentChars))
      throw new SynapClientError('outbox_full', 'Too much is unsent: try again when Synap can be reached.');
    return { event: JSON.parse(text) as Unsent, chars: text.length };
  }

  #refuse({ event, caller }: Pick<Entry, 'event' | 'caller'>, thrown: unknown): void {
    const error = thrown instanceof SynapClientError ? thrown : new SynapClientError('unknown', String(thrown));
    this.#deps.onRefused(event, error, caller !== undefined);
    caller?.reject(error);
  }

  #hold(reason: SynapClientError): void {
    const known = this.held.get();
    if (known?.code !== reason.code || known.status !== reason.status) this.held.set(reason);
  }

  #pause(delayMs: number): Promise<void> {
    if (this.#isHurried || this.#isClosed.signal.aborted) return Promise.resolve();
    const { promise, resolve } = Promise.withResolvers<void>();
    const cancel = this.#deps.environment.after(delayMs, resolve);
    this.#wake = () => {
      cancel();
      resolve();
    };
    return promise;
  }

  #changed(): void {
    this.unsent.set(this.#entries.length);
  }
}

function textOf(event: Unsent): string {
  try {
    return JSON.stringify(event);
  } catch (thrown) {
    throw new SynapClientError('not_json', `The event cannot be sent as JSON: ${String(thrown)}`);
  }
}

/** Not of a status that may be an answer to something else, such as a portal's 200, or of one that asks for a repetition. */
const isRefusal = ({ why, status }: TryLater): boolean => why === 'foreign' && status >= 400;

const reasons: Readonly<Record<TryLater['why'], readonly [code: string, message: string]>> = {
  unreachable: ['unreachable', 'Synap cannot be reached.'],
  busy: ['unavailable', 'Synap asks to be tried again later.'],
  foreign: ['blocked', 'Somebody between this client and Synap has answered in its place.'],
};

function heldBy({ why, status }: TryLater): SynapClientError {
  const [code, message] = reasons[why];
  return new SynapClientError(code, message, { status });
}

const isOfToken = (thrown: unknown): thrown is SynapClientError =>
  thrown instanceof SynapClientError && (thrown.status === 401 || thrown.code === 'user_changed');

/** The 202's shape: anybody between may answer 200. */
function isAcceptance(body: unknown): boolean {
  const { eventId, requestId } = (body ?? {}) as { readonly [name: string]: unknown };
  return typeof eventId === 'string' && typeof requestId === 'string';
}
