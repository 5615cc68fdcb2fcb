import type { AttemptContext, Handler, Step, StepContext } from '../execution/handler.js';
import { NonRetryableError } from '../execution/retry.js';

/**
 * Where an attempt can die. `during:<step>` is after the step's effect and before its record; of a `step.transaction`, inside the
 * transaction, which is then rolled back.
 */
export type CrashPoint =
  | 'claimed'
  | `before:${string}`
  | `during:${string}`
  | `after:${string}`
  | 'before-commit'
  | 'after-commit';

/** What is done to an event's attempts, each thing once. The names are those of steps. */
export interface Disturbances {
  /** The process dies before the step does anything. */
  readonly crashBefore?: string;
  /** It dies after the step's effect, before its record; in a transaction, before COMMIT. */
  readonly crashDuring?: string;
  /** It dies after the step is recorded. */
  readonly crashAfter?: string;
  /** It dies before or after the attempt's end is committed. */
  readonly crashOnCommit?: 'before' | 'after';
  /** Any crash point by its name, as `survivesCrashes` reports them. */
  readonly crashAt?: CrashPoint;
  /** The step throws, before its effect, an error that is tried again. */
  readonly failOnce?: string;
  /** The handler throws, after the step is recorded, an error that makes the job a dead letter: what a replay begins with. */
  readonly dieAfter?: string;
}

type Act = 'crash' | 'fail' | 'die';

interface Planned {
  readonly point: CrashPoint;
  readonly act: Act;
}

/** What an event's attempts showed, and what is still to be done to them. */
export class Probe {
  /** In order, each once. */
  readonly reached = new Set<CrashPoint>();
  readonly progress: { readonly percent: number; readonly message?: string }[] = [];
  readonly idempotencyKeys: Record<string, string[]> = {};
  readonly streamed: string[] = [];
  #planned: Planned[] = [];

  plan(disturbances: Disturbances): void {
    this.#planned.push(...toPlan(disturbances));
  }

  get isToCrash(): boolean {
    return this.#planned.some(({ act }) => act === 'crash');
  }

  /** What was planned and did not happen. */
  get missed(): readonly CrashPoint[] {
    return this.#planned.map(({ point }) => point);
  }

  /** @returns what is to happen here, now, once. */
  reach(point: CrashPoint): Act | undefined {
    this.reached.add(point);
    const found = this.#planned.find((planned) => planned.point === point);
    this.#planned = this.#planned.filter((planned) => planned !== found);
    return found?.act;
  }
}

function toPlan(given: Disturbances): Planned[] {
  const { crashBefore, crashDuring, crashAfter, crashOnCommit, crashAt, failOnce, dieAfter } = given;
  const planned: (Planned | undefined)[] = [
    failOnce === undefined ? undefined : { point: `before:${failOnce}`, act: 'fail' },
    crashBefore === undefined ? undefined : { point: `before:${crashBefore}`, act: 'crash' },
    crashDuring === undefined ? undefined : { point: `during:${crashDuring}`, act: 'crash' },
    crashAfter === undefined ? undefined : { point: `after:${crashAfter}`, act: 'crash' },
    crashOnCommit === undefined ? undefined : { point: `${crashOnCommit}-commit`, act: 'crash' },
    crashAt === undefined ? undefined : { point: crashAt, act: 'crash' },
    dieAfter === undefined ? undefined : { point: `after:${dieAfter}`, act: 'die' },
  ];
  return planned.filter((one) => one !== undefined);
}

/** Of a worker: resolves where the attempt goes on, throws what the plan wants, and never settles where the process is dead. */
export type Reach = (eventId: string, point: CrashPoint) => Promise<void>;

class PlannedFailure extends Error {
  override readonly name = 'PlannedFailure';
}

export function throwPlanned(act: Exclude<Act, 'crash'>, point: CrashPoint): never {
  if (act === 'die') throw new NonRetryableError('planned_death', `The test ended this job at "${point}".`);
  throw new PlannedFailure(`the test failed this attempt at "${point}"`);
}

/** The handler, its attempts passing every crash point; what it says on the way is noted. */
export function observeHandler<Services>(
  handler: Handler<Services>,
  reach: Reach,
  probeOf: (eventId: string) => Probe,
): Handler<Services> {
  return {
    ...handler,
    async run(context) {
      const { id } = context.event;
      await reach(id, 'claimed');
      return handler.run(observeContext(context, probeOf(id), (point) => reach(id, point)));
    },
  };
}

function observeContext<Services>(
  context: AttemptContext<unknown, Services>,
  probe: Probe,
  reach: (point: CrashPoint) => Promise<void>,
): AttemptContext<unknown, Services> {
  return {
    ...context,
    step: observeStep(context.step, probe, reach),
    progress: (percent, message) => {
      probe.progress.push({ percent, ...(message !== undefined && { message }) });
      context.progress(percent, message);
    },
    stream: {
      write: (text) => {
        probe.streamed.push(text);
        context.stream.write(text);
      },
    },
  };
}

function observeStep(step: Step, probe: Probe, reach: (point: CrashPoint) => Promise<void>): Step {
  const effect =
    <Given extends unknown[], T>(name: string, fn: (...given: Given) => Promise<T>) =>
    async (...given: Given): Promise<T> => {
      await reach(`before:${name}`);
      const output = await fn(...given);
      await reach(`during:${name}`);
      return output;
    };
  const whole = async <T>(name: string, run: () => Promise<T>): Promise<T> => {
    const output = await run();
    await reach(`after:${name}`);
    return output;
  };
  const run: Pick<Step, never> & ((...args: Parameters<Step>) => ReturnType<Step>) = (name, fn, options) =>
    whole(name, () =>
      step(
        name,
        effect(name, (given: StepContext) => {
          (probe.idempotencyKeys[name] ??= []).push(given.idempotencyKey);
          return fn(given);
        }),
        options,
      ),
    );
  const observed: Omit<Step, never> = {
    transaction: (name, fn, options) => whole(name, () => step.transaction(name, effect(name, fn), options)),
    notify: async (name, notification) => {
      await reach(`before:${name}`);
      await whole(name, () => step.notify(name, notification));
    },
  };
  return Object.assign(run, observed) as Step;
}
