import type { Place } from './place.ts';
import type { Random } from './random.ts';

/** What a run is made with; every measure gets the same. */
export interface Bench {
  /** A Postgres and a Redis of the run's own, the same for all contenders. */
  readonly place: Place;
  readonly random: Random;
  /** Under three minutes for the whole: fewer rounds, shorter ones. */
  readonly isQuick: boolean;
  /** The first in a full run, the second in a quick one. */
  readonly pick: <T>(full: T, quick: T) => T;
  /** A line for whoever watches. */
  readonly log: (line: string) => void;
}

/** What a figure is judged by: a bound on its ratio to the peer, on its difference, or on itself. */
export interface Aim {
  /** As the table has it: `≥ 0.60 ×`, `< 50 ms`. */
  readonly text: string;
  readonly judged: number;
  readonly atLeast?: number;
  readonly atMost?: number;
}

/** One line of the report's table. */
export interface Figure {
  /** Stable, `accepts/single-64`: the baseline and the known limits name it. */
  readonly id: string;
  readonly what: string;
  /** `/s`, `ms`, `MB`, `s`, `×` */
  readonly unit: string;
  /** The median of the rounds. */
  readonly synap: number;
  readonly peer?: { readonly name: string; readonly value: number };
  /** Absent: shown, and not aimed at. */
  readonly aim?: Aim;
  /** How much of it is better: the baseline warns in that direction. */
  readonly better: 'more' | 'less';
}

export interface Series {
  readonly name: string;
  readonly points: readonly (readonly [x: number, y: number])[];
}

/** Drawn as an SVG of its own. */
export interface Plot {
  /** A file name without its ending: `end-to-end-latency`. */
  readonly name: string;
  readonly title: string;
  readonly kind: 'line' | 'bar';
  readonly x: { readonly label: string; readonly isLog?: boolean; readonly categories?: readonly string[] };
  readonly y: { readonly label: string; readonly isLog?: boolean };
  readonly series: readonly Series[];
}

/** Processor and memory of one contender's process over a round. */
export interface ProcessUsage {
  readonly name: string;
  /** 100 is one core. */
  readonly cpuPercent: number;
  readonly peakMemoryMb: number;
}

export interface Usage {
  readonly contender: string;
  readonly processes: readonly ProcessUsage[];
}

export interface MeasureReport {
  readonly figures: readonly Figure[];
  readonly plots: readonly Plot[];
  /** Of one round of each contender, or of all. */
  readonly usage: readonly Usage[];
  /** How each contender was set up, and whatever a reader must know to believe the figures. */
  readonly notes: readonly string[];
  /** Every round of every contender, as JSON. */
  readonly samples: unknown;
}

export interface Measure {
  /** `accepts`, as `--only` names it. */
  readonly name: string;
  readonly title: string;
  run(bench: Bench): Promise<MeasureReport>;
}
