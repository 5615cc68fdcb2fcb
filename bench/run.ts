import path from 'node:path';
import { root } from './built.ts';
import { Attempts } from './attempts.ts';
import { limits } from './limits.ts';
import type { Bench, Measure } from './measure.ts';
import { Place } from './place.ts';
import { Progress } from './progress.ts';
import { Random } from './random.ts';
import { compareWithBaseline, updateBaseline, type Baseline } from './report/baseline.ts';
import { writeDocuments } from './report/documents.ts';
import { formatNumber } from './report/format.ts';
import { judge } from './report/judge.ts';
import { describeCommit, describeMachine, describeVersions } from './report/machine.ts';
import { writeAims } from './report/markdown.ts';
import { mergeMeasures, type Kind, type MeasureResult, type Report } from './report/report.ts';
import { readJson, readReport, writeJson, writeReport } from './report/write.ts';

export interface RunOptions {
  readonly only: readonly string[] | undefined;
  readonly seed: number;
  readonly isQuick: boolean;
  /** Of a quick run: its ratios become the baseline's newest. */
  readonly isUpdate: boolean;
  readonly isSoak: boolean;
  readonly out: string | undefined;
}

const results = path.join(root, 'bench/results');
const baselineFile = path.join(results, 'baseline.json');

/** Runs the measures one after another and writes the report. Resolves to the exit code. */
export async function runBench(measures: readonly Measure[], options: RunOptions): Promise<number> {
  const chosen = choose(measures, options);
  const directory = path.resolve(options.out ?? defaultDirectory(options));
  const before = await readReport(directory);
  const usual = await readReport(path.join(results, kindOf(options)));
  const durations = new Map((usual ?? before)?.measures.map(({ name, durationMs }) => [name, durationMs]));
  const beganAt = performance.now();
  const place = await Place.open();
  const progress = new Progress(
    chosen.map(({ name }) => name),
    durations,
  );
  endOnSignals(place, progress);
  try {
    const run = { at: new Date().toISOString(), commit: await describeCommit() };
    const machine = await describeMachine(place.directory);
    const versions = await describeVersions(place);
    const kept = options.only === undefined || options.out === undefined ? [] : (before?.measures ?? []);
    const order = measures.map(({ name }) => name);
    const reportOf = (done: readonly MeasureResult[]): Report => ({
      kind: kindOf(options),
      ...run,
      seed: options.seed,
      durationMs: performance.now() - beganAt,
      machine,
      versions,
      measures: mergeMeasures(order, kept, done),
    });
    const done: MeasureResult[] = [];
    // After each: what half an hour has measured is not lost with the rest.
    for await (const result of runMeasures(chosen, place, options, progress, run)) {
      done.push(result);
      await writeReport(directory, reportOf(done));
    }
    const report = reportOf(done);
    if (options.isQuick) await guard(report, options, progress);
    if (directory.startsWith(results)) await writeDocuments(results);
    progress.stop();
    process.stdout.write(`\n${path.relative(process.cwd(), directory)}/report.md\n\n${writeAims(report, limits)}\n`);
    return exitCode(report);
  } finally {
    progress.stop();
    await place.close();
  }
}

/** Writes the committed report and the documents again, as after a change of the limits. Nothing is measured. Resolves to the exit code. */
export async function rewriteReport(options: Pick<RunOptions, 'isQuick' | 'isSoak'>): Promise<number> {
  const directory = path.join(results, kindOf(options));
  const report = await readReport(directory);
  if (report === undefined) throw new Error(`there is no report in ${directory}`);
  await writeReport(directory, report);
  await writeDocuments(results);
  process.stdout.write(`${writeAims(report, limits)}\n`);
  return exitCode(report);
}

function choose(measures: readonly Measure[], { only, isQuick }: RunOptions): readonly Measure[] {
  if (only === undefined) return measures.filter(({ isSkippedInQuick = false }) => !isQuick || !isSkippedInQuick);
  const unknown = only.filter((name) => measures.every((measure) => measure.name !== name));
  if (unknown.length > 0)
    throw new Error(
      `no measure is named ${unknown.join(', ')}; there are ${measures.map(({ name }) => name).join(', ')}`,
    );
  return measures.filter(({ name }) => only.includes(name));
}

const kindOf = ({ isQuick, isSoak }: Pick<RunOptions, 'isQuick' | 'isSoak'>): Kind =>
  isSoak ? 'soak' : isQuick ? 'quick' : 'full';

/** Only a whole run is the report; a part of it or a quick one lies beside the other things that come and go. */
function defaultDirectory(options: RunOptions): string {
  const isWhole = !options.isQuick && options.only === undefined;
  return isWhole ? path.join(results, kindOf(options)) : path.join(root, '.synap/bench/report', kindOf(options));
}

async function* runMeasures(
  measures: readonly Measure[],
  place: Place,
  options: RunOptions,
  progress: Progress,
  run: { readonly at: string; readonly commit: string },
): AsyncGenerator<MeasureResult> {
  const attempts = new Attempts(progress);
  for (const measure of measures) {
    progress.begin(measure.name);
    const bench: Bench = {
      place,
      random: new Random(options.seed),
      isQuick: options.isQuick,
      pick: (full, quick) => (options.isQuick ? quick : full),
      log: progress.detail,
    };
    yield { name: measure.name, title: measure.title, ...run, ...(await attempts.run(measure, bench)) };
  }
}

/** Compares with the committed baseline; it warns and decides nothing, because a busy machine is no fault of a change. */
async function guard(report: Report, options: RunOptions, progress: Progress): Promise<void> {
  const figures = report.measures.flatMap(({ report: measured }) => measured?.figures ?? []);
  const baseline = (await readJson(baselineFile)) as Baseline | undefined;
  if (options.isUpdate) {
    await writeJson(baselineFile, updateBaseline(figures, baseline, report));
    progress.print(`\n${path.relative(process.cwd(), baselineFile)} has this run now`);
  } else if (baseline === undefined) {
    progress.print('\nthere is no baseline yet: --quick --update writes one');
  } else {
    const warnings = compareWithBaseline(figures, baseline);
    for (const { id, now, baseline: was, worseBy, tolerance } of warnings)
      progress.print(
        `warning: ${id} is ${formatNumber(now)}, ${Math.round(worseBy * 100)} % worse than the baseline's ${formatNumber(was)} (it strays by ${Math.round(tolerance * 100)} %)`,
      );
    if (warnings.length === 0) progress.print(`\nno figure is worse than the baseline of ${baseline.commit}`);
  }
}

function exitCode({ kind, measures }: Report): number {
  if (measures.some(({ error }) => error !== undefined)) return 1;
  if (kind === 'quick') return 0;
  const figures = measures.flatMap(({ report }) => report?.figures ?? []);
  return figures.some((figure) => judge(figure, limits) === 'missed') ? 1 : 0;
}

/** Ctrl-C ends everything that was started: Postgres and Redis here, the rest with this process. */
function endOnSignals(place: Place, progress: Progress): void {
  let isEnding = false;
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(signal, () => {
      if (isEnding) return;
      isEnding = true;
      progress.stop();
      setTimeout(() => process.exit(130), 15_000).unref();
      void place.close().finally(() => process.exit(130));
    });
}
