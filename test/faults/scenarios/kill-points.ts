import type { FaultPoint } from '../../../src/platform/fault-points.js';
import type { Load } from '../client/plan.ts';
import { afterLostTicketMs, afterWorkerDeathMs, type Bounds, type Scenario, type Stage } from '../scenario.ts';
import type { RoleName } from '../stack/role.ts';
import { forgetBacklog, loseTickets, withoutRedis } from './means.ts';

interface KillPoint {
  readonly point: FaultPoint;
  readonly role: RoleName;
  /** Which time it is reached; far enough in for others to be under way. */
  readonly nth?: number;
  readonly load?: Partial<Load>;
  readonly bounds?: Bounds;
  /** What makes a process come by here, where ordinary work does not. */
  readonly provoke?: (stage: Stage) => Promise<void>;
}

const workerBounds: Bounds = { startMs: afterWorkerDeathMs, drainMs: 60_000 };

const points: readonly KillPoint[] = [
  { point: 'append.committed', role: 'api', nth: 10 },
  { point: 'fast-path.enqueued', role: 'api', nth: 10 },
  { point: 'dispatcher.leased', role: 'dispatcher', provoke: withoutRedis, bounds: { startMs: afterLostTicketMs } },
  { point: 'dispatcher.enqueued', role: 'dispatcher', provoke: withoutRedis, bounds: { startMs: afterLostTicketMs } },
  { point: 'claim.committed', role: 'worker', nth: 10 },
  { point: 'step.starting', role: 'worker', nth: 10 },
  { point: 'step.acted', role: 'worker', nth: 10 },
  { point: 'step.recorded', role: 'worker', nth: 10 },
  { point: 'step.committed', role: 'worker', nth: 15 },
  { point: 'finish.starting', role: 'worker', nth: 10 },
  { point: 'finish.committed', role: 'worker', nth: 10 },
  { point: 'finish.published', role: 'worker', nth: 10 },
  { point: 'finish.dead-committed', role: 'worker', nth: 2, load: { extra: { refuse: 10 } } },
  // Many rooms with little in them: nothing that follows shows what was left unsaid.
  {
    point: 'publish.starting',
    role: 'worker',
    nth: 5,
    load: { perSecond: 80, seconds: 2, mix: { ordered: 1 }, users: 120 },
  },
  { point: 'publish.published', role: 'worker', nth: 10 },
  { point: 'reconciler.found', role: 'dispatcher', provoke: loseTickets, bounds: { startMs: 40_000, drainMs: 90_000 } },
  {
    point: 'reconciler.dispatched',
    role: 'dispatcher',
    provoke: loseTickets,
    bounds: { startMs: 40_000, drainMs: 90_000 },
  },
  { point: 'lane.ended', role: 'worker', nth: 3, load: { mix: { work: 4, ordered: 6 } } },
  { point: 'generation.dispatched', role: 'dispatcher', provoke: forgetBacklog, bounds: { startMs: 5_000 } },
  {
    point: 'dead-workers.dispatched',
    role: 'dispatcher',
    load: { mix: { work: 4, slow: 6 } },
    provoke: ({ stack }) => {
      stack.one('worker').kill();
      return Promise.resolve();
    },
    bounds: workerBounds,
  },
  // The tick is committed and not recorded as sent: the next process sends it again, and it must not be there twice.
  { point: 'schedule.appended', role: 'dispatcher' },
  { point: 'close.draining', role: 'worker', provoke: ({ stack }) => terminate(stack.one('worker')) },
  { point: 'close.draining', role: 'api', provoke: ({ stack }) => terminate(stack.one('api')) },
];

function terminate(role: { readonly pid: number }): Promise<void> {
  process.kill(role.pid, 'SIGTERM');
  return Promise.resolve();
}

/** A fault point must be reached within this, or the scenario has not tested anything. */
const reachedWithinMs = 45_000;

/** Armed in every process of the role; the first one to come by is the one that dies. */
async function killAt({ point, role, nth = 1, provoke }: KillPoint, stage: Stage): Promise<void> {
  const roles = stage.stack.of(role);
  await stage.at(700);
  await Promise.all(roles.map((one) => one.arm(`${point}:kill@${nth}`)));
  const deaths = roles.map((one) => one.death(reachedWithinMs));
  await provoke?.(stage);
  await Promise.any(deaths);
  for (const death of deaths) death.catch(() => undefined);
  await Promise.all(roles.map((one) => one.ready()));
  await Promise.all(roles.map((one) => one.disarm()));
  stage.healed();
}

export const killPoints: readonly Scenario[] = points.map((killPoint) => ({
  name: `killed at ${killPoint.point}${killPoint.point === 'close.draining' ? ` (${killPoint.role})` : ''}`,
  load: { perSecond: 20, seconds: 4, mix: { work: 8, slow: 1, ordered: 1 }, ...killPoint.load },
  bounds: killPoint.bounds ?? (killPoint.role === 'worker' ? workerBounds : {}),
  act: (stage) => killAt(killPoint, stage),
}));
