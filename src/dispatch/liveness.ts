/** A worker whose last heartbeat is older, by the database's clock, holds nothing any more. */
export const workerTimeoutMs = 10_000;

/** SQL: whether the worker of the job row `job` still sends heartbeats. */
export const isHeldByLiveWorker = (job: string): string => `EXISTS (
  SELECT FROM workers w WHERE w.id = ${job}."workerId"
    AND w."heartbeatAt" > now() - interval '${workerTimeoutMs} milliseconds')`;
