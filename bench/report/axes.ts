import { formatNumber } from './format.ts';
import type { Axis } from '../measure.ts';

export interface Tick {
  readonly at: number;
  readonly label: string;
}

export interface Scale {
  readonly ticks: readonly Tick[];
  /** The value's place between the ends, 0 to 1. */
  readonly place: (value: number) => number;
}

/** A linear axis of numbers ≥ 0 begins at 0: a bar or a curve that begins elsewhere shows differences that are not there. */
export function scaleOf(axis: Axis, values: readonly number[]): Scale {
  const finite = values.filter((value) => Number.isFinite(value) && (axis.isLog !== true || value > 0));
  const least = Math.min(...finite);
  const most = Math.max(...finite);
  if (finite.length === 0) return { ticks: [], place: () => 0 };
  return axis.isLog === true ? logScale(axis, least, most) : linearScale(axis, Math.min(0, least), most);
}

function linearScale(axis: Axis, from: number, most: number): Scale {
  const step = niceStep((most - from) / 5);
  const low = Math.floor(from / step) * step;
  const high = Math.max(low + step, Math.ceil(most / step - 1e-9) * step);
  const count = Math.round((high - low) / step);
  const numbers = Array.from({ length: count + 1 }, (_, index) => low + index * step);
  return {
    ticks: axis.ticks?.filter(({ at }) => at >= low && at <= high) ?? numbers.map((at) => labelled(at)),
    place: (value) => (value - low) / (high - low),
  };
}

/** 1, 2 or 5 times a power of ten, the smallest that is at least this. */
export function niceStep(least: number): number {
  if (!(least > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(least));
  const factor = [1, 2, 5, 10].find((candidate) => candidate * power >= least * (1 - 1e-9)) ?? 10;
  return factor * power;
}

function logScale(axis: Axis, least: number, most: number): Scale {
  const isWide = Math.log10(most / least) > 2;
  const low = decadeAt(least, isWide, Math.floor);
  const high = Math.max(decadeAt(most, isWide, Math.ceil), low * 2);
  const between: number[] = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power += 1)
    for (const factor of isWide ? [1] : [1, 2, 5]) between.push(factor * 10 ** power);
  const inside = (at: number): boolean => at >= low * (1 - 1e-9) && at <= high * (1 + 1e-9);
  return {
    ticks: (axis.ticks ?? between.map((at) => labelled(at))).filter(({ at }) => inside(at)),
    place: (value) => Math.log10(value / low) / Math.log10(high / low),
  };
}

/** The end of a log axis: a power of ten, or with few decades 1, 2 or 5 of one. */
function decadeAt(value: number, isWide: boolean, round: (exponent: number) => number): number {
  if (isWide) return 10 ** round(Math.log10(value));
  const power = 10 ** Math.floor(Math.log10(value) + 1e-9);
  const factors = [1, 2, 5, 10];
  const reached =
    round === Math.floor
      ? factors.findLast((factor) => factor * power <= value * (1 + 1e-9))
      : factors.find((factor) => factor * power >= value * (1 - 1e-9));
  return (reached ?? 1) * power;
}

const labelled = (at: number): Tick => ({ at, label: Math.abs(at) < 1e-12 ? '0' : formatNumber(at) });
