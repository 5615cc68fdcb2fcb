import { z } from 'zod';
import type * as Definition from '../../../src/events/definition.js';
import type * as Retry from '../../../src/execution/retry.js';
import type * as Features from '../../../src/features/feature.js';
import type * as Program from '../../../src/processes/program.js';

/** The program as it was built: Node runs this file as it stands, and would not find what src imports. */
const load = (file: string): Promise<unknown> => import(new URL(`../../../dist/${file}`, import.meta.url).href);
const { defineEvent } = (await load('events/definition.js')) as typeof Definition;
const { exponential } = (await load('execution/retry.js')) as typeof Retry;
const { defineFailure, defineHandler } = (await load('features/feature.js')) as typeof Features;
export const { runProgram } = (await load('processes/program.js')) as typeof Program;

/** How a job treats its process. */
const Asked = defineEvent({
  type: 'poison.run.requested',
  aggregateType: 'poison',
  origin: 'client',
  data: z.object({
    how: z.enum(['exit', 'kill', 'loop', 'hog', 'fail', 'wait', 'work']),
    /** Of `work` and `wait`. */
    ms: z.number().int().min(0).max(120_000).default(0),
  }),
});
const Failed = defineFailure('poison.run.failed', 'poison');
const Echo = defineEvent({
  type: 'poison.echo.requested',
  aggregateType: 'poison',
  origin: 'handler',
  data: z.object({}),
});
const EchoFailed = defineFailure('poison.echo.failed', 'poison');

const sleep = (ms: number, signal?: AbortSignal): Promise<void> =>
  new Promise((resolve, reject) => {
    setTimeout(resolve, ms);
    signal?.addEventListener('abort', () => reject(signal.reason as Error));
  });

/** It yields, so that it is its memory and not the watchdog that ends it. */
async function hog(): Promise<never> {
  const kept: unknown[] = [];
  for (;;) {
    kept.push(Array.from({ length: 20_000 }, (_, n) => ({ n })));
    await new Promise((resolve) => setImmediate(resolve));
  }
}

const run = defineHandler({
  on: Asked,
  emits: [Echo],
  failure: Failed,
  retry: { attempts: 2, backoff: exponential({ baseMs: 10, jitter: 0 }) },
  async run({ event, step, emit, notify, progress, logger, signal, services }) {
    const { how, ms } = event.data;
    const pid = process.pid;
    const isAlone = process.argv.includes('--isolated-job');
    await step.transaction(`started-${isAlone ? 'alone' : 'beside'}`, async (tx) => {
      await tx
        .insertInto('projects')
        .values({ userId: event.userId, id: event.id, name: `${isAlone ? 'alone' : 'beside'} ${pid}` })
        .onConflict((conflict) => conflict.columns(['userId', 'id']).doNothing())
        .execute();
    });
    progress(10, 'started');
    logger.info(`runs ${isAlone ? 'alone' : 'beside others'} in ${pid}`);
    if (how === 'exit') process.exit(7);
    if (how === 'kill') process.kill(pid, 'SIGKILL');
    if (how === 'hog') await hog();
    if (how === 'loop') for (;;);
    if (how === 'fail') throw new Error('failed on purpose');
    if (how === 'wait') {
      await sleep(ms, signal).catch(async (thrown: unknown) => {
        // Outside the fence on purpose: what it saw, for the test to read.
        await services.sql
          .insertInto('projects')
          .values({ userId: 'witness', id: event.id, name: String((thrown as { why?: string }).why) })
          .execute();
        throw thrown;
      });
    }
    if (how === 'work') await sleep(ms);
    emit(Echo, {});
    notify.success('poison.run.completed', { isAlone });
  },
});

const echo = defineHandler({ on: Echo, emits: [], failure: EchoFailed, run: async () => undefined });

export const features: readonly Features.Feature[] = [
  { name: 'poison', events: [Asked, Failed, Echo, EchoFailed], handlers: [run, echo], reads: [] },
];
