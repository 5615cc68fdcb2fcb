import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { WireDelta } from '../realtime/contract.js';
import { Deltas, type DeltaOutcome } from './deltas.js';

const delta = (attempt: number, offset: number, text: string): WireDelta => ({
  ...{ room: 'request_r', requestId: 'r', eventId: 'e' },
  ...{ attempt, offset, text },
});
const texts = (outcome: DeltaOutcome) => outcome.texts.map(({ text }) => text);

function joined(streams: readonly WireDelta[] = []): Deltas {
  const deltas = new Deltas();
  deltas.joined(streams);
  return deltas;
}

describe('a streamed text', () => {
  test('pieces that come while joining wait for the text so far, and go behind it', () => {
    const deltas = new Deltas();
    expect(texts(deltas.add(delta(1, 6, 'world')))).toEqual([]);
    expect(texts(deltas.joined([delta(1, 0, 'Hello ')]))).toEqual(['Hello world']);
  });

  test('a piece that repeats or overlaps adds only what is new', () => {
    const deltas = joined([delta(1, 0, 'Hello wo')]);
    expect(texts(deltas.add(delta(1, 0, 'Hello')))).toEqual([]);
    expect(texts(deltas.add(delta(1, 6, 'world')))).toEqual(['Hello world']);
  });

  test('a piece behind a hole is not shown, and says that there is one', () => {
    const deltas = joined([delta(1, 0, 'Hello')]);
    expect(deltas.add(delta(1, 8, 'rld'))).toEqual({ texts: [], hasGap: true });
  });

  test('a newer attempt starts over, and an older one is not shown any more', () => {
    const deltas = joined([delta(1, 0, 'Hello')]);
    expect(texts(deltas.add(delta(2, 0, 'Hi')))).toEqual(['Hi']);
    expect(texts(deltas.add(delta(1, 5, ' world')))).toEqual([]);
  });

  test('what comes after the durable end is not shown; a replay’s attempt is', () => {
    const deltas = joined([delta(1, 0, 'Hello')]);
    deltas.end({ status: 'success', requestId: 'r', eventId: 'e' });
    expect(texts(deltas.add(delta(1, 0, 'Hello')))).toEqual([]);
    expect(texts(deltas.add(delta(2, 0, 'Again')))).toEqual(['Again']);
  });
});

test('whatever comes, in whatever order, what is shown is the beginning of what an attempt has written', () => {
  const truth = ['', 'The first attempt wrote this.', 'Another one began anew.'];
  const piece = fc
    .tuple(fc.integer({ min: 1, max: 2 }), fc.nat({ max: 30 }), fc.nat({ max: 10 }))
    .map(([attempt, offset, length]) => delta(attempt, offset, truth[attempt]!.slice(offset, offset + length)));
  const answer = fc
    .tuple(fc.integer({ min: 1, max: 2 }), fc.nat({ max: 30 }))
    .map(([attempt, length]) => [delta(attempt, 0, truth[attempt]!.slice(0, length))]);
  const step = fc.oneof(
    piece.map((given) => (deltas: Deltas) => deltas.add(given)),
    answer.map((given) => (deltas: Deltas) => deltas.joined(given)),
    fc.constant((deltas: Deltas): DeltaOutcome => {
      deltas.joining();
      return { texts: [], hasGap: false };
    }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const deltas = new Deltas();
      const shown: string[] = [];
      for (const run of [...steps, (last: Deltas) => last.joined([delta(2, 0, truth[2]!)])])
        shown.push(...texts(run(deltas)));
      expect(shown.filter((text) => !truth.some((whole) => whole.startsWith(text)))).toEqual([]);
      const last = deltas.joined([delta(2, 0, truth[2]!)]);
      expect([...shown, ...texts(last)].at(-1)).toBe(truth[2]);
    }),
    { seed: 6, numRuns: 3_000 },
  );
});
