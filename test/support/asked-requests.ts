import { ManualClock } from './manual-clock.js';
import { numbered } from './model-room.js';
import type { WireNotification } from '../../src/realtime/contract.js';
import { SynapClientError } from '../../src/client/errors.js';
import type { Unsent } from '../../src/client/kept-events.js';
import { Requests } from '../../src/client/requests.js';
import type { RequestView, RootView } from '../../src/client/request-view.js';
import type { RoomListeners, Start } from '../../src/client/types.js';

export const root = (eventId: string, status: RequestView['status'], more: Partial<RootView> = {}): RootView => ({
  ...{
    eventId,
    type: 'note.creation.requested',
    status,
    result: null,
    error: null,
    finishedAt: '2026-01-01T00:00:00Z',
  },
  ...more,
});
export const view = (status: RequestView['status'], ...jobs: RootView[]): RequestView => ({
  ...{ requestId: 'r1', status, progress: { percent: 40 }, jobs },
});
export const unknown = new SynapClientError('not_found', 'There is none.', { status: 404 });
export const signedOut = new SynapClientError('token_expired', 'Sign in again.', { status: 401 });
export const posted: Unsent = { requestId: 'r1', type: 'note.creation.requested', data: {} };

/** The rooms that are held, and from where; what the server answers is the test's to say, question by question. */
export function play() {
  const clock = new ManualClock();
  const rooms = new Map<string, { readonly hears: RoomListeners; readonly start: Start }>();
  const questions: PromiseWithResolvers<RequestView>[] = [];
  const errors: unknown[] = [];
  const requests = new Requests({
    subscribe(room, hears, start) {
      rooms.set(room, { hears, start });
      return { room, ready: Promise.resolve({ epoch: null, seq: 0 }), unsubscribe: () => void rooms.delete(room) };
    },
    ask() {
      const question = Promise.withResolvers<RequestView>();
      questions.push(question);
      return question.promise;
    },
    idOf: () => 'own',
    ...{ after: (delayMs, run) => clock.after(delayMs, run), random: () => 1 },
    onError: (thrown) => errors.push(thrown),
  });
  const said = (
    seq: number,
    status: WireNotification['status'],
    { eventId = 'e-root', ...more }: Partial<WireNotification> = {},
  ): WireNotification => ({
    ...{ ...numbered(seq), room: 'request_r1', requestId: 'r1', status, eventId, ...more },
  });
  const listeners = () => rooms.get('request_r1')?.hears;
  const hear = (notification: WireNotification) => listeners()?.onNotification?.(notification);
  const reset = () => listeners()?.onReset?.('too_old');
  const answer = async (what: RequestView | Error) => {
    await clock.advance(0);
    const question = questions.at(-1)!;
    if (what instanceof Error) question.reject(what);
    else question.resolve(what);
    await clock.advance(0);
  };
  const asked = async () => {
    await clock.advance(0);
    return questions.length;
  };
  return { clock, rooms, requests, said, hear, reset, answer, asked, errors, held: () => [...rooms.keys()] };
}

export const nobody = () => {};
export const settled = async (promise: Promise<unknown>) => Promise.race([promise, Promise.resolve('waiting')]);
