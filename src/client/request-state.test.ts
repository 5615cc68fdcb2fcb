import { expect, test } from '@jest/globals';
import type { WireNotification } from '../realtime/contract.js';
import { accepted, ended, isOver, newRequestState, notified, progressed } from './request-state.js';

const notification = (type: string, more: Partial<WireNotification> = {}): WireNotification => ({
  ...{ id: type, type, data: {}, status: 'success', timestamp: '2026-01-01T00:00:00.000Z' },
  ...{ room: 'request_r', seq: 1, epoch: 'e', ...more },
});
const cancelled = notification('note.creation.cancelled', { data: { eventId: 'e', state: 'cancelled' } });
const progress = { room: 'request_r', requestId: 'r', eventId: 'e', percent: 60, timestamp: '' };

test('a request that was cancelled is not shown as completed', () => {
  const state = ended(progressed(accepted(newRequestState('r')), progress), cancelled);
  expect(state).toMatchObject({ status: 'cancelled', percent: 60, error: undefined, result: { state: 'cancelled' } });
  expect(isOver(state)).toBe(true);
  expect(progressed(state, progress)).toBe(state);
  const late = notification('note.creation.started', { status: 'pending', eventId: 'e' });
  expect(notified(state, late, cancelled).status).toBe('cancelled');
});

test('a feature’s own success of such a name is a success', () => {
  const own = notification('booking.seat.cancelled', { data: { seat: 7 } });
  expect(ended(newRequestState('r'), own)).toMatchObject({ status: 'completed', percent: 100 });
});
