import { setTimeout as delay } from 'node:timers/promises';
import { eventually } from '../../support/signals.ts';
import { pick, shuffle } from '../random.ts';
import { afterWorkerDeathMs, type Scenario, type Stage } from '../scenario.ts';
import { CommitHold } from './commit-hold.ts';

const mixed = { work: 7, slow: 2, ordered: 1 };

/** A worker that stops at that very line, is given up, and goes on where it was. */
async function freezeAt(stage: Stage, fault: string): Promise<void> {
  const worker = stage.stack.one('worker');
  await stage.at(1_000);
  await worker.arm(fault);
  await eventually(async () => ((await worker.isStopped()) ? true : undefined), `${worker.name} to stop`);
  await stage.at(19_000);
  worker.thaw();
}

/** A worker that stops with something committed and not published, while others go on in the same rooms; too short for anybody to give it up. */
async function freezeBeforePublishing(stage: Stage): Promise<void> {
  const worker = stage.stack.one('worker');
  await stage.at(1_000);
  await worker.arm('finish.committed:stop@5');
  await eventually(async () => ((await worker.isStopped()) ? true : undefined), `${worker.name} to stop`);
  await delay(1_500);
  worker.thaw();
}

/**
 * A worker that stops when Postgres has checked the fence of its step and not yet committed it. It is given up while that is so, then
 * the commit goes on: whoever takes its job must have waited for it.
 */
async function freezeInCommit({ stack, at }: Stage): Promise<void> {
  await at(1_000);
  const hold = await CommitHold.install(stack.postgres.pool);
  try {
    const pid = await hold.untilHeld();
    const worker = stack.of('worker').find((one) => one.pid === pid);
    if (worker === undefined) throw new Error(`no worker is process ${pid}`);
    worker.freeze();
    await at(17_000);
    await hold.release();
    await at(19_000);
    worker.thaw();
  } finally {
    await hold.remove();
  }
}

export const processes: readonly Scenario[] = [
  {
    name: 'every role killed at random',
    load: { perSecond: 20, seconds: 12, mix: mixed },
    bounds: { callMs: 6_000, startMs: afterWorkerDeathMs, drainMs: 60_000 },
    async act(stage) {
      // Each of them once, in any order, before one has its second turn.
      const turns = shuffle(stage.random, stage.stack.roles).values();
      for (let at = 1_000; at < 10_000; at += 700 + stage.random() * 800) {
        await stage.at(at);
        const role = turns.next().value ?? pick(stage.random, stage.stack.roles);
        role.kill();
        stage.note(`${role.name} at ${Math.round(at)} ms`);
      }
      const spared = [...turns].map(({ name }) => name);
      await Promise.all(stage.stack.roles.map((role) => role.start()));
      if (spared.length > 0) throw new Error(`${spared.join(', ')} had no turn`);
    },
  },
  {
    name: 'worker frozen past its lock',
    bounds: { startMs: afterWorkerDeathMs, drainMs: 60_000 },
    load: { perSecond: 20, seconds: 20, mix: { work: 5, slow: 5 }, sleepMs: 600 },
    async act(stage) {
      const worker = stage.stack.one('worker');
      await stage.at(1_500);
      worker.freeze();
      await stage.at(19_000);
      worker.thaw();
    },
  },
  {
    name: 'worker frozen inside a step',
    bounds: { startMs: afterWorkerDeathMs, drainMs: 60_000 },
    load: { perSecond: 20, seconds: 20 },
    act: (stage) => freezeAt(stage, 'step.acted:stop@5'),
  },
  {
    name: 'worker frozen before an end',
    bounds: { startMs: afterWorkerDeathMs, drainMs: 60_000 },
    load: { perSecond: 20, seconds: 20 },
    act: (stage) => freezeAt(stage, 'finish.starting:stop@5'),
  },
  {
    name: 'worker frozen inside a commit',
    bounds: { startMs: afterWorkerDeathMs, drainMs: 60_000 },
    load: { perSecond: 20, seconds: 20 },
    act: freezeInCommit,
  },
  {
    name: 'worker frozen before it publishes',
    load: { perSecond: 30, seconds: 5, users: 2 },
    // To clients it is none: each frame comes once, in order, and no job is claimed twice.
    isFaultless: true,
    act: freezeBeforePublishing,
  },
  {
    name: 'dispatcher frozen for a moment',
    load: { perSecond: 20, seconds: 7, mix: mixed },
    async act(stage) {
      const [dispatcher] = stage.stack.of('dispatcher');
      await stage.at(1_000);
      dispatcher?.freeze();
      await stage.at(5_000);
      dispatcher?.thaw();
    },
  },
  {
    name: 'rolling restart of all roles',
    load: { perSecond: 20, seconds: 14, mix: mixed },
    async act(stage) {
      await stage.at(500);
      for (const role of stage.stack.roles) await role.restart();
    },
  },
];
