import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { withMutant, type Patch } from './mutant.ts';
import type { Result } from './report.ts';
import { endChild, startChild } from './stack/child.ts';

/** Runs faults on builds without guards, one after the other. */
export class MutantRuns {
  readonly #seed: string;
  #running: ChildProcess | undefined;
  #isOver = false;

  constructor(seed: string) {
    this.#seed = seed;
  }

  /**
   * @returns what each fault came to, by its name; without those that came to nothing
   * @throws Error where a patch does not fit, or all is over.
   */
  run(patches: readonly Patch[], scenarios: readonly string[]): Promise<ReadonlyMap<string, Result>> {
    return withMutant(patches, (dist) => this.#run(dist, scenarios));
  }

  /** What a run has started ends with it, and no other one begins. */
  async end(): Promise<void> {
    this.#isOver = true;
    if (this.#running !== undefined) await endChild(this.#running, 'SIGTERM', 30_000);
  }

  async #run(dist: string, scenarios: readonly string[]): Promise<ReadonlyMap<string, Result>> {
    if (this.#isOver) throw new Error('interrupted');
    const only = scenarios.flatMap((name) => ['--only', name]);
    const child = await startChild(
      process.execPath,
      [path.join(import.meta.dirname, 'main.ts'), '--json', '--discard', '--seed', this.#seed, ...only],
      { env: { ...process.env, FAULTS_DIST: dist }, stdio: ['ignore', 'pipe', 'inherit'] },
    );
    this.#running = child;
    if (child.stdout === null) throw new Error('the run has no output');
    const results = new Map<string, Result>();
    createInterface({ input: child.stdout }).on('line', (line) => {
      const result = JSON.parse(line) as Result;
      results.set(result.name, result);
    });
    await once(child, 'close');
    this.#running = undefined;
    return results;
  }
}
