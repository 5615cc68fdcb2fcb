import type { Totals } from './counters.ts';
import type { Outcome } from './run.ts';
import type { Kind } from './plan.ts';
import type { Invariant, Violation } from './verdict/check.ts';
import type { Spread } from './verdict/measure.ts';

const names: Readonly<Record<Kind, string>> = {
  synap: 'synap/client',
  plain: 'socket.io-client on Synap, without since',
  control: 'socket.io-client, redis-emitter (control)',
};
const columns: readonly { readonly title: string; readonly invariants: readonly Invariant[] }[] = [
  { title: 'missing', invariants: ['missing', 'log-gap'] },
  { title: 'repeated', invariants: ['repeated', 'plain-repeated'] },
  { title: 'reordered', invariants: ['reordered', 'foreign'] },
  { title: 'resets', invariants: ['reset'] },
];
const nameWidth = 44;
const widths = [9, 11, 11, 10, 9, 10, 11, 8];

export function report(outcome: Outcome): string {
  const { measures, violations, options } = outcome;
  const header = line('clients', ['clients', 'due', 'delivered', 'share', ...columns.map(({ title }) => title)]);
  const rule = '─'.repeat(header.length);
  const verdict = violations.length === 0 ? 'all held' : 'FAILED';
  const minutes = `${Math.floor(outcome.seconds / 60)} min ${Math.round(outcome.seconds % 60)} s`;
  return [
    header,
    rule,
    ...(Object.keys(names) as Kind[]).map((kind) => row(kind, outcome)),
    rule,
    `${measures.notifications} notifications in ${measures.rooms} rooms; ${measures.cuts} cuts (${measures.silentCuts} after a silence), ${measures.reconnects} reconnects; ${minutes}; ${verdict}`,
    spreadLine('reconnected → has all that was committed by then', measures.catchUp) +
      ` (${measures.catchUpsCut} more were cut again before)`,
    spreadLine('committed → applied, while connected', measures.latency),
    countedLine(outcome.counted),
    `meanwhile: ${outcome.faults.join(', ')}`,
    ...violations.map(describe),
    ...(outcome.kept === undefined ? [] : [`    logs: ${outcome.kept}`]),
    `The same again: npm run jitter -- --seed ${options.seed} --clients ${options.clients} --seconds ${options.seconds}`,
  ].join('\n');
}

function row(kind: Kind, { measures, violations }: Outcome): string {
  const { devices, due, got } = measures.shares[kind];
  const share = due === 0 ? '–' : `${floorTo(1, (got / due) * 100)} %`;
  const isSynap = kind === 'synap';
  const counts = columns.map(({ invariants }) =>
    isSynap
      ? countOf(
          violations,
          invariants.filter((name) => !name.startsWith('plain')),
        )
      : '–',
  );
  if (kind === 'plain') counts[1] = countOf(violations, ['plain-repeated']);
  return line(names[kind], [devices, due, got, share, ...counts]);
}

/** Never rounded up: 99.99 is not all. */
const floorTo = (digits: number, value: number): string =>
  (Math.floor(value * 10 ** digits) / 10 ** digits).toFixed(digits);

const countOf = (violations: readonly Violation[], invariants: readonly Invariant[]): number =>
  violations.reduce((sum, { invariant, count }) => sum + (invariants.includes(invariant) ? count : 0), 0);

function line(name: string, cells: readonly (string | number)[]): string {
  return [name.padEnd(nameWidth), ...cells.map((cell, index) => String(cell).padStart(widths[index] ?? 0))].join('');
}

const spreadLine = (what: string, { count, p50, p99, max }: Spread): string =>
  `${what}: p50 ${Math.round(p50)} ms, p99 ${Math.round(p99)} ms, max ${Math.round(max)} ms, of ${count}`;

function countedLine(counted: Totals): string {
  const of = (name: string) => counted[name] ?? 0;
  const failures = Object.entries(counted).filter(([name]) => name.startsWith('publish_failures_total'));
  return [
    `resumed from the tail ${of('realtime_recoveries_total hot')} times, from Postgres ${of('realtime_recoveries_total cold')} times`,
    `${failures.reduce((sum, [, count]) => sum + count, 0)} publishes failed or met a gap, ${of('realtime_healed_total')} notifications published from Postgres`,
  ].join('; ');
}

function describe({ invariant, count, examples }: Violation): string {
  return [`    ${invariant} × ${count}`, ...examples.map((example) => `      ${example}`)].join('\n');
}
