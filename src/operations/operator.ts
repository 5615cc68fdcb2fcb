import { AsyncLocalStorage } from 'node:async_hooks';

const storage = new AsyncLocalStorage<string>();

/** Bull Board calls its queues without telling them who pressed the button; this does. */
export const asOperator = <T>(name: string, fn: () => T): T => storage.run(name, fn);

/** @throws TypeError outside a signed-in operator's request: nothing may act anonymously. */
export function currentOperator(): string {
  const name = storage.getStore();
  if (name === undefined) throw new TypeError('there is no operator here');
  return name;
}
