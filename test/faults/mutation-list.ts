import type { Patch } from './mutant.ts';
import type { Invariant } from './scenario.ts';

/** A guard, how to take it out, the fault that needs it, and what must be seen then. */
export interface Mutation {
  readonly guard: string;
  readonly patches: readonly Patch[];
  readonly scenario: string;
  readonly expected: readonly Invariant[];
}

export const mutations: readonly Mutation[] = [
  {
    guard: 'outbox rows in the accepting transaction',
    patches: [
      {
        file: 'events/statements',
        find: `\${rows} \${ordered ? 'AND COALESCE(p."isHead", true)' : ''}`,
        replace: `\${rows} AND false`,
      },
    ],
    scenario: 'killed at append.committed',
    // What has no outbox row is found by the reconciler, much later.
    expected: ['start-late'],
  },
  {
    guard: 'enqueue first, delete second',
    patches: [
      {
        file: 'dispatch/dispatcher',
        find: `reachFaultPoint('dispatcher.leased');`,
        replace: `await outbox.remove(batch); reachFaultPoint('dispatcher.leased');`,
      },
    ],
    scenario: 'killed at dispatcher.leased',
    expected: ['start-late'],
  },
  {
    guard: 'idempotency key',
    patches: [
      {
        file: 'events/statements',
        find: `WHERE key IS NULL OR EXISTS (SELECT FROM keyed k WHERE k."eventId" = i.id)`,
        replace: `WHERE true`,
      },
    ],
    scenario: 'duplicate storm',
    expected: ['accepted-twice'],
  },
  {
    guard: 'key of outside effects',
    patches: [
      {
        file: 'execution/steps',
        find: 'idempotencyKey: `${job.id}:${name}`',
        replace: 'idempotencyKey: `${job.id}:${name}:${job.fence}`',
      },
    ],
    scenario: 'killed at step.acted',
    expected: ['sink-key-changed'],
  },
  {
    // Each alone is held by the others: the fence under the row's lock, the primary key of the record, the worker that lets go of
    // what it runs once it knows that its heartbeat is too old or its lock is lost, and Postgres, which ends the session of who
    // froze in a transaction.
    guard: 'fence and record of steps',
    patches: [
      { file: 'execution/worker-registry', find: 'this.attempts.abortAll(', replace: 'void (' },
      { file: 'execution/worker-registry', find: 'of lost)', replace: 'of [])' },
      { file: 'queues/bullmq-consumer', find: 'worker.cancelJob(', replace: 'void (' },
      {
        file: 'platform/database',
        find: 'idle_in_transaction_session_timeout: 10_000',
        replace: 'idle_in_transaction_session_timeout: 0',
      },
      {
        file: 'execution/steps',
        find: `SELECT FROM jobs WHERE id = \${id} AND fence = \${fence} AND state = 'running' FOR NO KEY UPDATE
      )
      INSERT INTO steps ("jobId", name, output, fence)
      SELECT \${id}, \${name}, \${output === null ? null : JSON.stringify(output)}::jsonb, \${fence} FROM held
      ON CONFLICT DO NOTHING RETURNING name`,
        replace: `SELECT FROM jobs WHERE id = \${id}
      )
      INSERT INTO steps ("jobId", name, output, fence)
      SELECT \${id}, \${name}, \${output === null ? null : JSON.stringify(output)}::jsonb, \${fence} FROM held
      ON CONFLICT ("jobId", name) DO UPDATE SET fence = excluded.fence RETURNING name`,
      },
    ],
    scenario: 'worker frozen inside a step',
    expected: ['effects-twice'],
  },
  {
    guard: 'fence of finishing',
    patches: [
      {
        file: 'execution/finishing',
        find: `AND i.fence = j.fence WHERE j.state = 'running'`,
        replace: '',
      },
    ],
    scenario: 'worker frozen before an end',
    expected: ['two-ends'],
  },
  {
    guard: 'reconciler',
    patches: [{ file: 'dispatch/reconciler', find: 'if (lost.length > 0) {', replace: 'if (lost.length < 0) {' }],
    scenario: 'tickets deleted',
    expected: ['undrained'],
  },
  {
    guard: 'generation watch',
    patches: [
      {
        file: 'dispatch/generation-watch',
        find: 'changed.filter((queue) => recorded.has(queue))',
        replace: '[]',
      },
    ],
    scenario: 'killed at generation.dispatched',
    // Nothing is dispatched anew, so nobody dies there; what Redis forgot is found by the slow scan then.
    expected: ['fault-not-reached', 'start-late'],
  },
  {
    guard: 'window',
    patches: [
      {
        file: 'dispatch/queue-window',
        find: 'const all = Math.max(0, size - tickets);',
        replace: 'size = 1_000_000; const all = size;',
      },
    ],
    scenario: 'a flood while the workers are frozen',
    expected: ['redis-bound'],
  },
  {
    guard: 'lanes',
    patches: [
      {
        file: 'events/statements',
        find: `', p.lane, p.position, COALESCE(p."isHead", true)'`,
        replace: `', p.lane, p.position, true'`,
      },
      {
        file: 'events/statements',
        find: `\${rows} \${ordered ? 'AND COALESCE(p."isHead", true)' : ''}`,
        replace: `\${rows}`,
      },
    ],
    scenario: 'killed at lane.ended',
    expected: ['order'],
  },
  {
    guard: 'a job that ends its process runs alone',
    patches: [{ file: 'execution/claims', find: 'const sharedCrashes = 2;', replace: 'const sharedCrashes = 999;' }],
    scenario: 'poison: ends its process',
    expected: ['dead-letters', 'undrained'],
  },
  {
    guard: 'watchdog',
    patches: [
      {
        file: 'processes/worker',
        find: 'startWatchdog(config.worker.watchdogTimeoutMs, logger)',
        replace: '{ stop() {} }',
      },
    ],
    scenario: 'poison: never yields',
    expected: ['undrained', 'dead-letters', 'start-late'],
  },
  {
    guard: 'sweeper',
    patches: [{ file: 'processes/dispatcher', find: `run('sweeper', new Sweeper(node));`, replace: '' }],
    scenario: 'killed at publish.starting',
    expected: ['told-late', 'undrained'],
  },
  {
    guard: 'order of publishing',
    patches: [
      { file: 'realtime/redis/publish-script', find: 'if seq > top + 1 then', replace: 'if false then' },
      { file: 'realtime/redis/publish-script', find: 'if seq == top + 1 then', replace: 'if true then' },
      { file: 'realtime/redis/publish-script', find: 'top = seq\n', replace: 'top = math.max(top, seq)\n' },
    ],
    scenario: 'no fault',
    expected: ['notification-gap', 'notification-repeat'],
  },
];
