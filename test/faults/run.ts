import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { eventually, within } from '../support/signals.ts';
import { check, slowestOf, usualBounds, type Calm } from './checker/check.ts';
import { countOpen, readHeads, readPostgres, type Facts, type HeardFact } from './checker/facts.ts';
import type { ClientRecord } from './client/main.ts';
import type { ClientSpec } from './client/plan.ts';
import type { ListenerSpec } from './listener/main.ts';
import { readLog } from './log.ts';
import { seededRandom } from './random.ts';
import { countFacts, type Result } from './report.ts';
import type { Scenario, Stage, Violation } from './scenario.ts';
import type { SinkRecord } from './sink/main.ts';
import { endChild, startChild } from './stack/child.ts';
import type { Stack } from './stack/stack.ts';
import { watchWindow } from './window-watch.ts';

const defaultUsers = 6;
/** Longer than any fault lasts: what was not accepted by then is unknown for good. */
const persistMs = 45_000;

/** What a scenario came to, and the slowest of what it measured. */
export interface Outcome {
  readonly result: Result;
  readonly slowest: Calm;
}

interface Run {
  readonly stack: Stack;
  readonly scenario: Scenario;
  readonly seed: number;
  readonly prefix: string;
  readonly directory: string;
  readonly notes: string[];
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
  const run: Run = { stack, scenario, seed, prefix, directory, notes: [], healedAt: undefined };
  const users = Array.from({ length: scenario.load.users ?? defaultUsers }, (_, index) => `${prefix}-u${index}`);
  const tokens = Object.fromEntries(
    await Promise.all(users.map(async (user) => [user, await stack.mint(user)] as const)),
  );
  const listener = await startListener(run, tokens);
  const watch = watchWindow(stack, ['fault.work.requested', 'fault.echo.requested']);
  const found: Violation[] = [];
  let stage: Stage | undefined;
  try {
    stage = await underLoad(run, tokens, found);
    await drain(run, listener, found);
    found.push(...((await scenario.verify?.(stage)) ?? []));
  } finally {
    found.push(...(await watch.stop()));
    await endChild(listener, 'SIGTERM');
  }
  const facts = await gather(run);
  const violations = [...found, ...check(facts, scenario, calm)];
  const result: Result = {
    name: scenario.name,
    seed,
    seconds: (performance.now() - beganAt) / 1_000,
    ...countFacts(facts),
    violations,
    notes: run.notes,
    kept: violations.length === 0 ? undefined : directory,
  };
  return { result, slowest: slowestOf(facts) };
}

/** The client and the fault at once; a fault that does not come about is a failure of the scenario. */
async function underLoad(run: Run, tokens: Record<string, string>, found: Violation[]): Promise<Stage> {
  const { stack, scenario } = run;
  const client = await startClient(run, tokens);
  const ended = once(client, 'exit');
  const stage = createStage(run, seededRandom(run.seed ^ 0x5f_5f_5f_5f));
  if (scenario.act !== undefined) {
    await scenario.act(stage).catch((thrown: unknown) => {
      found.push({ invariant: 'fault-not-reached', count: 1, example: String(thrown) });
    });
    run.healedAt ??= Date.now();
  }
  await stack.heal();
  await within(ended, 'the client to end', scenario.load.seconds * 1_000 + persistMs + 30_000);
  return stage;
}

function createStage(run: Run, random: () => number): Stage {
  const beganAt = performance.now();
  return {
    stack: run.stack,
    random,
    prefix: run.prefix,
    at: (ms) => delay(Math.max(0, ms - (performance.now() - beganAt))),
    healed: () => (run.healedAt = Date.now()),
    note: (text) => run.notes.push(text),
  };
}

async function startClient(
  { stack, scenario, seed, prefix, directory }: Run,
  tokens: Record<string, string>,
): Promise<ChildProcess> {
  const spec: ClientSpec = {
    ...scenario.load,
    seed,
    prefix,
    tokens,
    apiUrls: stack.of('api').map(({ url }) => url),
    log: path.join(directory, 'client.jsonl'),
    timeoutMs: (scenario.bounds?.callMs ?? usualBounds.callMs) + 2_000,
    persistMs,
  };
  return startChild(process.execPath, [path.join(import.meta.dirname, 'client/main.ts'), JSON.stringify(spec)], {
    stdio: ['pipe', 'inherit', 'inherit'],
  });
}

async function startListener({ stack, directory }: Run, tokens: Record<string, string>): Promise<ChildProcess> {
  const spec: ListenerSpec = {
    urls: stack.of('realtime').map(({ url }) => url),
    tokens,
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

/** Until every job has ended and every room is heard to its end. */
async function drain({ stack, scenario, prefix }: Run, listener: ChildProcess, found: Violation[]): Promise<void> {
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
  return [...heads].every(([userId, lastSeq]) => heard[userId] === lastSeq);
}

async function gather({ stack, prefix, directory, healedAt }: Run): Promise<Facts> {
  const [client, heard, sink, postgres] = await Promise.all([
    readLog<ClientRecord>(path.join(directory, 'client.jsonl')),
    readLog<HeardFact>(path.join(directory, 'heard.jsonl')),
    readLog<SinkRecord>(stack.sinkLog),
    readPostgres(stack.postgres.pool, prefix),
  ]);
  return { ...postgres, client, heard, sink: sink.filter(({ userId }) => userId.startsWith(`${prefix}-`)), healedAt };
}
