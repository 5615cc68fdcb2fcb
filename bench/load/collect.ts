import { writeFileSync } from 'node:fs';
import { given } from './answers.ts';

/**
 * Loaded before a measured program (`--import`, with `--expose-gc`): at a signal it throws away what nobody holds any more and says
 * what is left, so that memory is of connections and not of how long ago the collector came by.
 */
const file = `${given('MEMORY_FILE')}.${process.pid}`;
process.on('SIGUSR2', () => {
  globalThis.gc?.();
  globalThis.gc?.();
  writeFileSync(file, JSON.stringify({ at: Date.now(), ...process.memoryUsage() }));
});
