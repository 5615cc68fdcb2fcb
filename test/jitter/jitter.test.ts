import { expect, test } from '@jest/globals';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { watchChild } from '../support/children.js';
import type { Outcome } from './run.js';

const withinMs = 170_000;
/** A short `npm run jitter`, always the same. Beside other tests only what is right can be asked, not how fast. */
const short = ['--json', '--seed', '1', '--clients', '30', '--seconds', '10', '--settle', '60'];

test(
  'every client has every notification of its rooms, in order and once, through cuts, killed replicas and a lost Redis; plain Socket.IO has not',
  async () => {
    const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', 'test/jitter/main.ts', ...short], {
      stdio: ['ignore', 'pipe', 'inherit'],
      signal: AbortSignal.timeout(withinMs - 10_000),
      killSignal: 'SIGTERM',
    });
    watchChild(child, 'the jitter run');
    const [output] = await Promise.all([text(child.stdout), once(child, 'close')]);
    const { violations, faults, measures } = JSON.parse(output) as Outcome;
    expect(violations).toEqual([]);
    const { synap, plain, control } = measures.shares;
    expect(synap.got).toBe(synap.due);
    for (const { got, due } of [plain, control]) {
      expect(got).toBeGreaterThan(0);
      expect(got).toBeLessThan(due);
    }
    // It was no calm day.
    expect(faults).toHaveLength(8);
    expect(measures.reconnects).toBeGreaterThan(30);
  },
  withinMs,
);
