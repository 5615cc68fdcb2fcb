import type { LoadPlan, LoadResult } from './plan.ts';
import { Program } from './program.ts';

const generator = new URL('http.ts', import.meta.url).pathname;

/**
 * Load over HTTP from a process of its own.
 * @throws Error where most requests were not answered with the expected status: such a run says nothing. Few are what a server
 * sheds under too much load; they count for nothing.
 */
export async function driveHttp(plan: LoadPlan): Promise<LoadResult> {
  const program = await Program.start(generator, { name: 'http load' });
  try {
    const result = await program.ask<LoadResult>('drive', plan);
    if (result.failed >= result.answered)
      throw new Error(`${result.failed} requests to ${plan.path} were not answered ${plan.status}`);
    // What is refused has no latency: a server that sheds would look quick.
    if (plan.arrivals !== undefined && result.failed > result.answered / 1_000)
      throw new Error(
        `${result.failed} requests to ${plan.path}, which came at a rate, were not answered ${plan.status}`,
      );
    return result;
  } finally {
    await program.stop();
  }
}
