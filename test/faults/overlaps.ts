import type { Patch } from './mutant.ts';

/** Guards that hold alone what another one is to be seen to hold. */
export interface Overlap {
  readonly name: string;
  readonly patches: readonly Patch[];
}

export const slowScan: Overlap = {
  name: 'slow scan',
  patches: [{ file: 'dispatch/reconciler', find: 'if (lost.length > 0) {', replace: 'if (lost.length < 0) {' }],
};

/** A worker lets go of what it runs once it knows that its heartbeat is too old or its lock is lost; Postgres ends the session of who froze in a transaction. */
export const lettingGo: Overlap = {
  name: 'letting go',
  patches: [
    { file: 'execution/worker-registry', find: 'this.attempts.abortAll(', replace: 'void (' },
    { file: 'execution/worker-registry', find: 'of lost)', replace: 'of [])' },
    { file: 'queues/bullmq-consumer', find: 'worker.cancelJob(', replace: 'void (' },
    {
      file: 'platform/database',
      find: 'idle_in_transaction_session_timeout: 10_000',
      replace: 'idle_in_transaction_session_timeout: 0',
    },
  ],
};

export const fence: Overlap = {
  name: 'fence of steps',
  patches: [
    {
      file: 'execution/steps',
      find: `WHERE id = $1 AND fence = $2 AND state = 'running' FOR NO KEY UPDATE`,
      replace: 'WHERE id = $1',
    },
  ],
};

export const recordOnce: Overlap = {
  name: 'record of a step',
  patches: [
    {
      file: 'execution/steps',
      find: `$2 FROM held\n    ON CONFLICT DO NOTHING`,
      replace: `$2 FROM held\n    ON CONFLICT ("jobId", name) DO UPDATE SET fence = excluded.fence`,
    },
  ],
};
