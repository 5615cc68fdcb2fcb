import { setTimeout as delay } from 'node:timers/promises';
import { seededRandom } from '../faults/random.ts';
import type { Edges } from './cuts.ts';
import { lastRequestOf, type Device, type Plan } from './plan.ts';
import type { Site } from './site.ts';
import type { Broadcaster } from './traffic.ts';

/**
 * Three losses at the very end of rooms that nothing goes to afterwards, on connections that stay: no next number shows the gap, no
 * reconnect asks for it. What is lost here and not healed by the guard that is there for it stays lost.
 */
export interface Finale {
  readonly plan: Plan;
  readonly site: Site;
  readonly edges: Edges;
  readonly broadcaster: Broadcaster;
  /** @returns whether all devices came to have everything */
  untilEven(): Promise<boolean>;
}

/** Longer than a publisher tries. */
const mutedMs = 3_000;

const thirdOf = <T>(items: readonly T[], nth: number): T[] => items.filter((_, index) => index % 3 === nth);

/** @returns false where the first one was not healed: then there is no more to find */
export async function actFinale(finale: Finale): Promise<boolean> {
  await deaf(finale);
  // The replicas ask everybody to compare heads: that must be over before something else is lost.
  if (!(await finale.untilEven())) return false;
  await mute(finale);
  await joinInABurst(finale);
  return true;
}

/** The realtime processes hear nothing for a moment and then get new connections to Redis: heads tell what was missed. */
async function deaf({ site, broadcaster, plan: { users } }: Finale): Promise<void> {
  site.listening.let('swallow');
  await tellAll(broadcaster, thirdOf(users, 0), 3);
  site.listening.let('refuse');
  site.listening.let('pass');
}

/** Nobody can publish for a moment: what is committed is published by the sweeper. */
async function mute({ site, broadcaster, plan: { users } }: Finale): Promise<void> {
  site.publishing.let('refuse');
  await tellAll(broadcaster, thirdOf(users, 1), 2);
  await delay(mutedMs);
  site.publishing.let('pass');
}

/** Devices come back while their room is told something: between reading and joining nothing may fall. */
async function joinInABurst({ broadcaster, edges, plan }: Finale): Promise<void> {
  const random = seededRandom(plan.options.seed ^ 0x77_77_77_77);
  const users = thirdOf(plan.users, 2);
  const isThere = ({ kind, userId }: Device) => kind === 'synap' && users.includes(userId);
  const cuts = plan.devices.filter(isThere).map(async (device) => {
    await delay(200 + random() * 400);
    await edges.cut(device);
  });
  const burst = users.map(async (user) => {
    const until = performance.now() + 2_000;
    while (performance.now() < until) {
      await broadcaster.tell(user, lastRequestOf(user));
      await delay(80);
    }
  });
  await Promise.all([...cuts, ...burst]);
}

async function tellAll(broadcaster: Broadcaster, users: readonly string[], times: number): Promise<void> {
  for (let nth = 0; nth < times; nth += 1) await Promise.all(users.map((user) => broadcaster.tell(user)));
}
