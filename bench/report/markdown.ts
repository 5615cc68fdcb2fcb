import type { Figure } from '../measure.ts';
import { formatDuration, formatNumber, formatTable, formatWithUnit } from './format.ts';
import { judge, ratioOf, type Verdict, type Limits } from './judge.ts';
import type { MeasureResult, Report } from './report.ts';

const titles = {
  full: 'Synap beside what its user would pick instead',
  soak: 'Synap filled, and over time',
  quick: 'A quick run',
};
const words: Readonly<Record<Verdict, string>> = {
  met: '✓ met',
  limit: 'measured limit',
  missed: '✗ missed',
  shown: '–',
};

/** The report for people; what it says is in report.json with every sample. */
export function writeMarkdown(report: Report, limits: Limits): string {
  const sections = report.measures.map((result) => writeMeasure(report, result));
  return [
    `# ${titles[report.kind]}`,
    'Written by the benchmark (`bench/`); how to read it: [docs/performance.md](../../../docs/performance.md). Raw samples: `report.json`.',
    ['## Aims and figures', writeAims(report, limits)].join('\n\n'),
    ...writeLimits(report, limits),
    ...sections,
    writeCircumstances(report),
    '',
  ].join('\n\n');
}

const aimsHead = ['measure', 'Synap', 'peer', 'ratio', 'aim', ''];

/** Some of the figures, by their ids. */
export function writeFigures({ measures }: Report, limits: Limits, ids: readonly string[]): string {
  const figures = measures.flatMap(({ report }) => report?.figures ?? []);
  const chosen = ids.flatMap((id) => figures.filter((figure) => figure.id === id));
  return formatTable(
    aimsHead,
    chosen.map((figure) => aimRow(figure, limits)),
  );
}

export function writeAims({ measures }: Report, limits: Limits): string {
  return formatTable(
    aimsHead,
    measures.flatMap((result) =>
      result.report === undefined
        ? [[result.title, '', '', '', '', `✗ failed: ${firstLine(result.error)}`]]
        : result.report.figures.map((figure) => aimRow(figure, limits)),
    ),
  );
}

function aimRow(figure: Figure, limits: Limits): string[] {
  const { what, unit, synap, peer, aim } = figure;
  const ratio = ratioOf(figure);
  return [
    what,
    formatWithUnit(synap, unit),
    peer === undefined ? '–' : `${peer.name}: ${formatWithUnit(peer.value, unit)}`,
    ratio === undefined ? '–' : `${formatNumber(ratio)} ×`,
    aim?.text ?? 'shown, not aimed at',
    words[judge(figure, limits)],
  ];
}

function writeLimits({ measures }: Report, limits: Limits): string[] {
  const limited = measures
    .flatMap(({ report }) => report?.figures ?? [])
    .filter((figure) => judge(figure, limits) === 'limit');
  if (limited.length === 0) return [];
  return [
    [
      '## Measured limits',
      ...limited.map(
        ({ id, what, peer }) =>
          `- **${what}**${peer === undefined ? '' : ` (${peer.name})`}: ${limits[id]?.reason ?? ''}`,
      ),
    ].join('\n'),
  ];
}

function writeMeasure(report: Report, result: MeasureResult): string {
  const { report: measured, title, error } = result;
  if (measured === undefined) return `## ${title}\n\nFailed:\n\n\`\`\`\n${error ?? ''}\n\`\`\``;
  const pictures = [...measured.plots, ...(measured.graphics ?? [])];
  return [
    `## ${title}`,
    ...pictures.map((picture) => `![${picture.title}](plots/${picture.name}.svg)`),
    ...(measured.tables ?? []).map((table) => `### ${table.title}\n\n${formatTable(table.head, table.rows)}`),
    ...writeUsage(measured.usage),
    ...(measured.notes.length === 0 ? [] : [measured.notes.map((note) => `- ${note}`).join('\n')]),
    `\`${result.name}\`, ${formatDuration(result.durationMs)}${whenElse(report, result)}`,
  ].join('\n\n');
}

/** Where a part was measured anew, its time and its commit are its own. */
function whenElse(report: Report, result: MeasureResult): string {
  return result.at === report.at && result.commit === report.commit
    ? ''
    : `, measured ${result.at} at ${result.commit}`;
}

/** @returns a table, or nothing where nobody was watched */
export function writeUsage(usage: NonNullable<MeasureResult['report']>['usage']): string[] {
  const rows = usage.flatMap(({ contender, processes }) =>
    processes.map(({ name, cpuPercent, peakMemoryMb }) => [
      contender,
      name,
      `${Math.round(cpuPercent)} %`,
      `${Math.round(peakMemoryMb)} MB`,
    ]),
  );
  if (rows.length === 0) return [];
  return [formatTable(['contender', 'process', 'processor (100 % is one core)', 'peak memory'], rows)];
}

function writeCircumstances(report: Report): string {
  const { machine, versions } = report;
  const rows = [
    ['commit', report.commit],
    ['when, how long, seed', `${report.at}, ${formatDuration(report.durationMs)}, ${report.seed}`],
    ['processor', `${machine.processor}, ${machine.cores} cores`],
    ['memory', `${machine.memoryGb} GB`],
    ['kernel', machine.kernel],
    ['disk', `${machine.disk}; 8 KB written and synced in ${machine.fsyncUs} µs (median)`],
    ['Postgres', `${versions['postgres'] ?? ''}: ${machine.postgresSettings}`],
    ['Redis', `${versions['redis'] ?? ''}: ${machine.redisSettings ?? 'nothing on the disk'}`],
    ...Object.entries(versions)
      .filter(([name]) => name !== 'postgres' && name !== 'redis')
      .map(([name, version]) => [name, version]),
  ];
  return `## Made with\n\n${formatTable(['what', 'which'], rows)}`;
}

const firstLine = (content = ''): string => content.split('\n')[0] ?? '';
