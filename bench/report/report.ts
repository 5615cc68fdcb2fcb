import type { MeasureReport } from '../measure.ts';
import type { Machine } from './machine.ts';

export type Kind = 'full' | 'quick' | 'soak';

/** What a run came to, as report.json has it. */
export interface Report {
  readonly kind: Kind;
  readonly at: string;
  readonly commit: string;
  readonly seed: number;
  readonly durationMs: number;
  readonly machine: Machine;
  readonly versions: Readonly<Record<string, string>>;
  readonly measures: readonly MeasureResult[];
}

export interface MeasureResult {
  readonly name: string;
  readonly title: string;
  readonly at: string;
  readonly commit: string;
  readonly durationMs: number;
  readonly report?: MeasureReport;
  /** Instead of a report: why there is none. */
  readonly error?: string;
}

/** What ran now, in the places of what ran before: a part of the measures can be repeated into a report. */
export function mergeMeasures(
  order: readonly string[],
  before: readonly MeasureResult[],
  now: readonly MeasureResult[],
): MeasureResult[] {
  const byName = new Map([...before, ...now].map((result) => [result.name, result]));
  return order.flatMap((name) => byName.get(name) ?? []);
}
