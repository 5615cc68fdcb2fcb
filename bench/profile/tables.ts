import type { ProcessUsage, Table } from '../measure.ts';
import { formatNumber } from '../report/format.ts';
import { timeByOwner, type Frame } from './cpuprofile.ts';
import type { Window } from './snapshot.ts';
import type { TimedStatement } from './timed-statements.ts';
import type { StoreTotals } from './stores.ts';

/** What the rounds found, each for the events of its own window. */
export interface Findings {
  readonly plain: {
    readonly events: number;
    readonly seconds: number;
    readonly usage: readonly ProcessUsage[];
    readonly stores: StoreTotals;
  };
  readonly counted: {
    readonly events: number;
    readonly windows: readonly Window[];
    readonly timed: readonly TimedStatement[];
  };
  readonly profiled: {
    readonly events: number;
    readonly profiles: readonly { readonly name: string; readonly frame: Frame }[];
  };
  readonly ports: { readonly postgres: number; readonly redis: number };
}

/** What is seldom does not belong to an event. */
const leastPerEvent = 0.004;
const leastRedisUs = 1.5;

export function costTables(findings: Findings): Table[] {
  return [
    processes(findings),
    statements(findings),
    timedStatements(findings),
    redisCommands(findings),
    postgres(findings),
    owners(findings),
  ];
}

export const processorUs = ({ events, seconds, usage }: Findings['plain'], name: string): number =>
  ((usage.find((process) => process.name === name)?.cpuPercent ?? 0) / 100) * seconds * (1e6 / events);

function processes({ plain, counted, ports }: Findings): Table {
  const rows = plain.usage.map(({ name }) => {
    const us = processorUs(plain, name);
    const window = counted.windows.find(({ process }) => process.name === name);
    return [name, formatNumber(us), formatNumber(1e6 / us), ...sent(window, counted.events, ports)];
  });
  return {
    title: 'What one event costs, by process',
    head: [
      'process',
      'processor, µs',
      'at that cost a core carries, /s',
      'statements',
      'writes to Postgres',
      'bytes to, from Postgres',
      'writes to Redis',
      'bytes to, from Redis',
      'event-loop delay p50, p99, max, ms',
    ],
    rows,
  };
}

function sent(window: Window | undefined, events: number, ports: Findings['ports']): string[] {
  if (window === undefined) return ['', '', '', '', '', ''];
  const per = (count: number): string => formatNumber(count / events);
  const none = { written: 0, read: 0, writes: 0 };
  const toPostgres = window.sockets.get(ports.postgres) ?? none;
  const toRedis = window.sockets.get(ports.redis) ?? none;
  const { p50, p99, max } = window.delayMs;
  return [
    per([...window.statements.values()].reduce((sum, { calls }) => sum + calls, 0)),
    per(toPostgres.writes),
    `${per(toPostgres.written)}, ${per(toPostgres.read)}`,
    per(toRedis.writes),
    `${per(toRedis.written)}, ${per(toRedis.read)}`,
    [p50, p99, max].map((ms) => formatNumber(ms)).join(', '),
  ];
}

function statements({ counted: { events, windows } }: Findings): Table {
  const rows = windows.flatMap(({ process, statements: sentByIt }) =>
    [...sentByIt]
      .filter(([, { calls }]) => calls / events >= leastPerEvent)
      .toSorted(([, a], [, b]) => b.calls - a.calls)
      .map(([name, { calls, ms }]) => [
        process.name,
        `\`${name}\``,
        formatNumber(calls / events),
        formatNumber(ms / calls),
      ]),
  );
  return {
    title: 'Statements, as the clients send them',
    head: ['process', 'statement', 'per event', 'until its answer, ms'],
    rows,
  };
}

function timedStatements({ counted: { events, timed } }: Findings): Table {
  const rows = timed
    .filter(({ calls }) => calls / events >= leastPerEvent)
    .map(({ text, calls, us }) => [
      whatItDoes(text),
      formatNumber(calls / events),
      formatNumber(us / calls),
      formatNumber(us / events),
    ]);
  return {
    title: 'Statements, as Postgres times them (pg_stat_statements, by the clock, without planning)',
    head: ['statement', 'per event', 'µs a call', 'µs an event'],
    rows,
  };
}

/** The tables that it writes, in the order of its text; else how it begins. */
function whatItDoes(text: string): string {
  const written = [...text.matchAll(/\b(INSERT INTO|UPDATE|DELETE FROM) "?([a-z_]+)"?/g)];
  if (written.length === 0) return `\`${text.replaceAll(/\s+/g, ' ').slice(0, 60)}\``;
  const words = { 'INSERT INTO': 'inserts', UPDATE: 'updates', 'DELETE FROM': 'deletes' } as const;
  return [...new Set(written.map(([, verb, table]) => `${words[verb as keyof typeof words]} ${table}`))].join(', ');
}

function redisCommands({ plain: { events, stores } }: Findings): Table {
  const commands = [...stores.redisCommands].filter(([, { calls }]) => calls / events >= leastPerEvent);
  const rows = commands
    .filter(([, { us }]) => us / events >= leastRedisUs)
    .toSorted(([, a], [, b]) => b.us - a.us)
    .map(([name, { calls, us }]) => [
      name,
      formatNumber(calls / events),
      formatNumber(us / calls),
      formatNumber(us / events),
    ]);
  const { read, written } = stores.redisBytes;
  return {
    title:
      'Commands of Redis, timed by the clock; a script (evalsha) has in its time what it calls, which is counted by itself too',
    head: ['command', 'per event', 'µs a call', 'µs an event'],
    rows: [
      ...rows,
      ['bytes in', formatNumber(read / events), '', ''],
      ['bytes out', formatNumber(written / events), '', ''],
    ],
  };
}

function postgres({ plain: { events, stores } }: Findings): Table {
  const rows = [...stores.postgres]
    .filter(([, count]) => count / events >= leastPerEvent)
    .map(([what, count]) => [what, formatNumber(count / events)]);
  return { title: 'What Postgres does', head: ['what', 'per event'], rows };
}

function owners({ profiled: { profiles } }: Findings): Table {
  const rows = profiles.flatMap(({ name, frame }) =>
    [...timeByOwner(frame)]
      .filter(([, us]) => us / frame.totalUs >= 0.02)
      .map(([owner, us]) => [name, owner, `${Math.round((us / frame.totalUs) * 100)} %`]),
  );
  return {
    title: 'Whose code is running, by the clock (who waits for a core in the middle of a call is in that call)',
    head: ['process', 'code of', 'share'],
    rows,
  };
}
