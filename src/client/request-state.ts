import type { WireNotification, WireProgress } from '../realtime/contract.js';
import type { RequestState } from './types.js';

// One request as a page shows it: a pure function for each thing that can be heard of it.

export function newRequestState(requestId: string): RequestState {
  return {
    ...{ requestId, status: 'sending', percent: 0, message: undefined, text: '' },
    ...{ result: undefined, error: undefined, notifications: [] },
  };
}

export const isOver = ({ status }: Pick<RequestState, 'status'>): boolean =>
  status === 'completed' || status === 'failed' || status === 'cancelled';

export function accepted(state: RequestState): RequestState {
  return state.status === 'sending' ? { ...state, status: 'accepted' } : state;
}

/** It was never accepted. */
export function refused(state: RequestState, error: NonNullable<RequestState['error']>): RequestState {
  return state.status === 'sending' ? { ...state, status: 'failed', error } : state;
}

/** A tick that comes late, behind the end, changes nothing; the bar never goes back. */
export function progressed(state: RequestState, { percent, message }: WireProgress): RequestState {
  if (isOver(state)) return state;
  return {
    ...state,
    status: 'processing',
    percent: Math.max(state.percent, percent),
    message: message ?? state.message,
  };
}

export function streamed(state: RequestState, text: string): RequestState {
  return isOver(state) ? state : { ...state, status: 'processing', text };
}

/**
 * `pending` is a stage on the way, and after a failure the beginning of a replay; anything else is an end.
 */
export function notified(state: RequestState, notification: WireNotification): RequestState {
  const next = { ...state, notifications: [...state.notifications, notification] };
  if (isEnd(notification)) return ended(next, notification);
  if (state.status === 'completed' || state.status === 'cancelled') return next;
  return state.status === 'failed'
    ? { ...next, status: 'processing', percent: 0, text: '', error: undefined }
    : { ...next, status: 'processing' };
}

/** True of the notification that ends its request. */
export function isEnd({ status }: WireNotification): boolean {
  return status !== 'pending';
}

function ended(state: RequestState, { type, status, data, error }: WireNotification): RequestState {
  const over = { ...state, text: '', result: data, error: undefined, message: undefined };
  if (status === 'error') {
    const told = error ?? { code: 'failed', message: 'It failed.' };
    return { ...over, status: 'failed', error: told };
  }
  // `success`, because nothing went wrong, and yet nothing is done.
  if (type.endsWith('.cancelled') && isCancelled(data)) return { ...over, status: 'cancelled' };
  return { ...over, status: 'completed', percent: 100 };
}

const isCancelled = (data: unknown): boolean =>
  typeof data === 'object' && data !== null && 'state' in data && data.state === 'cancelled';
