import { setTimeout as delay } from 'node:timers/promises';
import { eventually } from '../../support/signals.ts';
import { afterWorkerDeathMs, type Scenario, type Stage } from '../scenario.ts';
import type { Role } from '../stack/role.ts';

const count = 10;
const reachedWithinMs = 30_000;
/** A call to a process that dies is made again, at the next one, as a person would. */
const insistForMs = 20_000;

interface Call {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: object;
}

/** Until somebody answers for sure, whatever that is. */
async function insist({ stack }: Stage, { method, path, headers, body }: Call): Promise<number> {
  const apis = stack.of('api');
  let turn = 0;
  return eventually(
    async () => {
      const api = apis[turn++ % apis.length];
      const response = await fetch(`${api?.url}${path}`, {
        method,
        headers: { ...headers, ...(body && { 'Content-Type': 'application/json' }) },
        ...(body && { body: JSON.stringify(body) }),
        signal: AbortSignal.timeout(5_000),
      }).catch(() => undefined);
      await response?.arrayBuffer();
      if (response !== undefined && response.status < 500) return response.status;
      await delay(100);
      return undefined;
    },
    `${method} ${path} to be answered`,
    insistForMs,
  );
}

/** The process of these that comes by first dies there; the others are disarmed. */
async function dies(roles: readonly Role[], fault: string, provoke: () => Promise<void>): Promise<void> {
  await Promise.all(roles.map((role) => role.arm(fault)));
  const deaths = roles.map((role) => role.death(reachedWithinMs));
  await Promise.all([provoke(), Promise.any(deaths)]);
  for (const death of deaths) death.catch(() => undefined);
  await Promise.all(roles.map((role) => role.ready()));
  await Promise.all(roles.map((role) => role.disarm()));
}

/** The dead letters of this run, once all are there; whatever was in their way is then out of it. */
async function curedDeadLetters({ stack, prefix }: Stage): Promise<string[]> {
  const { pool } = stack.postgres;
  const ids = await eventually(
    async () => {
      const { rows } = await pool.query<{ jobId: string }>(
        `SELECT d."jobId" FROM dead_letters d JOIN jobs j ON j.id = d."jobId" WHERE j."userId" LIKE $1 AND d.state = 'open'`,
        [`${prefix}-%`],
      );
      return rows.length === count ? rows.map(({ jobId }) => jobId) : undefined;
    },
    `${count} dead letters`,
    reachedWithinMs,
  );
  await pool.query(`INSERT INTO fault_cures SELECT DISTINCT "userId" FROM jobs WHERE "userId" LIKE $1`, [
    `${prefix}-%`,
  ]);
  return ids;
}

/** A repeated order finds its dead letter replayed already: 409 is as good as 200. */
async function replayEach(stage: Stage, ids: readonly string[]): Promise<void> {
  const headers = stage.stack.operatorHeaders;
  const statuses = new Map<number, number>();
  for (const id of ids) {
    const status = await insist(stage, {
      method: 'POST',
      path: `/v1/admin/dead-letters/${id}/replay`,
      headers,
      body: { mode: 'resume' },
    });
    statuses.set(status, (statuses.get(status) ?? 0) + 1);
  }
  stage.note(`replays answered ${[...statuses].map(([status, times]) => `${status} × ${times}`).join(', ')}`);
}

/** @param since what died before is another scenario's. */
async function replayAll(stage: Stage, since: Date): Promise<void> {
  const body = { filter: { type: 'fault.poison.requested', since }, mode: 'resume', ratePerSecond: 20 };
  const status = await insist(stage, {
    method: 'POST',
    path: '/v1/admin/dead-letters/replay',
    headers: stage.stack.operatorHeaders,
    body,
  });
  if (status !== 202) throw new Error(`the bulk replay was answered ${status}`);
}

/** The operation goes on in the next process, and says in the end how many it was. */
async function operationEnds({ stack }: Stage, since: Date): Promise<void> {
  const ended = await eventually(
    async () => {
      const { rows } = await stack.postgres.pool.query<{ done: number; skipped: number }>(
        `SELECT done, skipped FROM bulk_operations WHERE "createdAt" >= $1 AND state = 'completed'`,
        [since],
      );
      return rows[0];
    },
    'the operation to complete',
    reachedWithinMs,
  );
  if (ended.done !== count || ended.skipped > 0)
    throw new Error(`the operation says ${ended.done} done, ${ended.skipped} skipped`);
}

/** The ones that run for ever, once all of them have begun. */
async function cancelEndless(stage: Stage): Promise<void> {
  const { stack, prefix } = stage;
  const running = await eventually(
    async () => {
      const { rows } = await stack.postgres.pool.query<{ userId: string; requestId: string }>(
        `SELECT e."userId", e."requestId" FROM jobs j JOIN events e ON e.id = j.id
         WHERE j."userId" LIKE $1 AND e.data->>'how' = 'endless' AND j.state = 'running'`,
        [`${prefix}-%`],
      );
      return rows.length === count ? rows : undefined;
    },
    `${count} endless jobs to run`,
    reachedWithinMs,
  );
  for (const { userId, requestId } of running) {
    const headers = { Authorization: `Bearer ${await stack.mint(userId)}` };
    const status = await insist(stage, { method: 'DELETE', path: `/v1/requests/${requestId}`, headers });
    if (status !== 200) throw new Error(`cancelling ${requestId} was answered ${status}`);
  }
}

const bounds = { startMs: afterWorkerDeathMs, drainMs: 60_000 };

/** What people order is as much an order as what clients send: given once, done once, whoever dies in the middle of it. */
export const operators: readonly Scenario[] = [
  {
    name: 'killed at replay.committed',
    load: { perSecond: 20, seconds: 6, extra: { curable: count } },
    bounds,
    async act(stage) {
      await stage.at(700);
      const ids = await curedDeadLetters(stage);
      await dies(stage.stack.of('api'), 'replay.committed:kill@2', () => replayEach(stage, ids));
      stage.healed();
    },
  },
  {
    name: 'killed at bulk.acted',
    load: { perSecond: 20, seconds: 6, extra: { curable: count } },
    bounds,
    async act(stage) {
      const since = new Date();
      await stage.at(700);
      await curedDeadLetters(stage);
      await dies(stage.stack.of('dispatcher'), 'bulk.acted:kill@3', () => replayAll(stage, since));
      await operationEnds(stage, since);
      stage.healed();
    },
  },
  {
    name: 'killed at cancel.committed',
    load: { perSecond: 20, seconds: 6, extra: { endless: count } },
    bounds,
    async act(stage) {
      await stage.at(700);
      await dies(stage.stack.of('api'), 'cancel.committed:kill@2', () => cancelEndless(stage));
      stage.healed();
    },
  },
];
