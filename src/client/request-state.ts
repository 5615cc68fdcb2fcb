import type { WireNotification, WireProgress } from '../realtime/contract.js';
import type { RequestView } from './request-view.js';
import type { RequestEnd, RequestState } from './types.js';

// One request as a page shows it: a pure function for each thing that can be heard of it. What its end is, RequestRoots knows.

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
export function progressed(state: RequestState, { percent, message }: Omit<WireProgress, 'room'>): RequestState {
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

/** @param end what has ended the request by now, where anything has */
export function notified(state: RequestState, notification: WireNotification, end?: RequestEnd): RequestState {
  const next = { ...state, notifications: [...state.notifications, notification] };
  if (end !== undefined) return next;
  // A broadcast is shown, and says nothing of how the request stands.
  return notification.eventId === undefined ? next : underWay(next);
}

/** It goes on: after an end because it was replayed, or because another event of it was accepted. */
export function underWay(state: RequestState): RequestState {
  return isOver(state)
    ? { ...state, status: 'processing', percent: 0, text: '', result: undefined, error: undefined }
    : { ...state, status: 'processing' };
}

/** What the server says of one that has not ended. */
export function told(state: RequestState, { status, progress }: RequestView): RequestState {
  if (status === 'pending') return accepted(state);
  if (status !== 'processing') return state;
  const { percent, message } = progress;
  const going = underWay(state);
  return { ...going, percent: Math.max(going.percent, percent), message: message ?? going.message };
}

export function ended(state: RequestState, end: RequestEnd): RequestState {
  const over = { ...state, text: '', result: end.data, error: undefined, message: undefined };
  if (end.status === 'error') {
    const error = end.error ?? { code: 'failed', message: 'It failed.' };
    return { ...over, status: 'failed', error };
  }
  return isCancellation(end) ? { ...over, status: 'cancelled' } : { ...over, status: 'completed', percent: 100 };
}

/** `success`, because nothing went wrong, and yet nothing is done. */
export function isCancellation({ type, data }: Pick<RequestEnd, 'type' | 'data'>): boolean {
  return (
    type.endsWith('.cancelled') &&
    typeof data === 'object' &&
    data !== null &&
    'state' in data &&
    data.state === 'cancelled'
  );
}
