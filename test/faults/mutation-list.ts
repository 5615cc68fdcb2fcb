import type { Patch } from './mutant.ts';
import { fence, lettingGo, recordOnce, slowScan, type Overlap } from './overlaps.ts';
import type { Invariant } from './scenario.ts';

/** A guard, how to take it out, the fault that needs it, and what must be seen then. */
export interface Mutation {
  readonly guard: string;
  /** The file in src in which the guard is. */
  readonly where: string;
  /** What is wrong without it. */
  readonly without: string;
  readonly patches: readonly Patch[];
  /** Out of the build, too, and out of the one on which the same fault must do no harm. */
  readonly overlaps?: readonly Overlap[];
  readonly scenario: string;
  /** One of these must be seen: what nothing but the lack of this guard explains. */
  readonly expected: readonly Invariant[];
}

export const mutations: readonly Mutation[] = [
  {
    guard: 'outbox',
    where: 'events/statements',
    without: 'a job that the fast path loses is in no queue and will never be',
    patches: [
      {
        file: 'events/statements',
        find: `\${rows} \${ordered ? 'AND COALESCE(p."isHead", true)' : ''}`,
        replace: `\${rows} AND false`,
      },
    ],
    overlaps: [slowScan],
    scenario: 'killed at append.committed',
    expected: ['no-end'],
  },
  {
    guard: 'outbox: delete after adding',
    where: 'dispatch/dispatcher',
    without: 'a dispatcher that dies in between has forgotten the job',
    patches: [
      {
        file: 'dispatch/dispatcher',
        find: `reachFaultPoint('dispatcher.leased');`,
        replace: `await outbox.remove(batch); reachFaultPoint('dispatcher.leased');`,
      },
    ],
    overlaps: [slowScan],
    scenario: 'killed at dispatcher.leased',
    expected: ['no-end'],
  },
  {
    guard: 'deterministic id',
    where: 'queues/ticket',
    without: 'what is added again is a second ticket',
    patches: [
      {
        file: 'queues/bullmq-backend',
        find: 'jobId: ticketId(jobId, generation),',
        replace: `jobId: ticketId(jobId, generation) + '.' + Math.random().toString(36).slice(2),`,
      },
      { file: 'queues/ticket', find: String.raw`\.(\d{1,9})$/`, replace: String.raw`\.(\d{1,9})(?:\.\w+)?$/` },
    ],
    scenario: 'killed at fast-path.enqueued',
    expected: ['ticket-twice'],
  },
  {
    guard: fence.name,
    where: 'execution/steps',
    without: 'a thawed worker commits what another has committed',
    patches: fence.patches,
    overlaps: [lettingGo, recordOnce],
    scenario: 'worker frozen inside a step',
    expected: ['effects-twice'],
  },
  {
    guard: recordOnce.name,
    where: 'execution/steps',
    without: 'the same, where the fence has a hole',
    patches: recordOnce.patches,
    overlaps: [lettingGo, fence],
    scenario: 'worker frozen inside a step',
    expected: ['effects-twice'],
  },
  {
    guard: 'row lock under the fence of steps',
    where: 'execution/steps',
    without: 'the job is taken over between the check of its fence and the commit',
    patches: [
      {
        file: 'execution/steps',
        find: `WHERE id = $1 AND fence = $2 AND state = 'running' FOR NO KEY UPDATE`,
        replace: `WHERE id = $1 AND fence = $2 AND state = 'running'`,
      },
    ],
    scenario: 'worker frozen inside a commit',
    expected: ['committed-late'],
  },
  {
    guard: 'fence of finishing',
    where: 'execution/finishing',
    without: 'a thawed worker ends a job that has ended',
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
    guard: 'idempotency key',
    where: 'events/statements',
    without: 'a repeated call is a second event',
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
    where: 'execution/steps',
    without: 'a service cannot know that it has done this',
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
    guard: 'reconciler',
    where: 'dispatch/reconciler',
    without: 'a single lost ticket is a lost job',
    patches: slowScan.patches,
    scenario: 'tickets deleted',
    expected: ['no-end'],
  },
  {
    guard: 'generation watch',
    where: 'dispatch/generation-watch',
    without: 'what Redis forgot waits for the slow scan',
    patches: [
      {
        file: 'dispatch/generation-watch',
        find: 'changed.filter((queue) => recorded.has(queue))',
        replace: '[]',
      },
    ],
    scenario: 'FLUSHALL while tickets wait',
    expected: ['start-late'],
  },
  {
    guard: 'seq order',
    where: 'realtime/redis/publish-script',
    without: 'a room hears its numbers out of order',
    patches: [
      { file: 'realtime/redis/publish-script', find: 'if seq > top + 1 then', replace: 'if false then' },
      { file: 'realtime/redis/publish-script', find: 'if seq == top + 1 then', replace: 'if true then' },
      { file: 'realtime/redis/publish-script', find: 'top = seq\n', replace: 'top = math.max(top, seq)\n' },
    ],
    scenario: 'worker frozen before it publishes',
    expected: ['notification-gap', 'notification-repeat'],
  },
  {
    guard: 'window',
    where: 'dispatch/queue-window',
    without: 'a backlog fills Redis',
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
    where: 'events/statements',
    without: `an aggregate's jobs run side by side`,
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
    where: 'execution/claims',
    without: 'innocents are blamed',
    patches: [{ file: 'execution/claims', find: 'const sharedCrashes = 2;', replace: 'const sharedCrashes = 999;' }],
    scenario: 'poison: ends its process',
    expected: ['dead-letters', 'no-end'],
  },
  {
    guard: 'watchdog',
    where: 'platform/watchdog',
    without: 'a process that never yields stays',
    patches: [
      {
        file: 'processes/worker',
        find: 'startWatchdog(config.worker.watchdogTimeoutMs, logger)',
        replace: '{ stop() {} }',
      },
    ],
    scenario: 'poison: never yields',
    expected: ['no-end'],
  },
  {
    guard: 'sweeper',
    where: 'realtime/publishing/sweeper',
    without: 'what was committed and not published is not said in time',
    patches: [{ file: 'processes/dispatcher', find: `run('sweeper', new Sweeper(node));`, replace: '' }],
    scenario: 'killed at publish.starting',
    expected: ['told-late', 'notification-gap'],
  },
  {
    guard: 'id of a tick',
    where: 'events/schedule',
    without: 'a tick that is sent again is another event',
    patches: [
      {
        file: 'events/schedule',
        find: 'const random = createHash(',
        replace: 'const random = crypto.getRandomValues(new Uint8Array(16)); createHash(',
      },
    ],
    scenario: 'killed at schedule.appended',
    expected: ['tick-twice'],
  },
  {
    guard: 'shedding',
    where: 'http/middleware/admission',
    without: 'more is taken than can be borne, and all are late',
    patches: [
      { file: 'http/middleware/admission', find: 'if (this.#share > 0 &&', replace: 'if (false &&' },
      {
        file: 'http/middleware/admission',
        find: 'return this.#deps.isCommitterBehind() ?',
        replace: 'return false ?',
      },
      {
        file: 'platform/batcher',
        find: 'if ((statements / lanes) * this.#statementMs > maxWaitMs)',
        replace: 'if (statements >= 0) return false;\nif (lanes < 0)',
      },
    ],
    scenario: 'overload',
    expected: ['shed-late', 'hang'],
  },
];
