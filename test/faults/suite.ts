import { rm } from 'node:fs/promises';
import path from 'node:path';
import type { Calm } from './checker/check.ts';
import { tableFooter, tableHeader, tableRow, type Result } from './report.ts';
import { runScenario } from './run.ts';
import type { Scenario } from './scenario.ts';
import { calm, warmUp } from './scenarios/calm.ts';
import { mountSmallDisk, smallDiskSettings, unmountSmallDisk } from './stack/small-disk.ts';
import { Stack } from './stack/stack.ts';

export interface SuiteOptions {
  readonly directory: string;
  readonly seed: number;
  readonly isJson: boolean;
  /** Whether the logs of what was wrong go, too. */
  readonly doesDiscard: boolean;
}

const nothingMeasured: Calm = { startMs: 0, callMs: 0, toldMs: 0 };

/** Runs scenarios on one stack, one after the other; on a new one where the old one did not come to rest. */
export class Suite {
  readonly #options: SuiteOptions;
  readonly #results: Result[] = [];
  /** Also one that is still starting, so that an interruption finds it. */
  #stack: Promise<Stack> | undefined;
  #smallDisk: string | undefined;
  #stacks = 0;
  #calm = nothingMeasured;

  constructor(options: SuiteOptions) {
    this.#options = options;
  }

  /** @returns whether all held */
  async run(scenarios: readonly Scenario[]): Promise<boolean> {
    const beganAt = performance.now();
    const { seed, isJson } = this.#options;
    if (!isJson) this.#say(tableHeader());
    try {
      await this.#measure();
      for (const scenario of scenarios) await this.#runOne(scenario);
    } finally {
      await this.end({ keep: !this.#isOk && !this.#options.doesDiscard });
    }
    if (!isJson) this.#say(tableFooter(this.#results, seed, (performance.now() - beganAt) / 1_000));
    return this.#isOk;
  }

  async end({ keep }: { readonly keep: boolean }): Promise<void> {
    await this.#dropStack();
    if (!keep) await rm(this.#options.directory, { recursive: true, force: true });
  }

  get #isOk(): boolean {
    return this.#results.every(({ violations }) => violations.length === 0);
  }

  /** How fast this machine is right now, without a fault. */
  async #measure(): Promise<void> {
    this.#stack = this.#startStack('large');
    const stack = await this.#stack;
    await runScenario(stack, warmUp, this.#options.seed, nothingMeasured);
    const { result, slowest } = await runScenario(stack, calm, this.#options.seed, nothingMeasured);
    this.#calm = slowest;
    this.#note(result);
  }

  async #runOne(scenario: Scenario): Promise<void> {
    const isSmall = scenario.disk === 'small';
    if (isSmall) await this.#dropStack();
    this.#stack ??= this.#startStack(isSmall ? 'small' : 'large');
    const { result } = await runScenario(await this.#stack, scenario, this.#options.seed, this.#calm);
    this.#note(result);
    const isUnknown = result.violations.some(
      ({ invariant }) => invariant === 'undrained' || invariant === 'fault-not-reached',
    );
    if (isSmall || isUnknown) await this.#dropStack();
  }

  #note(result: Result): void {
    this.#results.push(result);
    this.#say(this.#options.isJson ? JSON.stringify(result) : tableRow(result));
  }

  async #startStack(disk: 'large' | 'small'): Promise<Stack> {
    const directory = path.join(this.#options.directory, `stack-${(this.#stacks += 1)}`);
    if (disk === 'large') return Stack.start({ directory });
    this.#smallDisk = await mountSmallDisk(directory);
    return Stack.start({
      directory,
      postgresDirectory: path.join(this.#smallDisk, 'postgres'),
      postgresSettings: smallDiskSettings,
    });
  }

  async #dropStack(): Promise<void> {
    const starting = this.#stack;
    this.#stack = undefined;
    // One that could not start has taken down what it had.
    const stack = await starting?.catch(() => undefined);
    await stack?.stop();
    const place = this.#smallDisk;
    this.#smallDisk = undefined;
    if (place !== undefined) await unmountSmallDisk(place);
  }

  #say(text: string): void {
    process.stdout.write(`${text}\n`);
  }
}
