import { setTimeout as delay } from 'node:timers/promises';
import type { Site } from './site.ts';

interface Fault {
  readonly name: string;
  /** When it comes, as a share of the time. */
  readonly at: number;
  /** Only where the run is that long: its consequences take their time. */
  readonly fromSeconds?: number;
  act(site: Site, seconds: number): Promise<unknown> | void;
}

/** What happens to the processes while connections are cut and traffic goes on. */
const faults: readonly Fault[] = [
  { name: 'worker-1 killed', at: 0.04, act: ({ stack }) => stack.one('worker', 0).kill() },
  { name: 'realtime-1 killed', at: 0.12, act: (site) => site.replicas(0).forEach((role) => role.kill()) },
  {
    name: 'Redis killed, back empty',
    at: 0.25,
    async act({ stack }, seconds) {
      await stack.redis.kill();
      await delay(Math.min(2_000, seconds * 50));
      await stack.redis.start();
    },
  },
  {
    name: 'realtime-2 drained by SIGTERM',
    at: 0.4,
    act: (site) => Promise.all(site.replicas(1).map((role) => role.restart())),
  },
  { name: 'FLUSHALL', at: 0.56, act: ({ stack }) => stack.redis.client.flushall() },
  { name: 'realtime-2 killed', at: 0.64, act: (site) => site.replicas(1).forEach((role) => role.kill()) },
  { name: 'worker-2 killed', at: 0.7, fromSeconds: 30, act: ({ stack }) => stack.one('worker', 1).kill() },
  {
    name: 'realtime-1 frozen',
    at: 0.78,
    async act(site, seconds) {
      for (const role of site.replicas(0)) role.freeze();
      await delay(Math.min(3_000, seconds * 80));
      for (const role of site.replicas(0)) role.thaw();
    },
  },
  { name: 'connections to Redis reset', at: 0.93, act: ({ stack }) => stack.redisProxy.reset() },
];

/** One after the other, each at its time or when the one before it is over. @returns what came about, with its second */
export async function actFaults(site: Site, seconds: number): Promise<string[]> {
  const beganAt = performance.now();
  const acted: string[] = [];
  for (const { name, at, fromSeconds = 0, act } of faults) {
    if (seconds < fromSeconds) continue;
    await delay(Math.max(0, at * seconds * 1_000 - (performance.now() - beganAt)));
    acted.push(`${name} (${((performance.now() - beganAt) / 1_000).toFixed(1)} s)`);
    await act(site, seconds);
  }
  return acted;
}
