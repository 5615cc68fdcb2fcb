import { once } from 'node:events';
import path from 'node:path';
import { endChild, startChild } from '../../test/faults/stack/child.ts';
import { within } from '../../test/support/signals.ts';
import { compiled } from '../compiled.ts';
import type { LoadPlan, LoadResult } from './plan.ts';

const program = path.join(import.meta.dirname, 'load.ts');

/** Runs a plan in a process of its own. */
export async function applyLoad(plan: LoadPlan): Promise<LoadResult> {
  const child = await startChild(process.execPath, [await compiled(program)], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  try {
    const ended = once(child, 'exit').then(([code]) => {
      throw new Error(`the load generator ended with ${code}`);
    });
    const answered = once(child, 'message').then(([message]) => message as LoadResult);
    child.send(plan);
    return await within(Promise.race([answered, ended]), 'the load generator', 300_000);
  } finally {
    await endChild(child, 'SIGKILL');
  }
}
