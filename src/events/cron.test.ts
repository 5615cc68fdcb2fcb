import { expect, test } from '@jest/globals';
import { Cron } from './cron.js';

const berlin = (expression: string) => new Cron(expression, 'Europe/Berlin', 'probe');

function ticks(cron: Cron, from: string, until: string): string[] {
  const found: string[] = [];
  for (let tick = cron.next(new Date(from)); tick <= new Date(until); tick = cron.next(tick))
    found.push(tick.toISOString().slice(0, 16));
  return found;
}

// Berlin's clocks go from 02:00 to 03:00 at 01:00 UTC on 29 March 2026, and back from 03:00 to 02:00 at 01:00 UTC on 25 October.

test.each([
  [
    'that does not exist ticks an hour later, once',
    '30 2 * * *',
    ['2026-03-28T01:30', '2026-03-29T01:30', '2026-03-30T00:30'],
  ],
  [
    'at the edge ticks when the hour is left out',
    '0 2 * * *',
    ['2026-03-28T01:00', '2026-03-29T01:00', '2026-03-30T00:00'],
  ],
  ['in the hour after ticks as it reads', '30 3 * * *', ['2026-03-28T02:30', '2026-03-29T01:30', '2026-03-30T01:30']],
  ['and the one it is moved to are one tick', '30 2,3 29 * *', ['2026-03-29T01:30']],
])('when clocks go forward, a time %s', (_what, expression, expected) => {
  expect(ticks(berlin(expression), '2026-03-28T00:00Z', '2026-03-30T02:00Z')).toEqual(expected);
});

test.each([
  ['that comes twice ticks the first time', '30 2 * * *', ['2026-10-24T00:30', '2026-10-25T00:30', '2026-10-26T01:30']],
  ['at the edge ticks the first time', '0 2 * * *', ['2026-10-24T00:00', '2026-10-25T00:00', '2026-10-26T01:00']],
  ['in the hour after ticks once', '30 3 * * *', ['2026-10-24T01:30', '2026-10-25T02:30', '2026-10-26T02:30']],
])('when clocks go back, a time %s', (_what, expression, expected) => {
  expect(ticks(berlin(expression), '2026-10-23T23:00Z', '2026-10-26T03:00Z')).toEqual(expected);
});

test.each([
  ['forward', '2026-03-29', ['00:00', '00:30', '01:00', '01:30', '02:00']],
  ['back', '2026-10-25', ['00:00', '00:30', '01:00', '01:30', '02:00']],
])('an expression for every hour ticks through the change %s', (_which, day, expected) => {
  expect(ticks(berlin('*/30 * * * *'), `${day}T00:00Z`, `${day}T02:00Z`)).toEqual(
    expected.slice(1).map((time) => `${day}T${time}`),
  );
});

test.each(['30 2 * * *', '*/20 1-3 * * *', '0 */2 * * *', '15 * * * *', '0 0 25,29 * *'])(
  'the ticks of %s are the same from wherever they are looked for',
  (expression) => {
    const cron = berlin(expression);
    for (const day of ['2026-03-29', '2026-10-25']) {
      const from = Date.parse(`${day}T00:00Z`) - 10 * 3_600_000;
      const until = new Date(from + 30 * 3_600_000);
      const all = ticks(cron, new Date(from).toISOString(), until.toISOString());
      expect(new Set(all).size).toBe(all.length);
      for (let at = from; at < until.getTime(); at += 29 * 60_000) {
        const start = new Date(at).toISOString();
        const after = all.find((tick) => `${tick}:00.000Z` > start);
        const next = cron.next(new Date(at));
        expect(next > until ? undefined : next.toISOString().slice(0, 16)).toBe(after);
        const before = all.findLast((tick) => `${tick}:00.000Z` <= start);
        expect(cron.last(new Date(from), new Date(at))?.toISOString().slice(0, 16)).toBe(before);
      }
    }
  },
);

test('the last tick of a long time is found without counting them all', () => {
  expect(berlin('0 9 * * *').last(new Date('1999-01-01T00:00Z'), new Date('2026-11-22T07:59Z'))).toEqual(
    new Date('2026-11-21T08:00Z'),
  );
  expect(berlin('0 0 29 2 *').last(new Date('2024-03-01T00:00Z'), new Date('2026-11-22T00:00Z'))).toBeUndefined();
});

test('H stands for the same time in every process, and for another with another name', () => {
  const at = (name: string) => ticks(new Cron('H H * * *', 'UTC', name), '2026-01-01T00:00Z', '2026-01-02T00:00Z');
  expect(at('one')).toEqual(at('one'));
  expect(at('one')).not.toEqual(at('two'));
});

test.each([
  ['61 * * * *', 'UTC', 'got value 61'],
  ['0 9 * *', 'UTC', '4 of the five fields'],
  ['0 0 9 * * *', 'UTC', '6 of the five fields'],
  ['', 'UTC', '1 of the five fields'],
  ['@daily', 'UTC', '1 of the five fields'],
  ['a b c d e', 'UTC', 'is not valid'],
  ['0 0 30 2 *', 'UTC', 'is not valid'],
  ['0 9 * * *', 'Mars/Base', '"Mars/Base" is not a time zone'],
  ['0 9 * * *', '', 'is not a time zone'],
])('cron %j in %j is refused: %s', (expression, timeZone, why) => {
  expect(() => new Cron(expression, timeZone, 'probe')).toThrow(TypeError);
  expect(() => new Cron(expression, timeZone, 'probe')).toThrow(why);
});
