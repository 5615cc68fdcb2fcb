import { delayBefore } from './backoff.js';
import type { Credentials } from './credentials.js';
import type { Environment } from './environment.js';
import { Value } from './emitter.js';
import { closedError, SynapClientError } from './errors.js';
import { isLater, type Http } from './http.js';
import { KeptEvents, type Unsent } from './kept-events.js';
import type { Accepted } from './types.js';

interface Entry {
  readonly event: Unsent;
  /** Whoever called `send`; nobody where it was left by an earlier page. */
  readonly caller?: PromiseWithResolvers<Accepted>;
}

export interface OutboxDeps {
  readonly http: Http;
  readonly credentials: Credentials;
  readonly environment: Environment;
  /** Resolves when the event may be posted: its room is heard, or cannot be at the moment. */
  readonly prepare: (event: Unsent) => Promise<void>;
  readonly onAccepted: (event: Unsent) => void;
  readonly onRefused: (event: Unsent, error: SynapClientError, isOurs: boolean) => void;
  readonly onError: (thrown: unknown) => void;
}

const backoff = { attempts: 1e9, delayMs: 1_000, maxDelayMs: 30_000, slowRetryMs: 30_000 };
/** Posts events in the order in which they were sent, one at a time, each until it is answered. */
export class Outbox {
  readonly #deps: OutboxDeps;
  readonly #entries: Entry[] = [];
  readonly #isClosed = new AbortController();
  #isPosting = false;
  #kept: KeptEvents | undefined;
  #wake = () => {};
  readonly unsent: Value<number>;

  constructor(deps: OutboxDeps) {
    this.#deps = deps;
    this.unsent = new Value(0, deps.onError);
  }

  send(event: Unsent): Promise<Accepted> {
    const caller = Promise.withResolvers<Accepted>();
    if (this.#isClosed.signal.aborted) return Promise.reject(closedError());
    this.#entries.push({ event, caller });
    this.#kept?.add(event);
    this.#changed();
    void this.#run();
    return caller.promise;
  }

  /** Once the user is known: keeps what there is, and takes what an earlier page of theirs left. */
  restore(): void {
    const { environment, credentials, onError } = this.#deps;
    if (this.#kept !== undefined || credentials.userId === undefined) return;
    this.#kept = new KeptEvents(environment.storage, credentials.userId, onError);
    const known = new Set(this.#entries.map(({ event }) => event.requestId));
    const left = this.#kept.all().filter(({ requestId }) => !known.has(requestId));
    for (const { event } of this.#entries) this.#kept.add(event);
    this.#entries.push(...left.map((event) => ({ event })));
    this.#changed();
    void this.#run();
  }

  /** Now, and not when the back-off would have come to it. */
  hurry(): void {
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
      this.#entries.splice(this.#entries.indexOf(entry), 1);
      this.#kept?.remove(entry.event.requestId);
      this.#changed();
    }
    this.#isPosting = false;
  }

  async #post({ event, caller }: Entry): Promise<void> {
    try {
      await this.#deps.prepare(event);
      const accepted = await this.#untilAnswered(event);
      if (accepted === undefined) return;
      this.#deps.onAccepted(event);
      caller?.resolve(accepted);
    } catch (thrown) {
      const error = thrown instanceof SynapClientError ? thrown : new SynapClientError('unknown', String(thrown));
      this.#deps.onRefused(event, error, caller !== undefined);
      caller?.reject(error);
    }
  }

  /** The request id as Idempotency-Key makes repeating safe: a lost answer is not a second event. Undefined after `close`. */
  async #untilAnswered(event: Unsent): Promise<Accepted | undefined> {
    const init = {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', 'Idempotency-Key': event.requestId },
      body: JSON.stringify(event),
    };
    for (let attempt = 1; !this.#isClosed.signal.aborted; attempt += 1) {
      const answer = await this.#deps.http.attempt<Accepted>('/v1/events', init);
      if (!isLater(answer)) return answer;
      const ownMs = delayBefore(attempt, backoff, this.#deps.environment.random());
      await this.#pause(Math.max(ownMs, answer.afterMs ?? 0));
    }
    return undefined;
  }

  #pause(delayMs: number): Promise<void> {
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
