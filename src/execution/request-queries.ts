import type { Database } from '../platform/database.js';
import type { Failure } from './outcome.js';
import type { RequestJob, RequestQueries, RequestStatus, RequestView } from './requests.js';

type JobState = 'scheduled' | 'queued' | 'running' | 'completed' | 'dead' | 'cancelled';

/** `scheduled` after a first attempt is a retry that waits: for its user the work goes on. */
function statusOf(state: JobState, attempts: number): RequestStatus {
  switch (state) {
    case 'scheduled':
    case 'queued':
      return attempts === 0 ? 'pending' : 'processing';
    case 'running':
      return 'processing';
    case 'completed':
      return 'completed';
    case 'dead':
      return 'failed';
    case 'cancelled':
      return 'cancelled';
  }
}

/** A request has ended when all its root jobs have; then one failure makes it failed, one cancellation cancelled. */
export function combineStatus(statuses: readonly RequestStatus[]): RequestStatus {
  const has = (status: RequestStatus) => statuses.includes(status);
  if (statuses.every((status) => status === 'pending')) return 'pending';
  if (has('pending') || has('processing')) return 'processing';
  if (has('failed')) return 'failed';
  return has('cancelled') ? 'cancelled' : 'completed';
}

export function createRequestQueries({ prisma }: Pick<Database, 'prisma'>): RequestQueries {
  return {
    async find(userId, requestId) {
      const rows = await (
        await prisma()
      ).job.findMany({
        where: { userId, requestId, isRoot: true },
        orderBy: { id: 'asc' },
        take: 1_000,
      });
      const jobs = rows.map((row): RequestJob => {
        const status = statusOf(row.state, row.fence);
        return {
          eventId: row.id,
          type: row.queue,
          status,
          attempts: row.fence,
          progress: status === 'completed' ? { percent: 100 } : (row.progress as unknown as RequestJob['progress']),
          result: row.result,
          error: toPublicError(row.lastError as unknown as Failure | null, status),
          createdAt: row.createdAt.toISOString(),
          startedAt: row.startedAt?.toISOString() ?? null,
          finishedAt: row.finishedAt?.toISOString() ?? null,
        };
      });
      return jobs.length === 0 ? undefined : toView(requestId, jobs);
    },
  };
}

function toPublicError(failure: Failure | null, status: RequestStatus): RequestJob['error'] {
  return failure === null || status === 'completed' ? null : { code: failure.code, message: failure.reason };
}

function toView(requestId: string, jobs: readonly RequestJob[]): RequestView {
  const status = combineStatus(jobs.map((job) => job.status));
  const isOver = status === 'completed' || status === 'failed' || status === 'cancelled';
  const [only] = jobs;
  const percents = jobs.map((job) => job.progress?.percent ?? 0);
  const message = jobs.length === 1 ? only?.progress?.message : undefined;
  return {
    requestId,
    status,
    progress: {
      percent: Math.round(percents.reduce((sum, percent) => sum + percent, 0) / jobs.length),
      ...(message !== undefined && { message }),
    },
    result: jobs.length === 1 ? (only?.result ?? null) : null,
    error: jobs.find((job) => job.error !== null)?.error ?? null,
    attempts: jobs.reduce((sum, job) => sum + job.attempts, 0),
    createdAt: earliest(jobs.map((job) => job.createdAt)) ?? '',
    startedAt: earliest(jobs.map((job) => job.startedAt)),
    finishedAt: isOver
      ? earliest(
          jobs.map((job) => job.finishedAt),
          'latest',
        )
      : null,
    jobs,
  };
}

/** ISO times in UTC sort as text. */
function earliest(times: readonly (string | null)[], which: 'earliest' | 'latest' = 'earliest'): string | null {
  const sorted = times.filter((time) => time !== null).toSorted();
  return (which === 'earliest' ? sorted[0] : sorted.at(-1)) ?? null;
}
