import { expect, test } from '@jest/globals';
import { fillMarked } from './documents.ts';
import { formatDuration, formatNumber, formatTable } from './format.ts';
import { mergeMeasures, type MeasureResult, type Report } from './report.ts';

const measure = (name: string, at: string): MeasureResult => ({
  name,
  title: name,
  at,
  commit: 'c',
  durationMs: 1,
  report: {
    figures: [{ id: `${name}/x`, what: 'x', unit: '/s', synap: 1_234, better: 'more' }],
    plots: [],
    tables: [{ title: 'Costs', head: ['what', 'how much'], rows: [['a', 1]] }],
    usage: [{ contender: 'synap', processes: [{ name: 'worker', cpuPercent: 61.4, peakMemoryMb: 165 }] }],
    notes: ['Costs: ten bytes.', 'The peer: another.'],
    samples: undefined,
  },
});
const report: Report = {
  kind: 'full',
  at: '2026-01-02T03:04:05.000Z',
  commit: 'c',
  seed: 1,
  durationMs: 1,
  machine: {
    processor: 'p',
    cores: 2,
    memoryGb: 8,
    kernel: 'k',
    disk: 'd',
    fsyncUs: 100,
    postgresSettings: 'fsync=on',
  },
  versions: {},
  measures: [measure('profile', '1')],
};

test('a document has between its marks what the report says, and keeps it where there is no report', () => {
  const text =
    'before\n<!-- bench: aims full -->\nold\n<!-- /bench -->\n<!-- bench: aims soak -->\nkept\n<!-- /bench -->\n';
  const filled = fillMarked(text, { full: report, soak: undefined });
  expect(filled).toContain('1,234/s');
  expect(filled).not.toContain('old');
  expect(filled).toContain('<!-- bench: aims soak -->\nkept');
  expect(fillMarked(filled, { full: report, soak: undefined })).toBe(filled);
});

test('some figures can be asked for by their ids', () => {
  const text = '<!-- bench: figures full profile/x,not/there -->\n<!-- /bench -->';
  expect(fillMarked(text, { full: report, soak: undefined })).toContain('| x       | 1,234/s |');
});

test('a table of a measure can be asked for', () => {
  const text = '<!-- bench: tables full/profile -->\n<!-- /bench -->';
  expect(fillMarked(text, { full: report, soak: undefined })).toContain('| a    | 1        |');
});

test('of a measure its usage can be asked for, and notes by how they begin', () => {
  const ask = (wish: string) =>
    fillMarked(`<!-- bench: ${wish} -->\n<!-- /bench -->`, { full: report, soak: undefined });
  expect(ask('usage full/profile')).toContain('| synap     | worker  | 61 %');
  expect(ask('notes full/profile Costs')).toContain('\n\nCosts: ten bytes.\n\n');
  expect(ask('notes full/profile Costs')).not.toContain('The peer');
});

test('what a document asks for and no report has is an error, not a gap', () => {
  const text = '<!-- bench: dreams full -->\n<!-- /bench -->';
  expect(() => fillMarked(text, { full: report, soak: undefined })).toThrow('dreams');
});

test('measures that ran again replace theirs, in the order of the list', () => {
  const merged = mergeMeasures(
    ['a', 'b', 'c'],
    [measure('c', '1'), measure('a', '1'), measure('gone', '1')],
    [measure('b', '2'), measure('a', '2')],
  );
  expect(merged.map(({ name, at }) => `${name}${at}`)).toEqual(['a2', 'b2', 'c1']);
});

test.each([
  [12_345.6, '12,346'],
  [12.34, '12.3'],
  [1.234, '1.23'],
  [0.01234, '0.0123'],
  [0, '0'],
  [Number.NaN, '–'],
])('%p is written %p', (value, text) => {
  expect(formatNumber(value)).toBe(text);
});

test('times and tables', () => {
  expect(formatDuration(3_723_000)).toBe('1:02:03');
  expect(formatDuration(59_600)).toBe('1:00');
  expect(formatTable(['a', 'b'], [['x|y', 2]])).toBe('| a    | b   |\n| ---- | --- |\n| x\\|y | 2   |');
});
