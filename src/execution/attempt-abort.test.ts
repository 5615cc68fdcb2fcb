import { expect, test } from '@jest/globals';
import { systemClock } from '../platform/clock.js';
import { AttemptAbort } from './attempt-abort.js';

test('an attempt that fails because it was aborted is aborted, not failed', async () => {
  const shutdown = new AbortController();
  using abort = new AttemptAbort(new AbortController().signal, shutdown.signal, 60_000, systemClock);
  // A handler that hands its client's promise on, which ends within the signal's own turn.
  const handler = new Promise((_resolve, reject) => {
    abort.signal.addEventListener('abort', () => reject(new Error('the client was aborted')));
  });
  const end = Promise.race([handler, abort.aborted]);
  shutdown.abort();
  await expect(end).rejects.toMatchObject({ name: 'AttemptAborted', why: 'shutdown' });
});
