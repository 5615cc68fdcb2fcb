import { z } from 'zod';
import type { Ordering } from '../../src/events/catalogue.js';
import { defineEvent } from '../../src/events/definition.js';
import { defineHandlerFor, failureData, type AttemptContext } from '../../src/execution/handler.js';
import { exponential } from '../../src/execution/retry.js';
import type { Json } from '../../src/platform/text.js';
import { startCore, type Core, type CoreOptions, type QueueMode } from './core.js';
import { eventually } from './signals.js';

const Asked = defineEvent({
  type: 'probe.run.requested',
  aggregateType: 'probe',
  origin: 'client',
  data: z.object({ n: z.number() }),
});
export const Done = defineEvent({
  type: 'probe.run.completed',
  aggregateType: 'probe',
  origin: 'handler',
  data: z.object({ n: z.number() }),
});
const Failed = defineEvent({ type: 'probe.run.failed', aggregateType: 'probe', origin: 'handler', data: failureData });
export const Chained = defineEvent({
  type: 'probe.echo.requested',
  aggregateType: 'probe',
  origin: 'handler',
  data: z.object({ n: z.number() }),
});
const EchoFailed = defineEvent({
  type: 'probe.echo.failed',
  aggregateType: 'probe',
  origin: 'handler',
  data: failureData,
});

export type Run = (context: AttemptContext<{ n: number }, null>) => Promise<Json | void>;

interface ProbeOptions extends Pick<
  CoreOptions<null>,
  'withFastPath' | 'withLaneReleases' | 'window' | 'redisUrl' | 'wrap'
> {
  /** Of both handlers. */
  readonly ordered?: Ordering;
}

const probe = (run: Run, { ordered }: ProbeOptions) =>
  defineHandlerFor<null>()({
    ...(ordered && { ordered }),
    on: Asked,
    emits: [Done, Chained],
    failure: Failed,
    retry: { attempts: 3, backoff: exponential({ baseMs: 5, jitter: 0 }) },
    run,
  });

const echo = ({ ordered }: ProbeOptions) =>
  defineHandlerFor<null>()({
    ...(ordered && { ordered }),
    on: Chained,
    emits: [],
    failure: EchoFailed,
    async run({ event, notify }) {
      notify.success('probe.echo.completed', { n: event.data.n });
    },
  });

/** Cores that are running; a test file stops them in its afterEach. */
const running: Core[] = [];

/** A core whose `probe.run.requested` is handled by `run`. */
export async function startProbe(mode: QueueMode, run: Run, more: ProbeOptions = {}) {
  const started = await startCore<null>({
    mode,
    events: [Asked, Done, Failed, Chained, EchoFailed],
    handlers: [probe(run, more), echo(more)],
    services: null,
    ...more,
  });
  running.push(started);
  // What adds to a queue fails at once while its connection is being made.
  await eventually(
    () =>
      started.backend.ping().then(
        () => true,
        () => undefined,
      ),
    'the queues',
  );
  return started;
}

export async function stopProbes(): Promise<void> {
  for (const core of running.splice(0)) await core.stop();
}

export const ask = (n = 1, more = {}) => ({ type: 'probe.run.requested', data: { n }, ...more });
