import { expect, test } from '@jest/globals';
import { z } from 'zod';
import { EventCatalogue } from './catalogue.js';
import { defineEvent } from './definition.js';
import { defineSchedule, schedulesOf, type ScheduleOptions } from './schedule.js';

interface Data {
  readonly day: string;
}

const Due = defineEvent<Data>({
  type: 'report.creation.due',
  aggregateType: 'report',
  origin: 'handler',
  data: z.object({ day: z.iso.date() }),
  aggregateIdOf: ({ day }) => `report-${day}`,
});

const options: ScheduleOptions<Data> = {
  name: 'daily-report',
  on: Due,
  cron: '0 9 * * *',
  timeZone: 'Europe/Berlin',
  data: (tick) => ({ day: tick.toISOString().slice(0, 10) }),
  ifMissed: 'skip',
};
const tick = new Date('2026-11-22T08:00:00Z');
const seed = '0190a000-0000-4000-8000-000000000001';

test('a tick makes the same event wherever and whenever it is made', () => {
  const event = defineSchedule(options).eventAt(tick, seed);
  expect(defineSchedule({ ...options }).eventAt(new Date(tick), seed)).toEqual(event);
  expect(event).toMatchObject({
    type: 'report.creation.due',
    aggregateId: 'report-2026-11-22',
    userId: 'system',
    data: { day: '2026-11-22' },
    source: 'automation',
    requestId: 'schedule:daily-report:2026-11-22T08:00:00.000Z',
    correlationId: 'schedule:daily-report:2026-11-22T08:00:00.000Z',
    runAt: null,
  });
});

test('the id of a tick is another for another tick, schedule or seed, and sorts by the time of the tick', () => {
  const idOf = (at: Date, name = options.name, its = seed) => defineSchedule({ ...options, name }).eventAt(at, its).id;
  const later = new Date(tick.getTime() + 86_400_000);
  const ids = [idOf(tick), idOf(later), idOf(tick, 'other'), idOf(tick, options.name, 'other')];
  expect(new Set(ids).size).toBe(4);
  expect(idOf(tick) < idOf(later)).toBe(true);
  expect(ids.every((id) => z.uuidv7().safeParse(id).success)).toBe(true);
});

test.each<[string, Partial<ScheduleOptions<Data>>, string]>([
  ['a bad cron', { cron: '0 25 * * *' }, 'schedule "daily-report": cron "0 25 * * *" is not valid'],
  ['an unknown time zone', { timeZone: 'Berlin' }, 'schedule "daily-report": "Berlin" is not a time zone'],
  ['a name that is no name', { name: 'Daily Report' }, 'schedule "Daily Report": a name has'],
  ['a user that is none', { userId: '' }, 'userId must be'],
  [
    'data that its event does not take',
    { data: () => ({ day: 'today' }) },
    'schedule "daily-report": report.creation.due does not take its data: data.day',
  ],
  [
    'data that cannot be made',
    {
      data: () => {
        throw new Error('no such day');
      },
    },
    'schedule "daily-report": no such day',
  ],
])('%s is refused where it is defined', (_what, more, why) => {
  expect(() => defineSchedule({ ...options, ...more })).toThrow(why);
});

test('two schedules of one name, and one of an event that nobody defined, are refused at start', () => {
  const schedule = defineSchedule(options);
  const catalogue = new EventCatalogue([Due], []);
  expect(schedulesOf([{ schedules: [schedule] }, {}], catalogue)).toEqual([schedule]);
  expect(() => schedulesOf([{ schedules: [schedule] }, { schedules: [schedule] }], catalogue)).toThrow(
    'schedule "daily-report" is defined twice',
  );
  expect(() => schedulesOf([{ schedules: [schedule] }], new EventCatalogue([], []))).toThrow(
    'schedule "daily-report" sends "report.creation.due", which is in no feature’s events'.replace('’', "'"),
  );
});
