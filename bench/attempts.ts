import { limits } from './limits.ts';
import type { Bench, Measure, MeasureReport } from './measure.ts';
import type { Progress } from './progress.ts';
import { judge } from './report/judge.ts';
import type { MeasureResult } from './report/report.ts';
import { endStrays, ownChildren } from './strays.ts';

type Attempt = Pick<MeasureResult, 'durationMs' | 'report' | 'error'>;

/**
 * Runs measures so that one that fails is a failed row: what it left running takes no part in the next one, and what is thrown
 * where nobody awaits it (a connection that was cut) fails the measure that runs, and not the run.
 */
export class Attempts {
  readonly #progress: Progress;
  #fail: ((error: Error) => void) | undefined;

  constructor(progress: Progress) {
    this.#progress = progress;
    process.on('uncaughtException', (error) => {
      if (this.#fail === undefined) progress.print(`      thrown when its measure was over: ${error.message}`);
      else this.#fail(error);
    });
  }

  async run(measure: Measure, bench: Bench): Promise<Attempt> {
    const beganAt = performance.now();
    const before = await ownChildren();
    try {
      const report = await this.#unlessBroken(measure.run(bench));
      this.#progress.end(...summary(report));
      return { durationMs: performance.now() - beganAt, report };
    } catch (thrown) {
      const error = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
      this.#progress.end('✗', `failed: ${error}`);
      for (const stray of await endStrays(before)) this.#progress.print(`      ended what it left: ${stray}`);
      return { durationMs: performance.now() - beganAt, error };
    }
  }

  async #unlessBroken<T>(running: Promise<T>): Promise<T> {
    const { promise: broken, reject } = Promise.withResolvers<never>();
    this.#fail = reject;
    try {
      return await Promise.race([running, broken]);
    } finally {
      this.#fail = undefined;
    }
  }
}

function summary({ figures }: MeasureReport): ['✓' | '✗', string] {
  const missed = figures.filter((figure) => judge(figure, limits) === 'missed').map(({ id }) => id);
  if (missed.length > 0) return ['✗', `missed: ${missed.join(', ')}`];
  return ['✓', `${figures.length} ${figures.length === 1 ? 'figure' : 'figures'}`];
}
