import { build, type Histogram } from 'hdr-histogram-js';
import type { Series } from '../measure.ts';

const percentiles = [50, 90, 99, 99.9] as const;

/** Milliseconds. */
export interface Latencies {
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

/** Up to a minute, to three digits. */
export function toHistogram(microseconds: readonly number[]): Histogram {
  const histogram = build({
    lowestDiscernibleValue: 1,
    highestTrackableValue: 60_000_000,
    numberOfSignificantValueDigits: 3,
  });
  for (const value of microseconds) histogram.recordValue(Math.min(60_000_000, Math.max(1, value)));
  return histogram;
}

export function toLatencies(microseconds: readonly number[]): Latencies {
  const histogram = toHistogram(microseconds);
  const [p50 = Number.NaN, p90 = Number.NaN, p99 = Number.NaN, p999 = Number.NaN] = percentiles.map(
    (percentile) => histogram.getValueAtPercentile(percentile) / 1_000,
  );
  return { p50, p90, p99, p999, max: histogram.maxValue / 1_000 };
}

/** The share that was slower, as 1 / (1 − p), against the latency in ms: on a logarithmic axis every nine takes the same room. */
export function toCurve(name: string, histogram: Histogram): Series {
  const points: [number, number][] = [];
  for (let slower = 1; slower <= histogram.totalCount; slower *= 1.25) {
    points.push([slower, histogram.getValueAtPercentile(100 * (1 - 1 / slower)) / 1_000]);
  }
  return { name, points };
}
