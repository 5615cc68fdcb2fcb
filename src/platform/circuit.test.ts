import { expect, test } from '@jest/globals';
import { pino } from 'pino';
import { ManualClock } from '../../test/support/manual-clock.js';
import { Circuit } from './circuit.js';

function circuit() {
  const clock = new ManualClock();
  const state = { answers: true, pings: 0, opened: 0 };
  const made = new Circuit({
    ping: async () => {
      state.pings++;
      if (!state.answers) throw new Error('Query read timeout');
    },
    clock,
    logger: pino({ level: 'silent' }),
  });
  made.onOpen(() => void state.opened++);
  return { circuit: made, clock, state };
}

test('a suspicion that an answer clears refuses nobody, and is not asked about again at once', async () => {
  const { circuit: made, clock, state } = circuit();
  made.suspect();
  await clock.advance(0);
  made.suspect();
  await clock.advance(100);
  expect(made.isOpen).toBe(false);
  expect(state).toMatchObject({ pings: 1, opened: 0 });
});

test('one miss may be this process own, and does not open it', async () => {
  const { circuit: made, clock, state } = circuit();
  state.answers = false;
  made.suspect();
  state.answers = true;
  await clock.advance(5_000);
  expect(made.isOpen).toBe(false);
  expect(state).toMatchObject({ pings: 2, opened: 0 });
});

test('two misses open it once, and the first answer closes it without anybody asking', async () => {
  const { circuit: made, clock, state } = circuit();
  state.answers = false;
  made.suspect();
  await clock.advance(10_000);
  expect(made.isOpen).toBe(true);
  expect(state.opened).toBe(1);
  state.answers = true;
  await clock.advance(500);
  expect(made.isOpen).toBe(false);
  const asked = state.pings;
  await clock.advance(10_000);
  expect(state.pings).toBe(asked);
});
