import { afterEach, describe, expect, test } from '@jest/globals';
import { startApi, type TestApi } from '../../../test/support/api.js';
import { ManualClock } from '../../../test/support/manual-clock.js';
import { createMetrics } from '../../platform/metrics.js';
import { Admission } from './admission.js';

let api: TestApi | undefined;
afterEach(async () => {
  await api?.close();
  api = undefined;
});

/** A loop whose delay the test decides. */
function measured(delayMs: () => number) {
  const clock = new ManualClock();
  const metrics = createMetrics('synap_');
  const state = { isBehind: false, chance: 0.5 };
  const admission = new Admission({
    loop: { readMs: delayMs },
    isCommitterBehind: () => state.isBehind,
    metrics,
    clock,
    random: () => state.chance,
  });
  admission.start();
  const shed = async (reason: string) =>
    (await metrics.requestsShed.get()).values.find(({ labels }) => labels.reason === reason)?.value ?? 0;
  return { clock, state, admission, shed };
}

const note = { type: 'note.creation.requested', data: { title: 't', content: 'c' } };

test('what would wait too long for its commit is refused with 503 and Retry-After, and reads go on', async () => {
  const { state, admission, shed } = measured(() => 0);
  const { call } = (api = await startApi({ deps: { admission } }));
  expect((await call('/v1/events', { user: 'ada', json: note })).status).toBe(202);
  state.isBehind = true;
  const refused = await call('/v1/events', { user: 'ada', json: note });
  expect(refused.status).toBe(503);
  expect(refused.headers.get('retry-after')).toBe('1');
  expect(await refused.json()).toMatchObject({ code: 'overloaded' });
  expect((await call('/v1/notes', { user: 'ada' })).status).toBe(200);
  expect((await call('/health')).status).toBe(200);
  expect(await shed('committer')).toBe(1);
  state.isBehind = false;
  expect((await call('/v1/events', { user: 'ada', json: note })).status).toBe(202);
});

test('a late event loop sheds a growing share of what writes, and nothing when it keeps up again', async () => {
  let delayMs = 300;
  const { clock, state, admission, shed } = measured(() => delayMs);
  const { call } = (api = await startApi({ deps: { admission } }));
  const status = async () => (await call('/v1/events', { user: 'ada', json: note })).status;
  state.chance = 0.25;
  await clock.advance(1_250);
  expect(await status()).toBe(202);
  await clock.advance(1_000);
  expect(await status()).toBe(503);
  expect(await shed('event_loop')).toBe(1);
  delayMs = 20;
  await clock.advance(10_000);
  state.chance = 0;
  expect(await status()).toBe(202);
});

test('lateness that does not last sheds nothing', async () => {
  let looks = 0;
  const { clock, state, admission } = measured(() => (looks++ % 4 === 3 ? 20 : 2_000));
  const { call } = (api = await startApi({ deps: { admission } }));
  await clock.advance(10_000);
  state.chance = 0;
  expect((await call('/v1/events', { user: 'ada', json: note })).status).toBe(202);
});

describe('under a steady load', () => {
  test('of one and a half times what the loop bears, the share settles near the third that is too much', async () => {
    const shares: number[] = [];
    let share = 0;
    // The delay grows while more is let in than the loop bears, and shrinks while less is.
    let delayMs = 0;
    const { clock, state, admission } = measured(() => {
      delayMs = Math.max(0, delayMs + (1.5 * (1 - share) - 1) * 250);
      return delayMs;
    });
    const passes = (chance: number): boolean => {
      state.chance = chance;
      let isIn = false;
      admission.guard({ call: {} } as never, {} as never, (error?: unknown) => {
        isIn = error === undefined;
      });
      return isIn;
    };
    for (let interval = 0; interval < 240; interval++) {
      await clock.advance(250);
      share = Array.from({ length: 100 }, (_, n) => n / 100).filter((chance) => !passes(chance)).length / 100;
      if (interval >= 120) shares.push(share);
    }
    const mean = shares.reduce((sum, next) => sum + next, 0) / shares.length;
    expect(mean).toBeGreaterThan(0.25);
    expect(mean).toBeLessThan(0.42);
    expect(delayMs).toBeLessThan(500);
  });
});
