import { writeSync } from 'node:fs';
import { workerData } from 'node:worker_threads';

/**
 * The other side of watchdog.ts, in a thread of its own. It adds up its own ticks and not the time of a clock, and none of
 * them counts for more than two: while the whole process stood still (SIGSTOP, a laptop asleep, a paused VM) so did the
 * thread, and nothing is held against the event loop.
 */
const { shared, everyMs, timeoutMs } = workerData as {
  readonly shared: SharedArrayBuffer;
  readonly everyMs: number;
  readonly timeoutMs: number;
};
const [beats, isDebugged] = [0, 1];
const cells = new Int32Array(shared);
let seen = Atomics.load(cells, beats);
let blockedMs = 0;
let lastTickAt = performance.now();

setInterval(() => {
  const now = performance.now();
  const tickMs = Math.min(now - lastTickAt, 2 * everyMs);
  lastTickAt = now;
  const current = Atomics.load(cells, beats);
  if (current !== seen || Atomics.load(cells, isDebugged) === 1) {
    seen = current;
    blockedMs = 0;
    return;
  }
  blockedMs += tickMs;
  if (blockedMs > timeoutMs) end();
}, everyMs);

/** Written without the main thread, whose logger cannot run. */
function end(): void {
  const msg = `the event loop was blocked for ${timeoutMs} ms: the watchdog ends this process`;
  const line = { level: 60, time: Date.now(), pid: process.pid, timeoutMs, msg };
  try {
    writeSync(2, `${JSON.stringify(line)}\n`);
  } finally {
    process.kill(process.pid, 'SIGKILL');
  }
}
