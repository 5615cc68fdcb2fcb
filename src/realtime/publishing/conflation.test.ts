import { beforeEach, describe, expect, test } from '@jest/globals';
import type { Clock } from '../../platform/clock.js';
import { Conflation } from './conflation.js';
import type { Ephemeral } from '../contract.js';

/** Time moves when a test says so. */
class ManualClock implements Clock {
  #now = 0;
  #timers: { at: number; fn: () => void }[] = [];

  now(): number {
    return this.#now;
  }

  after(delayMs: number, fn: () => void): () => void {
    const timer = { at: this.#now + delayMs, fn };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  pass(ms: number): void {
    const end = this.#now + ms;
    for (;;) {
      const [next] = this.#timers.filter(({ at }) => at <= end).toSorted((a, b) => a.at - b.at);
      if (next === undefined) break;
      this.#timers = this.#timers.filter((other) => other !== next);
      this.#now = next.at;
      next.fn();
    }
    this.#now = end;
  }

  get waiting(): number {
    return this.#timers.length;
  }
}

const base = { room: 'request_r', requestId: 'r', timestamp: '' };
const progress = (percent: number, eventId = 'e'): Ephemeral => ({
  event: 'progress',
  payload: { ...base, eventId, percent },
});
const delta = (offset: number, text: string, attempt = 1): Ephemeral => ({
  event: 'delta',
  payload: { ...base, eventId: 'e', attempt, offset, text },
});

describe('conflation', () => {
  let clock: ManualClock;
  let sent: string[];
  let conflation: Conflation;

  beforeEach(() => {
    clock = new ManualClock();
    sent = [];
    const show = ({ event, payload }: Ephemeral) =>
      event === 'progress'
        ? `${payload.eventId} ${payload.percent}%`
        : `${payload.attempt}@${payload.offset} ${payload.text}`;
    conflation = new Conflation((room, frame) => sent.push(`${room}: ${show(frame)}`), clock);
  });

  test('progress goes out at most ten times a second for an event, the first at once and the last always', () => {
    for (let percent = 0; percent <= 100; percent++) {
      conflation.offer('r', progress(percent));
      clock.pass(10);
    }
    clock.pass(1_000);
    expect(sent.length).toBeLessThanOrEqual(12);
    expect(sent[0]).toBe('r: e 0%');
    expect(sent.at(-1)).toBe('r: e 100%');
  });

  test('events and rooms do not delay each other', () => {
    conflation.offer('r', progress(1, 'a'));
    conflation.offer('r', progress(2, 'b'));
    conflation.offer('s', progress(3, 'a'));
    expect(sent).toEqual(['r: a 1%', 'r: b 2%', 's: a 3%']);
  });

  test('text is joined and no letter of it is lost', () => {
    conflation.offer('r', delta(0, 'He'));
    conflation.offer('r', delta(2, 'll'));
    conflation.offer('r', delta(4, 'o'));
    clock.pass(25);
    expect(sent).toEqual(['r: 1@0 He', 'r: 1@2 llo']);
  });

  test('text of a new attempt, or from elsewhere, is not joined to the old', () => {
    conflation.offer('r', delta(0, 'He'));
    conflation.offer('r', delta(2, 'llo'));
    conflation.offer('r', delta(0, 'Hi', 2));
    clock.pass(25);
    expect(sent).toEqual(['r: 1@0 He', 'r: 1@2 llo', 'r: 2@0 Hi']);
  });

  test('a character of two units is never sent by halves', () => {
    const [first = '', second = ''] = ['🗒'[0], '🗒'[1]];
    conflation.offer('r', delta(0, `a${first}`));
    conflation.offer('r', delta(2, `${second}b${first}`));
    clock.pass(25);
    conflation.offer('r', delta(5, second));
    clock.pass(25);
    expect(sent).toEqual(['r: 1@0 a', 'r: 1@1 🗒b', 'r: 1@4 🗒']);
  });

  test('a half whose other half does not come waits for no longer than a window', () => {
    const half = '🗒'.charAt(0);
    conflation.offer('r', delta(0, `a${half}`));
    clock.pass(25);
    expect(sent).toEqual(['r: 1@0 a', `r: 1@1 ${half}`]);
  });

  test('a flush sends what waits for the room and leaves nothing to come after it', () => {
    conflation.offer('r', progress(1));
    conflation.offer('r', progress(99));
    conflation.offer('s', progress(5));
    conflation.flush('r');
    expect(sent).toEqual(['r: e 1%', 's: e 5%', 'r: e 99%']);
    clock.pass(1_000);
    expect(sent).toHaveLength(3);
    expect(clock.waiting).toBe(0);
    conflation.offer('r', progress(100));
    expect(sent.at(-1)).toBe('r: e 100%');
  });
});
