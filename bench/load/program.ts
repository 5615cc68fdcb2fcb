import { once } from 'node:events';
import type { ChildProcess } from 'node:child_process';
import { startChild } from '../../test/faults/stack/child.ts';
import { compiled } from '../compiled.ts';
import type { LoadPlan, LoadResult } from './plan.ts';

/** A program of the benchmark as a process of its own, which is talked to by messages. */
export async function startProgram(
  entry: string,
  env: Readonly<Record<string, string>> = {},
  nodeFlags: readonly string[] = [],
): Promise<ChildProcess> {
  return startChild(process.execPath, [...nodeFlags, await compiled(entry)], {
    env: { PATH: process.env['PATH'] ?? '', NODE_ENV: 'production', ...env },
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
}

/** @throws Error where the program ends without a word. */
export async function nextMessage<T>(child: ChildProcess): Promise<T> {
  const stop = new AbortController();
  const ended = once(child, 'exit', stop).then(([code]) => {
    throw new Error(`a program of the benchmark ended with ${String(code)} and without an answer`);
  });
  ended.catch(() => undefined);
  try {
    const [message] = (await Promise.race([once(child, 'message', stop), ended])) as [T];
    return message;
  } finally {
    stop.abort();
  }
}

const generator = new URL('http.ts', import.meta.url).pathname;

/**
 * Load over HTTP from a process of its own.
 * @throws Error where most requests were not answered with the expected status: such a run says nothing. Few are what a server
 * sheds under too much load; they count for nothing.
 */
export async function driveHttp(plan: LoadPlan): Promise<LoadResult> {
  const child = await startProgram(generator);
  const answer = nextMessage<LoadResult>(child);
  child.send(plan);
  const result = await answer;
  if (result.failed >= result.answered)
    throw new Error(`${result.failed} requests to ${plan.path} were not answered ${plan.status}`);
  return result;
}
