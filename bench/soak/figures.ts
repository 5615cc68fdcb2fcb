import type { Figure, MeasureReport, Plot } from '../measure.ts';
import { median, medianRatio } from '../rounds.ts';
import type { Costs } from './costs.ts';
import type { Filled } from './fill.ts';
import type { Amounts } from './fill-statements.ts';
import type { Round } from './filled.ts';

export interface FilledRun {
  readonly amounts: Amounts;
  readonly filled: Filled;
  /** Jobs that still waited in the outbox after the last round. */
  readonly left: number;
  readonly costs: Costs;
  readonly rounds: { readonly empty: readonly Round[]; readonly filled: readonly Round[] };
}

const bound = 1.2;

interface Compared {
  readonly id: string;
  readonly what: string;
  readonly unit: 'ms' | '/s';
  readonly of: (round: Round) => number;
  readonly isAimed: boolean;
}

const compared: readonly Compared[] = [
  {
    id: 'accept-p50',
    what: 'accepting, p50 (200/s, open loop)',
    unit: 'ms',
    of: ({ accept }) => accept.p50,
    isAimed: true,
  },
  { id: 'accept-p99', what: 'accepting, p99', unit: 'ms', of: ({ accept }) => accept.p99, isAimed: true },
  {
    id: 'job-mean',
    what: 'commit of the event to the end of its job, mean',
    unit: 'ms',
    of: ({ job }) => job.mean,
    isAimed: true,
  },
  {
    id: 'job-p99',
    what: 'commit of the event to the end of its job, p99',
    unit: 'ms',
    of: ({ job }) => job.p99,
    isAimed: true,
  },
  {
    id: 'notification-p50',
    what: 'POST to notification at a socket, p50',
    unit: 'ms',
    of: ({ notification }) => notification.p50,
    isAimed: true,
  },
  {
    id: 'notification-p99',
    what: 'POST to notification at a socket, p99',
    unit: 'ms',
    of: ({ notification }) => notification.p99,
    isAimed: true,
  },
  {
    id: 'accepts',
    what: 'accepts by 64 connections, closed loop',
    unit: '/s',
    of: ({ acceptsPerSecond }) => acceptsPerSecond,
    isAimed: true,
  },
  {
    id: 'jobs',
    what: 'jobs with a transactional step, an event and a notification',
    unit: '/s',
    of: ({ jobsPerSecond }) => jobsPerSecond,
    isAimed: true,
  },
  {
    id: 'high-p50',
    what: 'POST to notification of a high-priority job in the queue with the backlog, p50',
    unit: 'ms',
    of: ({ highNotification }) => highNotification.p50,
    isAimed: false,
  },
  {
    id: 'high-p99',
    what: 'POST to notification of a high-priority job in the queue with the backlog, p99',
    unit: 'ms',
    of: ({ highNotification }) => highNotification.p99,
    isAimed: false,
  },
];

export function reportOf(run: FilledRun): MeasureReport {
  const { rounds } = run;
  const usage = (['empty', 'filled'] as const).flatMap((contender) => {
    const last = rounds[contender].at(-1);
    return last === undefined ? [] : [{ contender, processes: last.usage }];
  });
  return {
    figures: compared.map((figure) => toFigure(figure, rounds)),
    plots: [plotOf(rounds)],
    usage,
    notes: notesOf(run),
    samples: run,
  };
}

function toFigure({ id, what, unit, of, isAimed }: Compared, rounds: FilledRun['rounds']): Figure {
  const filled = rounds.filled.map(of);
  const empty = rounds.empty.map(of);
  const judged = medianRatio(filled, empty);
  const isMore = unit === '/s';
  const aim = isMore
    ? { text: `≥ 1 / ${bound} ×`, judged, atLeast: 1 / bound }
    : { text: `≤ ${bound} ×`, judged, atMost: bound };
  return {
    ...{ id: `filled/${id}`, what, unit, synap: median(filled), better: isMore ? 'more' : 'less' },
    peer: { name: 'empty database', value: median(empty) },
    ...(isAimed && { aim }),
  };
}

function plotOf(rounds: FilledRun['rounds']): Plot {
  const shown = compared.filter(({ unit }) => unit === 'ms');
  const seriesOf = (contender: 'empty' | 'filled') => ({
    name: contender,
    points: shown.map(({ of }, index) => [index, median(rounds[contender].map(of))] as const),
  });
  return {
    name: 'filled-latency',
    title: 'Latencies with an empty and with a filled database',
    kind: 'bar',
    x: { label: '', categories: shown.map(({ id }) => id) },
    y: { label: 'ms', isLog: true },
    series: [seriesOf('empty'), seriesOf('filled')],
  };
}

function notesOf({ amounts, filled, left, rounds, costs }: FilledRun): string[] {
  const count = (n: number): string => Math.round(n).toLocaleString('en');
  const sizes = filled.tables.map(
    ({ table, rows, tableMb, indexesMb }) =>
      `${table} ${count(rows)} rows, ${count(tableMb)} MB and ${count(indexesMb)} MB of indexes`,
  );
  return [
    `Filled by SQL in ${count(filled.seconds)} s in the shapes that Synap writes, then vacuumed and analyzed once: ${count(amounts.events)} events (29 days of finished jobs, their steps and what they emitted; the last 6 hours wait), ${count(amounts.waiting)} jobs waiting in the outbox, ${count(amounts.notifications)} notifications in the rooms of 20,000 users and of their requests, the idempotency keys of the last day. Second indexes were built at 70 % fill. Checked: every job has its event, what waits is in the outbox, heads agree with entries, a client resumes 20 missed notifications of a filled room.`,
    `Sizes: ${sizes.join('; ')}.`,
    `The waiting jobs are of one type, whose handler waits 100 ms for somebody else and runs twice at a time: 20 a second are worked off while everything is measured, and ${count(left)} waited in Postgres after the last round. What is compared is another type, without a backlog; a high-priority job of the backlog's own type is shown beside it, and in the empty database waits for nobody.`,
    `Both databases are in the same Postgres, one Synap of four processes at a time, with the intervals of production for dispatcher, reconciler, aging, retention and gauges. Each keeps its keys in Redis from round to round. Job latency is by the database's clock, in whole milliseconds, hence its mean.`,
    `Costs: an event accepted alone writes ${count(costs.walBytesPerAccept)} bytes of WAL; a whole job with a transactional step, an emitted event and a notification in two rooms ${count(costs.walBytesPerJob)}, and leaves ${count(costs.storedBytesPerJob)} bytes in tables and indexes; a ticket that waits in Redis has ${count(costs.redisBytesPerTicket)} bytes.`,
    ...rounds.filled.slice(-1).map((round) => scansOf(round)),
  ];
}

function scansOf({ before, after }: Round): string {
  const read = Object.entries(after.scanned)
    .map(([table, rows]) => ({ table, rows: rows - (before.scanned[table] ?? 0) }))
    .filter(({ rows }) => rows > 0);
  const said = read.map(({ table, rows }) => `${table} ${rows.toLocaleString('en')}`).join(', ');
  return `Rows that scans of whole large tables read during the last filled round: ${said === '' ? 'none' : said}.`;
}
