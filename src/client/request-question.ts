import { delayBefore } from './backoff.js';
import { SynapClientError } from './errors.js';
import { isLater, type TryLater } from './http.js';
import type { RequestView } from './request-view.js';

export interface QuestionDeps {
  /** `GET /v1/requests/:requestId`. @throws SynapClientError where it is refused */
  readonly ask: () => Promise<RequestView | TryLater>;
  readonly after: (delayMs: number, run: () => void) => () => void;
  readonly random: () => number;
  readonly onAsking: () => void;
  readonly onAnswer: (view: RequestView) => void;
  /** There is no such request, not yet or not any more. */
  readonly onMissing: () => void;
  readonly onError: (thrown: unknown) => void;
}

/** What a request with many events that tell of themselves may ask. */
const spacingMs = 1_000;
/** Nothing is heard so soon of what nobody has posted. */
const graceMs = 3_000;
/** A token may be renewed without a new connection. */
const refusedMs = 60_000;
const backoff = { attempts: 1e9, delayMs: 1_000, maxDelayMs: 30_000, slowRetryMs: 30_000 };

/** Asks the server how a request stands: one question at a time, repeated until it is answered. */
export class RequestQuestion {
  readonly #deps: QuestionDeps;
  /** A question that is taken back, by a newer one or by `stop`, is not heard when its answer comes. */
  #turn = 0;
  #isOpen = false;
  #isAsking = false;
  /** It was stopped while it wanted an answer. */
  #isOwed = false;
  #failures = 0;
  #cancel: (() => void) | undefined;
  #cancelLater: () => void = () => undefined;

  constructor(deps: QuestionDeps) {
    this.#deps = deps;
  }

  /** Soon: what arrives in this turn of the event loop is heard before the question. */
  want(): void {
    if (this.#isOpen) return;
    this.#isOpen = true;
    this.#failures = 0;
    // One that has just been answered is followed by another only after a while.
    if (this.#cancel === undefined) queueMicrotask(() => void this.#ask());
  }

  /**
   * In a while, if it is wanted then. Most rooms are entered a moment before their request is posted: asked at once there would be
   * nothing to tell, and a browser's console shows each 404 as an error.
   */
  wantInAWhile(isWanted: () => boolean): void {
    this.#cancelLater();
    this.#cancelLater = this.#deps.after(graceMs, () => {
      if (isWanted()) this.want();
    });
  }

  /** What an answer that is under way says does not count any more. */
  again(): void {
    this.#takeBack();
    this.want();
  }

  /** There is a connection again, and maybe another token: now, and not when the back-off would have come to it. */
  hurry(): void {
    if (!this.#isOpen || this.#isAsking) return;
    this.#takeBack();
    this.want();
  }

  stop(): void {
    this.#cancelLater();
    this.#isOwed ||= this.#isOpen;
    this.#takeBack();
  }

  /** After `stop`: what was not answered then is asked now. */
  resume(): void {
    if (!this.#isOwed) return;
    this.#isOwed = false;
    this.want();
  }

  #takeBack(): void {
    this.#turn += 1;
    this.#isOpen = false;
    this.#isAsking = false;
    this.#cancel?.();
    this.#cancel = undefined;
  }

  async #ask(): Promise<void> {
    if (!this.#isOpen || this.#isAsking) return;
    const turn = this.#turn;
    this.#isAsking = true;
    this.#deps.onAsking();
    try {
      const answer = await this.#deps.ask();
      if (turn === this.#turn) this.#answered(answer);
    } catch (thrown) {
      if (turn === this.#turn) this.#refused(thrown);
    }
  }

  #answered(answer: RequestView | TryLater): void {
    this.#isAsking = false;
    if (isLater(answer)) {
      this.#failures += 1;
      const ownMs = delayBefore(this.#failures, backoff, this.#deps.random());
      return this.#askIn(Math.max(ownMs, answer.afterMs ?? 0));
    }
    this.#isOpen = false;
    this.#askIn(spacingMs);
    this.#deps.onAnswer(answer);
  }

  /** One that does not exist yet is asked after again with what is heard of it; after any other refusal with the next connection, or in a while. */
  #refused(thrown: unknown): void {
    this.#isAsking = false;
    if (thrown instanceof SynapClientError && thrown.status === 404) {
      this.#isOpen = false;
      this.#askIn(spacingMs);
      this.#deps.onMissing();
    } else {
      this.#deps.onError(thrown);
      this.#askIn(refusedMs);
    }
  }

  #askIn(delayMs: number): void {
    this.#cancel = this.#deps.after(delayMs, () => {
      this.#cancel = undefined;
      void this.#ask();
    });
  }
}
