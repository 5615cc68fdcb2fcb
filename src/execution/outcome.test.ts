import { describe, expect, test } from '@jest/globals';
import { noteDatabaseLoss } from '../platform/connection-loss.js';
import { SynapError } from '../platform/errors.js';
import { AttemptAborted, describeFailure, judgeFailure, judgeLoss } from './outcome.js';
import { exponential, NonRetryableError, RetryAfterError, type RetryPolicy } from './retry.js';

const policy: RetryPolicy = { attempts: 3, backoff: exponential({ baseMs: 1_000, jitter: 0 }) };

describe('a failed attempt is judged', () => {
  test.each([
    ['an error, first', new Error('x'), 0, { kind: 'retry', delayMs: 1_000 }],
    ['an error, second', new Error('x'), 1, { kind: 'retry', delayMs: 2_000 }],
    ['an error, third', new Error('x'), 2, { kind: 'dead' }],
    ['something that is no error', 'oops', 0, { kind: 'retry' }],
    ['what cannot be helped by retrying', new NonRetryableError('gone', 'It is gone.'), 0, { kind: 'dead' }],
    ['a time to come back', new RetryAfterError(7_000, 'busy'), 0, { kind: 'retry', delayMs: 7_000 }],
    ['a time to come back, but too often', new RetryAfterError(7_000, 'busy'), 2, { kind: 'dead' }],
    ['half a millisecond', new RetryAfterError(0.5, 'busy'), 0, { kind: 'retry', delayMs: 1 }],
    ['a time that is none', new RetryAfterError(Number.NaN, 'busy'), 1, { kind: 'retry', delayMs: 2_000 }],
    ['a time in the past', new RetryAfterError(-5, 'busy'), 0, { kind: 'retry', delayMs: 0 }],
    ['a time beyond all', new RetryAfterError(1e300, 'busy'), 0, { kind: 'retry', delayMs: 31_622_400_000 }],
    ['a timeout', new AttemptAborted('timeout', 'late'), 0, { kind: 'retry' }],
    ['a shutdown, even at the last attempt', new AttemptAborted('shutdown', 'bye'), 2, { kind: 'interrupted' }],
    ['a lost lock', new AttemptAborted('lock_lost', 'lost'), 2, { kind: 'interrupted' }],
    ['a cancellation', new AttemptAborted('cancelled', 'stop'), 0, { kind: 'cancelled' }],
    ['a lost fence', new SynapError('fence_lost', 'taken over'), 2, { kind: 'interrupted' }],
  ])('%s', (_what, thrown, failures, outcome) => {
    expect(judgeFailure(thrown, failures, policy, () => 0)).toMatchObject(outcome);
  });
});

describe('a connection to Postgres that was lost under an attempt', () => {
  const lost = (message = 'Connection terminated unexpectedly', more = {}) =>
    noteDatabaseLoss(Object.assign(new Error(message), more));

  test('is not counted as a failure, and waits longer each time', () => {
    expect(judgeLoss(lost(), { fence: 1, failures: 0 })).toMatchObject({ kind: 'interrupted', delayMs: 100 });
    expect(judgeLoss(lost(), { fence: 5, failures: 2 })).toMatchObject({ kind: 'interrupted', delayMs: 400 });
    expect(judgeLoss(lost(), { fence: 10, failures: 0 })).toMatchObject({ kind: 'interrupted', delayMs: 30_000 });
  });

  test('is counted after ten attempts that cost nothing, or a job that ends its own connection would never end', () => {
    expect(judgeLoss(lost(), { fence: 11, failures: 0 })).toBeUndefined();
    expect(judgeLoss(lost(), { fence: 12, failures: 1 })).toBeUndefined();
  });

  test('is found where a handler has wrapped it', () => {
    const wrapped = new Error('could not save', { cause: lost() });
    expect(judgeLoss(wrapped, { fence: 1, failures: 0 })).toMatchObject({ kind: 'interrupted' });
  });

  test('is not what another service says in the same words, nor a statement that took too long', () => {
    const refused = Object.assign(new Error('connect ECONNREFUSED 10.0.0.7:443'), { code: 'ECONNREFUSED' });
    expect(judgeLoss(refused, { fence: 1, failures: 0 })).toBeUndefined();
    expect(judgeLoss(lost('canceling statement', { code: '57014' }), { fence: 1, failures: 0 })).toBeUndefined();
  });
});

describe('exponential back-off', () => {
  test.each([
    [1, 0, 1_000],
    [2, 0, 2_000],
    [3, 0, 4_000],
    [20, 0, 300_000],
    [1, 0.5, 750],
    [1, 1, 500],
  ])('after failure %i with chance %d waits %i ms', (failures, chance, ms) => {
    expect(exponential({ baseMs: 1_000, jitter: 0.5 })(failures, () => chance)).toBe(ms);
  });
});

describe('what is kept of an error', () => {
  const failAt = (message: string) => describeFailure(new TypeError(message));

  test('tells users nothing of the inside, unless the error was written for them', () => {
    expect(describeFailure(new Error('connect ECONNREFUSED 10.0.0.7'))).toMatchObject({
      code: 'handler_failed',
      reason: 'Something went wrong on our side.',
    });
    expect(describeFailure(new NonRetryableError('task_not_found', 'There is no such task.'))).toMatchObject({
      code: 'task_not_found',
      reason: 'There is no such task.',
    });
  });

  test('has one fingerprint for errors that differ in ids and numbers only', () => {
    const [one, same] = [1, 2].map((n) => failAt(`row ${n} of 0190a1b2-0000-7000-8000-00000000000${n} is bad`));
    expect(one?.fingerprint).toBe(same?.fingerprint);
    expect(failAt('something else').fingerprint).not.toBe(one?.fingerprint);
  });

  test('can be stored, whatever the message holds', () => {
    expect(failAt('a\u0000b\ud800c').message).toBe('ab\ufffdc');
    expect(failAt('x'.repeat(10_000)).message).toHaveLength(2_000);
  });
});
