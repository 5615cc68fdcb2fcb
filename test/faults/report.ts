import { toRequests } from './checker/requests.ts';
import type { Facts } from './checker/facts.ts';
import type { Invariant, Violation } from './scenario.ts';

/** What one scenario came to. */
export interface Result {
  readonly name: string;
  readonly seed: number;
  readonly seconds: number;
  readonly sent: number;
  readonly accepted: number;
  /** Turned away at the door, for good. */
  readonly shed: number;
  readonly maybe: number;
  readonly ended: number;
  /** How long after the fault what it had held up was ended, at the 99th percentile; undefined where it held up nothing. */
  readonly recoveredMs: number | undefined;
  readonly violations: readonly Violation[];
  readonly notes: readonly string[];
  /** Lines that stand below its row. */
  readonly figures: readonly string[];
  /** Where its logs are, if something was wrong. */
  readonly kept: string | undefined;
}

export function countFacts(
  facts: Facts,
): Pick<Result, 'sent' | 'accepted' | 'shed' | 'maybe' | 'ended' | 'recoveredMs'> {
  const requests = [...toRequests(facts.client).values()];
  const ended = new Set(facts.events.filter(({ finishedAt }) => finishedAt !== null).map(({ requestId }) => requestId));
  const { healedAt } = facts;
  const held = facts.events.flatMap(({ dueAt, finishedAt }) =>
    healedAt === undefined || finishedAt === null || dueAt > healedAt || finishedAt < healedAt
      ? []
      : [finishedAt - healedAt],
  );
  return {
    sent: requests.length,
    accepted: requests.filter(({ fate }) => fate === 'accepted').length,
    shed: requests.filter(({ fate }) => fate === 'shed').length,
    maybe: requests.filter(({ fate }) => fate === 'maybe').length,
    ended: ended.size,
    recoveredMs: percentile(held, 0.99),
  };
}

function percentile(values: readonly number[], share: number): number | undefined {
  return values.toSorted((a, b) => a - b)[Math.ceil(values.length * share) - 1];
}

const columns: Readonly<Record<'lost' | 'twice' | 'gaps', readonly Invariant[]>> = {
  lost: ['lost', 'no-end', 'effects-missing', 'sink-missing', 'undrained', 'tick-lost'],
  twice: ['accepted-twice', 'effects-twice', 'two-ends', 'unexpected', 'sink-key-changed', 'tick-twice'],
  gaps: ['notification-gap', 'notification-repeat', 'order'],
};
const inColumns = new Set(Object.values(columns).flat());

const nameWidth = 46;
const header = ['sent', 'accepted', 'shed', 'maybe', 'ended', 'recovered p99', 'lost', 'twice', 'gaps'];
const widths = [6, 9, 6, 6, 7, 14, 6, 6, 6];

export function tableHeader(): string {
  const line = ['fault'.padEnd(nameWidth), ...header.map((title, index) => title.padStart(widths[index] ?? 0))].join(
    '',
  );
  return `${line}\n${'─'.repeat(line.length)}`;
}

/** One line for a scenario, and one more for each thing that is wrong with it. */
export function tableRow(result: Result): string {
  const { name, sent, accepted, shed, maybe, ended, recoveredMs } = result;
  const count = (column: keyof typeof columns) =>
    result.violations.reduce(
      (sum, { invariant, count: found }) => sum + (columns[column].includes(invariant) ? found : 0),
      0,
    );
  const cells = [
    sent,
    accepted,
    shed,
    maybe,
    ended,
    recoveredMs === undefined ? '–' : `${(recoveredMs / 1_000).toFixed(1)} s`,
    count('lost'),
    count('twice'),
    count('gaps'),
  ];
  const line = [name.padEnd(nameWidth), ...cells.map((cell, index) => String(cell).padStart(widths[index] ?? 0))].join(
    '',
  );
  const mark = result.violations.length === 0 ? '' : '  FAILED';
  return [
    line + mark,
    ...result.figures.map((figure) => `    ${figure}`),
    ...result.violations.map(describe),
    ...(result.kept === undefined ? [] : [`    logs: ${result.kept}`]),
  ].join('\n');
}

function describe({ invariant, count, example }: Violation): string {
  return `    ${inColumns.has(invariant) ? '' : 'also '}${invariant} × ${count}: ${example}`;
}

export function tableFooter(results: readonly Result[], seed: number, seconds: number): string {
  const failed = results.filter(({ violations }) => violations.length > 0);
  const sum = (of: (result: Result) => number) => results.reduce((total, result) => total + of(result), 0);
  const verdict =
    failed.length === 0 ? 'all held' : `${failed.length} FAILED: ${failed.map(({ name }) => name).join(', ')}`;
  return [
    '─'.repeat(nameWidth + widths.reduce((a, b) => a + b, 0)),
    `${results.length} faults, ${sum(({ sent }) => sent)} requests, ${sum(({ accepted }) => accepted)} accepted, in ${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s; ${verdict}`,
    `The same again: npm run faults -- --seed ${seed}`,
  ].join('\n');
}
