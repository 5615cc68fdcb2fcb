import type { WireNotification, WireProgress } from '../../../realtime/contract.js';

/** The way of one request. It only ever moves down this list, though its news may arrive in any order. */
const stages = ['sending', 'accepted', 'processing', 'done'] as const;
export type Stage = (typeof stages)[number] | 'failed';

export interface Request {
  readonly id: string;
  readonly type: string;
  /** What it is about, in the user's words. */
  readonly label: string;
  readonly stage: Stage;
  readonly percent: number;
  readonly message: string;
  /** Milliseconds, by this page's own clock. */
  readonly sentAt: number;
  readonly acceptedAt?: number;
  readonly finishedAt?: number;
}

export function newRequest(given: Pick<Request, 'id' | 'type' | 'label'>, now: number): Request {
  return { ...given, stage: 'sending', percent: 0, message: '', sentAt: now };
}

export const isOver = (request: Request): boolean => request.stage === 'done' || request.stage === 'failed';

export function accepted(request: Request, now: number): Request {
  return { ...advance(request, 'accepted'), acceptedAt: now };
}

/** It was never accepted: refused, or out of reach. */
export function refused(request: Request, reason: string, now: number): Request {
  return { ...request, stage: 'failed', message: reason, finishedAt: now };
}

export function progressed(request: Request, progress: Pick<WireProgress, 'percent' | 'message'>): Request {
  const moved = advance(request, 'processing');
  if (moved.stage !== 'processing') return request;
  return {
    ...moved,
    percent: Math.max(request.percent, progress.percent),
    message: progress.message ?? request.message,
  };
}

/** A durable notification: `pending` is a step on the way, anything else is the end. */
export function notified(
  request: Request,
  { status, error }: Pick<WireNotification, 'status' | 'error'>,
  now: number,
): Request {
  if (isOver(request)) return request;
  if (status === 'pending') return advance(request, 'processing');
  if (status === 'error')
    return { ...request, stage: 'failed', message: error?.message ?? 'It failed.', finishedAt: now };
  return { ...request, stage: 'done', percent: 100, message: '', finishedAt: now };
}

function advance(request: Request, to: (typeof stages)[number]): Request {
  if (request.stage === 'failed' || stages.indexOf(request.stage) >= stages.indexOf(to)) return request;
  return { ...request, stage: to };
}
