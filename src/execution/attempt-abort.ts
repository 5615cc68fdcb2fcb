import type { Clock } from '../platform/clock.js';
import { AttemptAborted } from './outcome.js';

/** The signal of one attempt: lost lock or fence, cancellation, shutdown or timeout, whichever comes first; undone when the attempt ends. */
export class AttemptAbort implements Disposable {
  readonly #controller = new AbortController();
  readonly #undo = new DisposableStack();
  readonly #aborted = Promise.withResolvers<never>();

  constructor(lock: AbortSignal, shutdown: AbortSignal, timeoutMs: number, clock: Clock) {
    // Aborting with nobody waiting any more is no error.
    this.#aborted.promise.catch(() => undefined);
    this.#follow(lock, () => new AttemptAborted('lock_lost', 'the queue lost its lock on this job'));
    this.#follow(shutdown, () => new AttemptAborted('shutdown', 'this worker is shutting down'));
    this.#undo.defer(
      clock.after(timeoutMs, () => this.abort(new AttemptAborted('timeout', `it took longer than ${timeoutMs} ms`))),
    );
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Rejects with the reason. */
  get aborted(): Promise<never> {
    return this.#aborted.promise;
  }

  #follow(signal: AbortSignal, reason: () => AttemptAborted): void {
    const onAbort = () => this.abort(signal.reason instanceof AttemptAborted ? signal.reason : reason());
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort);
    this.#undo.defer(() => signal.removeEventListener('abort', onAbort));
  }

  /** The first reason counts. */
  readonly abort = (reason: AttemptAborted): void => {
    // First, or a handler whose client ends within the signal's own turn would seem to have failed.
    this.#aborted.reject(reason);
    this.#controller.abort(reason);
  };

  [Symbol.dispose](): void {
    this.#undo.dispose();
  }
}
