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
  /** Of bars: the point's x is the place of its category, from 0. */
  readonly x: Axis & { readonly categories?: readonly string[] };
  readonly y: Axis;
  /** Synap's first, its name beginning so: it has the same colour everywhere. */
  readonly series: readonly Series[];
}

export interface Axis {
  readonly label: string;
  readonly isLog?: boolean;
  /** Where the plain number would say little: 100 is `p99` on an axis of 1/(1 − p). */
  readonly ticks?: readonly { readonly at: number; readonly label: string }[];
}

/** Drawn already, as a flame graph is; it goes beside the plots. */
export interface Graphic {
  readonly name: string;
  readonly title: string;
  readonly svg: string;
}

/** What is neither a figure nor a plot: what one event costs. */
export interface Table {
  readonly title: string;
  readonly head: readonly string[];
  readonly rows: readonly (readonly (string | number)[])[];
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
  readonly graphics?: readonly Graphic[];
  readonly tables?: readonly Table[];
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
  /** It explains figures and has none that a change could make worse. */
  readonly isSkippedInQuick?: boolean;
  run(bench: Bench): Promise<MeasureReport>;
}
