import { expect, test } from '@jest/globals';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { watchChild } from '../support/children.js';
import type { Result } from './report.js';

const withinMs = 170_000;
/** A part of `npm run faults`, always the same: before and after the commit of an acceptance, around an outside effect, a Redis that forgot. */
const subset = ['killed at append.committed', 'killed at step.acted', 'FLUSHALL'];

/** How fast is for the whole suite on a machine of its own; beside other tests only what is right can be asked. */
const timing: ReadonlySet<string> = new Set(['start-late', 'told-late', 'hang']);

test(
  'nothing is lost, done twice or left unsaid where an api and a worker are killed and Redis forgets everything',
  async () => {
    const child = spawn(
      process.execPath,
      [
        '--disable-warning=ExperimentalWarning',
        'test/faults/main.ts',
        '--json',
        '--seed',
        '1',
        '--only',
        subset.join(','),
      ],
      { stdio: ['ignore', 'pipe', 'inherit'], signal: AbortSignal.timeout(withinMs - 10_000), killSignal: 'SIGTERM' },
    );
    watchChild(child, 'the fault suite');
    const [output] = await Promise.all([text(child.stdout), once(child, 'close')]);
    const results = output
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Result);
    expect(
      results.map(({ name, violations }) => ({
        name,
        violations: violations.filter(({ invariant }) => !timing.has(invariant)),
      })),
    ).toEqual(['no fault', ...subset].map((name) => ({ name, violations: [] })));
    for (const { accepted, ended, sent } of results) expect([accepted, ended]).toEqual([sent, sent]);
  },
  withinMs,
);
