import { AsyncLocalStorage } from 'node:async_hooks';

/** What every log line inside one HTTP call or one attempt carries. */
export interface Context {
  readonly httpRequestId?: string;
  readonly requestId?: string;
  readonly correlationId?: string;
  readonly eventId?: string;
  readonly attempt?: number;
}

const storage = new AsyncLocalStorage<Context>();

export const currentContext = (): Context | undefined => storage.getStore();

/** Runs `fn` with `context` added to what is already there. */
export function withContext<T>(context: Context, fn: () => T): T {
  return storage.run({ ...storage.getStore(), ...context }, fn);
}

/** `fn` as it would run here, whoever calls it later. */
export function inThisContext<Args extends unknown[]>(fn: (...args: Args) => void): (...args: Args) => void {
  const context = storage.getStore();
  return context === undefined ? fn : (...args) => storage.run(context, fn, ...args);
}
