import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { eventually, within } from '../support/signals.ts';
import { check, slowestOf, usualBounds, type Calm } from './checker/check.ts';
import { countOpen, readHeads, readPostgres, type Facts, type HeardFact } from './checker/facts.ts';
import { isOfUser } from './checker/rooms.ts';
import { describeSurge } from './checker/surge.ts';
import { countOpenTicks, readTicks, type Span } from './checker/ticks.ts';
import { findDoubleTickets, findLateCommits } from './checker/stores.ts';
import type { ClientRecord } from './client/main.ts';
import { planRequests, type ClientSpec } from './client/plan.ts';
import type { ListenerSpec } from './listener/main.ts';
import { readLog } from './log.ts';
import { seededRandom } from './random.ts';
import { countFacts, type Result } from './report.ts';
import type { Scenario, Stage, Violation } from './scenario.ts';
import type { SinkRecord } from './sink/main.ts';
import { endChild, startChild } from './stack/child.ts';
import type { Stack } from './stack/stack.ts';
import { watchMemory } from './memory-watch.ts';
import { watchWindow } from './window-watch.ts';

const defaultUsers = 6;
/** Longer than any fault lasts: what was not accepted by then is unknown for good. */
const persistMs = 45_000;
/** Whatever is done, some of what was asked for is due later. */
const delayedOfEach = 8;
/** Every so manieth request has a listener in its room, and no more than so many have: a connection may be in 100. */
const followEvery = 4;
const mostFollowed = 60;
const surgesWithinMs = 90_000;

/** What a scenario came to, and the slowest of what it measured. */
export interface Outcome {
  readonly result: Result;
  readonly slowest: Calm;
}

interface Run {
  readonly stack: Stack;
  readonly scenario: Scenario;
  readonly prefix: string;
  readonly directory: string;
  readonly notes: string[];
  readonly beganAt: number;
  readonly spec: ClientSpec;
  readonly followed: Readonly<Record<string, string>>;
  healedAt: number | undefined;
}

/** A scenario from its first request to the verdict: load and fault, heal, drain, check. */
export async function runScenario(stack: Stack, scenario: Scenario, seed: number, calm: Calm): Promise<Outcome> {
  const beganAt = performance.now();
  const prefix = `f${Date.now().toString(36)}`;
  const directory = path.join(
    stack.directory,
    'runs',
    `${scenario.name.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-')}-${prefix}`,
  );
  await mkdir(directory, { recursive: true });
  const spec = await specOf(stack, scenario, { seed, prefix, directory });
  const notes: string[] = [];
  const followed = chooseFollowed(spec);
  const run: Run = {
    stack,
    scenario,
    prefix,
    directory,
    notes,
    spec,
    followed,
    beganAt: Date.now(),
    healedAt: undefined,
  };
  const listener = await startListener(run);
  const watch = watchWindow(stack, ['fault.work.requested', 'fault.echo.requested']);
  const memory = await watchMemory(stack, scenario.bounds?.memoryMb ?? usualBounds.memoryMb);
  const found: Violation[] = [];
  let span: Span = { from: run.beganAt, to: run.beganAt };
  try {
    await underLoad(run, seed, found);
    span = { from: run.beganAt, to: Date.now() };
    await drain(run, { listener, span }, found);
    found.push(...(await memory.violations()));
    found.push(...(await findDoubleTickets(stack, prefix)), ...(await findLateCommits(stack, prefix)));
  } finally {
    found.push(...(await watch.stop()));
    await endChild(listener, 'SIGTERM');
  }
  const facts = await gather(run, span);
  const violations = [...found, ...check(facts, scenario, calm)];
  const result: Result = {
    name: scenario.name,
    seed,
    seconds: (performance.now() - beganAt) / 1_000,
    ...countFacts(facts),
    violations,
    notes: run.notes,
    figures: scenario.load.surge === undefined ? [] : [...describeSurge(facts.client), await memory.describe()],
    kept: violations.length === 0 ? undefined : directory,
  };
  return { result, slowest: slowestOf(facts) };
}

/** The client and the fault at once; a fault that does not come about is a failure of the scenario. */
async function underLoad(run: Run, seed: number, found: Violation[]): Promise<void> {
  const { stack, scenario } = run;
  const client = await startClient(run.spec);
  const ended = once(client, 'exit');
  const sendsForMs = scenario.load.surge === undefined ? scenario.load.seconds * 1_000 : surgesWithinMs;
  const answered = async () => {
    await within(ended, 'the client to end', sendsForMs + persistMs + 30_000);
  };
  const stage = createStage(run, {
    random: seededRandom(seed ^ 0x5f_5f_5f_5f),
    answered,
    find: (invariant, example) => found.push({ invariant, count: 1, example }),
  });
  if (scenario.act !== undefined) {
    await scenario.act(stage).catch((thrown: unknown) => {
      found.push({ invariant: 'fault-not-reached', count: 1, example: String(thrown) });
    });
    run.healedAt ??= Date.now();
  }
  await stack.heal();
  await answered();
}

function createStage(run: Run, given: Pick<Stage, 'random' | 'answered' | 'find'>): Stage {
  const beganAt = performance.now();
  return {
    stack: run.stack,
    ...given,
    prefix: run.prefix,
    at: (ms) => delay(Math.max(0, ms - (performance.now() - beganAt))),
    healed: () => (run.healedAt = Date.now()),
    note: (text) => run.notes.push(text),
  };
}

async function specOf(
  stack: Stack,
  { load, bounds }: Scenario,
  { seed, prefix, directory }: { readonly seed: number; readonly prefix: string; readonly directory: string },
): Promise<ClientSpec> {
  const users = Array.from({ length: load.users ?? defaultUsers }, (_, index) => `${prefix}-u${index}`);
  const tokens = await Promise.all(users.map(async (user) => [user, await stack.mint(user)] as const));
  return {
    ...load,
    extra: { delayed: delayedOfEach, ...load.extra },
    seed,
    prefix,
    tokens: Object.fromEntries(tokens),
    // A surge is too much for one of them; two would only make it twice as large.
    apiUrls: stack
      .of('api')
      .map(({ url }) => url)
      .slice(0, load.surge === undefined ? undefined : 1),
    log: path.join(directory, 'client.jsonl'),
    timeoutMs: (bounds?.callMs ?? usualBounds.callMs) + 2_000,
    persistMs,
  };
}

/** Whose requests are listened to, by their refs. What a surge will send is not known yet. */
function chooseFollowed(spec: ClientSpec): Record<string, string> {
  if (spec.surge !== undefined) return {};
  const chosen = planRequests(spec).filter((_, index) => index % followEvery === 0);
  return Object.fromEntries(chosen.slice(0, mostFollowed).map(({ ref, userId }) => [ref, userId]));
}

async function startClient(spec: ClientSpec): Promise<ChildProcess> {
  return startChild(process.execPath, [path.join(import.meta.dirname, 'client/main.ts'), JSON.stringify(spec)], {
    stdio: ['pipe', 'inherit', 'inherit'],
  });
}

async function startListener({ stack, directory, spec: { tokens }, followed }: Run): Promise<ChildProcess> {
  const spec: ListenerSpec = {
    urls: stack.of('realtime').map(({ url }) => url),
    tokens,
    requests: followed,
    log: path.join(directory, 'heard.jsonl'),
  };
  const listener = await startChild(
    process.execPath,
    [path.join(import.meta.dirname, 'listener/main.ts'), JSON.stringify(spec)],
    {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    },
  );
  await within(once(listener, 'message'), 'the listeners to join', 20_000);
  return listener;
}

/** Until every job has ended, those of the schedule too, and every room is heard to its end. */
async function drain(
  { stack, scenario, prefix }: Run,
  { listener, span }: { readonly listener: ChildProcess; readonly span: Span },
  found: Violation[],
): Promise<void> {
  const { pool } = stack.postgres;
  const deadline = performance.now() + (scenario.bounds?.drainMs ?? usualBounds.drainMs);
  const left = () => Math.max(1, deadline - performance.now());
  try {
    await eventually(
      async () => ((await countOpen(pool, prefix)) === 0 ? true : undefined),
      'every job to end',
      left(),
    );
    await eventually(
      async () => ((await countOpenTicks(pool, span)) === 0 ? true : undefined),
      'every tick to have its end',
      left(),
    );
    await eventually(
      async () => ((await hasHeardAll(stack, prefix, listener)) ? true : undefined),
      'every room to be heard to its end',
      left(),
    );
  } catch (thrown) {
    found.push({ invariant: 'undrained', count: 1, example: String(thrown) });
  }
}

async function hasHeardAll(stack: Stack, prefix: string, listener: ChildProcess): Promise<boolean> {
  await delay(50);
  listener.send('heads');
  const [heard] = (await within(once(listener, 'message'), 'the listeners to say how far they are')) as [
    Record<string, number>,
  ];
  const heads = await readHeads(stack.postgres.pool, prefix);
  return [...heads].every(([room, lastSeq]) => (heard[room] ?? (isOfUser({ room }) ? 0 : lastSeq)) === lastSeq);
}

async function gather({ stack, prefix, directory, healedAt, followed }: Run, span: Span): Promise<Facts> {
  const [client, heard, sink, ticks, postgres] = await Promise.all([
    readLog<ClientRecord>(path.join(directory, 'client.jsonl')),
    readLog<HeardFact>(path.join(directory, 'heard.jsonl')),
    readLog<SinkRecord>(stack.sinkLog),
    readTicks(stack.postgres.pool, span),
    readPostgres(stack.postgres.pool, prefix),
  ]);
  return {
    ...postgres,
    client,
    heard,
    sink: sink.filter(({ userId }) => userId.startsWith(`${prefix}-`)),
    followed: new Set(Object.keys(followed).map((ref) => `request_${ref}`)),
    ticks,
    span,
    healedAt,
  };
}
