import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { endChild, startChild } from '../../../test/faults/stack/child.ts';
import { within } from '../../../test/support/signals.ts';
import { root } from '../../built.ts';
import { compiled } from '../../compiled.ts';
import type { PeerMessage } from '../../peers/peer.ts';
import type { Place } from '../../place.ts';
import { productionEnvironment, productionFlags } from '../../production.ts';
import { watchedStores } from '../../synap.ts';
import { UsageWatch } from '../../usage.ts';
import { steadyRate, type Drained } from './contender.ts';

const preparesWithinMs = 120_000;
const drainsWithinMs = 120_000;

/** One round of a peer: a fresh database, its backlog stored, then worked off by its one process. */
export async function drainPeer(place: Place, name: string, count: number, isOnRedis: boolean): Promise<Drained> {
  const databaseUrl = await place.database({ isMigrated: false });
  const program = await compiled(path.join(root, `bench/peers/${name}.ts`));
  const child = await startChild(
    process.execPath,
    [...productionFlags, program, isOnRedis ? place.redisUrl : databaseUrl, String(count)],
    {
      env: { PATH: process.env['PATH'] ?? '', ...productionEnvironment },
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    },
  );
  try {
    await heard(child, name, preparesWithinMs);
    if (!isOnRedis) await place.analyze(databaseUrl);
    await place.checkpoint();
    const usage = await UsageWatch.start([{ name, pid: child.pid ?? 0 }, ...watchedStores(place)]);
    const drained = heard(child, name, drainsWithinMs);
    child.send('go');
    const { ends } = await drained;
    if (ends.length !== count) throw new Error(`${name} ended ${ends.length} jobs of ${count}`);
    return { jobs: count, perSecond: steadyRate(ends), usage: await usage.stop() };
  } finally {
    await endChild(child, 'SIGTERM');
  }
}

/** The child's next message. */
async function heard(child: ChildProcess, name: string, withinMs: number): Promise<PeerMessage> {
  const ended = once(child, 'exit').then(() => {
    throw new Error(`${name} ended before it was done`);
  });
  const message = once(child, 'message').then(([said]: unknown[]) => said as PeerMessage);
  return within(Promise.race([message, ended]), `${name} to be done`, withinMs);
}
