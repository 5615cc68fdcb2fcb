import type { Clock } from '../platform/clock.js';
import { SynapError } from '../platform/errors.js';

export interface StepLimitOptions {
  readonly name: string;
  /** Undefined: as long as the attempt. */
  readonly timeoutMs: number | undefined;
  /** The attempt's own signal, and its rejection. */
  readonly signal: AbortSignal;
  readonly aborted: Promise<never>;
  readonly clock: Clock;
}

/** When one step must end: with its own time or with the attempt, whichever comes first. */
export class StepLimit implements Disposable {
  readonly signal: AbortSignal;
  /** Rejects with what ended it: `step_timeout`, or the attempt's reason. */
  readonly over: Promise<never>;
  readonly #undo = new DisposableStack();

  constructor({ name, timeoutMs, signal, aborted, clock }: StepLimitOptions) {
    if (timeoutMs === undefined) {
      this.signal = signal;
      this.over = aborted;
      return;
    }
    const own = new AbortController();
    const { promise, reject } = Promise.withResolvers<never>();
    const end = (reason: Error): void => {
      reject(reason);
      own.abort(reason);
    };
    const onAbort = (): void => end(signal.reason as Error);
    signal.addEventListener('abort', onAbort, { once: true });
    this.#undo.defer(() => signal.removeEventListener('abort', onAbort));
    this.#undo.defer(
      clock.after(timeoutMs, () =>
        end(new SynapError('step_timeout', `step "${name}" took longer than ${timeoutMs} ms`)),
      ),
    );
    // A step that ended in time leaves nobody waiting.
    promise.catch(() => undefined);
    this.signal = own.signal;
    this.over = promise;
  }

  [Symbol.dispose](): void {
    this.#undo.dispose();
  }
}
