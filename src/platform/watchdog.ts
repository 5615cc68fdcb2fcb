import inspector from 'node:inspector';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { toError } from './errors.js';
import type { Logger } from './logger.js';

export interface Watchdog {
  stop(): Promise<void>;
}

/**
 * Ends this process when its event loop was blocked for `timeoutMs` (a handler that never yields): nothing in it can be
 * reached any more, its locks run out, and its jobs must become free for others. Only a thread can see that, so one watches a
 * counter that the event loop raises. Not while a debugger is attached.
 */
export function startWatchdog(timeoutMs: number, logger: Logger): Watchdog {
  const everyMs = Math.min(500, Math.max(25, Math.round(timeoutMs / 20)));
  const shared = new SharedArrayBuffer(8);
  const cells = new Int32Array(shared);
  const beat = (): void => {
    Atomics.store(cells, 1, inspector.url() === undefined ? 0 : 1);
    Atomics.add(cells, 0, 1);
  };
  const timer = setInterval(beat, everyMs);
  timer.unref();
  const here = fileURLToPath(import.meta.url);
  const thread = new Worker(path.join(path.dirname(here), `watchdog-thread${path.extname(here)}`), {
    workerData: { shared, everyMs, timeoutMs },
    resourceLimits: { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 1 },
    name: 'watchdog',
    // Those of the process are for the program: preloads, an inspector.
    execArgv: [],
  });
  thread.on('error', (thrown: unknown) => logger.error({ err: toError(thrown) }, 'the watchdog is gone'));
  thread.unref();
  return {
    async stop() {
      clearInterval(timer);
      await thread.terminate();
    },
  };
}
