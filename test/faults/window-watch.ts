import { setInterval as every } from 'node:timers/promises';
import type { Violation } from './scenario.ts';
import { queueWindow, type Stack } from './stack/stack.ts';

const everyMs = 100;
/** Each of the other two processes that enqueue may take the same credits once more in the half second between two looks. */
const overshoot = 2 * queueWindow;

/** Looks all the while at how many jobs of a queue are in Redis; a backlog belongs in Postgres. */
export function watchWindow(stack: Stack, queues: readonly string[]): { stop(): Promise<Violation[]> } {
  let highest = 0;
  const ending = new AbortController();
  const watching = (async () => {
    for await (const _ of every(everyMs, undefined, { signal: ending.signal }))
      for (const queue of queues) highest = Math.max(highest, await countInRedis(stack, queue).catch(() => 0));
  })().catch(() => undefined);
  return {
    async stop() {
      ending.abort();
      await watching;
      const bound = queueWindow + overshoot;
      return highest <= bound
        ? []
        : [
            {
              invariant: 'redis-bound',
              count: highest,
              example: `${highest} jobs of a queue were in Redis; ${bound} may be`,
            },
          ];
    },
  };
}

async function countInRedis(stack: Stack, queue: string): Promise<number> {
  if (!stack.redis.isRunning) return 0;
  const key = (name: string) => `{synap:${queue}}:${queue}:${name}`;
  const { client } = stack.redis;
  const counting = Promise.all([
    client.llen(key('wait')),
    client.zcard(key('prioritized')),
    client.zcard(key('delayed')),
  ]);
  // A Redis that is frozen answers later or never.
  const counts = await Promise.race([counting, new Promise<number[]>((resolve) => setTimeout(resolve, 500, []))]);
  return counts.reduce((sum, count) => sum + count, 0);
}
