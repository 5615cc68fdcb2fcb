/** How each contender of the measure is set up, for the report. */
export const notes: readonly string[] = [
  'A backlog is stored before the clock starts and then worked off; the rate is that of the middle 80 % of the jobs, by when their end was stored. Node runs everything with the flags of production (a heap of 256 MB), logs of the peers are off, Postgres commits with fsync. Each contender has a new database in each round.',
  'Synap: a worker process (WORKER_CONCURRENCY=100, the rest as by default) and a dispatcher process; the api that accepted the backlog, of 1,000 users, has ended. What is beyond the window of the queue (10,000) waits in Postgres and is released by the dispatcher while the worker runs. A job is claimed, writes a row in a transactional step, emits an event, notifies two rooms and is published to Redis; all of these are counted at the end. Its log is at info, into a file: a line for each job.',
  'Synap, all roles in one process: the same with api, dispatcher, worker and realtime in one process, on Redis.',
  'DBOS: one process; workflows of one step are enqueued and then dequeued (workerConcurrency 200, polled every 10 ms, a system pool of 20 connections and 10 for the step); the step writes the same row with one prepared statement. That is less than Synap does: the row does not commit together with the record of the step, and nothing is emitted or notified.',
  'graphile-worker: one process, a job does nothing; the settings of its page on performance: concurrentJobs 24, maxPoolSize 25, localQueue 500, completions and failures in batches without delay.',
  'pg-boss: one process, a job does nothing; batches of 500, four workers, fetching on without a pause while a fetch comes back full.',
  'BullMQ: one process, a job does nothing; concurrency 100, completed jobs removed. Nothing of it is in Postgres.',
];
