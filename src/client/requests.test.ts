import { describe, expect, test } from '@jest/globals';
import { ManualClock } from '../../test/support/manual-clock.js';
import { numbered } from '../../test/support/model-room.js';
import type { WireNotification } from '../realtime/contract.js';
import { SynapClientError } from './errors.js';
import type { Unsent } from './kept-events.js';
import { Requests } from './requests.js';
import type { RequestView, RootView } from './request-view.js';
import type { RoomListeners, Start } from './types.js';

const root = (eventId: string, status: RequestView['status'], more: Partial<RootView> = {}): RootView => ({
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
const view = (status: RequestView['status'], ...jobs: RootView[]): RequestView => ({
  ...{ requestId: 'r1', status, progress: { percent: 40 }, jobs },
});
const unknown = new SynapClientError('not_found', 'There is none.', { status: 404 });
const signedOut = new SynapClientError('token_expired', 'Sign in again.', { status: 401 });
const posted: Unsent = { requestId: 'r1', type: 'note.creation.requested', data: {} };

/** The rooms that are held, and from where; what the server answers is the test's to say, question by question. */
function play() {
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

const nobody = () => {};
const settled = async (promise: Promise<unknown>) => Promise.race([promise, Promise.resolve('waiting')]);

describe('a request that is shown', () => {
  test('leaves its room ten seconds after its end, and is shown as it ended', async () => {
    const { clock, requests, said, hear, answer, held } = play();
    const shown = requests.observe('r1');
    shown.subscribe(nobody);
    hear(said(1, 'pending'));
    await answer(view('processing', root('e-root', 'processing')));
    await clock.advance(60_000);
    expect(held()).toEqual(['request_r1']);
    hear(said(2, 'success'));
    await clock.advance(9_999);
    expect(held()).toEqual(['request_r1']);
    await clock.advance(1);
    expect([held(), shown.get().status]).toEqual([[], 'completed']);
  });

  test('two hundred that have ended hold no room, and are still shown as they ended', async () => {
    const { clock, rooms, requests, said, held } = play();
    for (let n = 1; n <= 200; n += 1) {
      void requests.send(`q${n}`, { ...posted, requestId: `q${n}` });
      requests.observe(`q${n}`).subscribe(nobody);
      rooms.get(`request_q${n}`)?.hears.onNotification?.(said(1, 'success', { eventId: 'own' }));
    }
    await clock.advance(10_000);
    requests.observe('another').get();
    expect([held(), requests.observe('q1').get().status]).toEqual([[], 'completed']);
  });

  test('is in its room again, from where it was, when it is replayed: as another room tells, or for who looks anew', async () => {
    const { clock, rooms, requests, said, hear, answer, held } = play();
    const shown = requests.observe('r1');
    const stop = shown.subscribe(nobody);
    hear(said(1, 'error'));
    await answer(view('failed', root('e-root', 'failed')));
    await clock.advance(10_000);
    requests.heard(said(1, 'error'));
    expect(held()).toEqual([]);
    requests.heard(said(2, 'pending'));
    expect(rooms.get('request_r1')?.start).toEqual({ epoch: 'e1', seq: 1 });
    hear(said(2, 'pending'));
    await clock.advance(60_000);
    expect([held(), shown.get().status]).toEqual([['request_r1'], 'processing']);
    hear(said(3, 'success'));
    await clock.advance(10_000);
    expect(held()).toEqual([]);
    stop();
    shown.subscribe(nobody);
    expect(held()).toEqual(['request_r1']);
    await clock.advance(10_000);
    expect(held()).toEqual([]);
  });

  test('an end that was replayed within the lingering is not the end', async () => {
    const { clock, requests, said, hear, answer, held } = play();
    requests.observe('r1').subscribe(nobody);
    hear(said(1, 'error'));
    await answer(view('failed', root('e-root', 'failed')));
    await clock.advance(5_000);
    hear(said(2, 'pending'));
    await clock.advance(60_000);
    expect(held()).toEqual(['request_r1']);
  });
});

describe('what ends a request', () => {
  test('the end of the event that this page has posted, without a question to the server', async () => {
    const { requests, said, hear, asked } = play();
    void requests.send('r1', posted);
    requests.accepted(posted);
    const end = requests.waitFor('r1');
    hear(said(1, 'pending', { eventId: 'own' }));
    hear(said(2, 'success', { eventId: 'own' }));
    expect(await end).toMatchObject({ seq: 2 });
    expect([await asked(), requests.observe('r1').get().status]).toEqual([0, 'completed']);
  });

  test('no broadcast: it is shown, whatever its status, and the request goes on', async () => {
    const { requests, said, hear, asked } = play();
    requests.observe('r1').subscribe(nobody);
    void requests.send('r1', posted);
    requests.accepted(posted);
    const end = requests.waitFor('r1');
    const { eventId: _none, ...broadcast } = said(1, 'success', { type: 'lunch.is.ready' });
    hear(broadcast);
    expect(requests.observe('r1').get()).toMatchObject({ status: 'accepted', notifications: [broadcast] });
    hear({ ...broadcast, id: 'another', seq: 2, status: 'error' });
    expect(await settled(end)).toBe('waiting');
    hear(said(3, 'success', { eventId: 'own' }));
    expect([await end, await asked()]).toMatchObject([{ seq: 3 }, 0]);
    hear({ ...broadcast, id: 'third', seq: 4, status: 'error' });
    const { status, notifications } = requests.observe('r1').get();
    expect([status, notifications.length]).toEqual(['completed', 4]);
  });

  test('not what an event that it caused tells, be it before or behind the end: the server says once that it is none of its own', async () => {
    const { clock, requests, said, hear, answer, asked } = play();
    const shown = requests.observe('r1');
    shown.subscribe(nobody);
    const end = requests.waitFor('r1');
    hear(said(1, 'error', { eventId: 'caused' }));
    await answer(view('processing', root('e-root', 'processing')));
    expect([await settled(end), shown.get().status]).toEqual(['waiting', 'processing']);
    hear(said(2, 'success'));
    expect(await end).toMatchObject({ seq: 2 });
    hear(said(3, 'pending', { eventId: 'caused' }));
    hear(said(4, 'error', { eventId: 'caused' }));
    await clock.advance(5_000);
    expect([await asked(), shown.get().status]).toEqual([1, 'completed']);
  });

  test('the last of its events; one that failed has the word', async () => {
    const { requests, said, hear, answer } = play();
    const shown = requests.observe('r1');
    shown.subscribe(nobody);
    const end = requests.waitFor('r1');
    hear(said(1, 'error', { eventId: 'one', error: { code: 'no_space', message: 'The disk is full.' } }));
    await answer(view('processing', root('one', 'failed'), root('two', 'processing')));
    expect([await settled(end), shown.get().status]).toEqual(['waiting', 'processing']);
    hear(said(2, 'success', { eventId: 'two' }));
    expect(await end).toMatchObject({ seq: 1 });
    expect(shown.get()).toMatchObject({ status: 'failed', error: { code: 'no_space' } });
    hear(said(3, 'pending', { eventId: 'one' }));
    expect(shown.get()).toMatchObject({ status: 'processing', error: undefined });
    hear(said(4, 'success', { eventId: 'one' }));
    expect(shown.get().status).toBe('completed');
  });
});

describe('after a reset', () => {
  test('the server is asked how the request ended, and that is shown and waited for', async () => {
    const { requests, reset, answer } = play();
    void requests.send('r1', posted);
    requests.accepted(posted);
    const end = requests.waitFor('r1');
    const shown = requests.observe('r1');
    reset();
    await answer(view('completed', root('own', 'completed', { result: { title: 'Hello' } })));
    expect(await end).toMatchObject({ type: 'request.completed', status: 'success', data: { title: 'Hello' } });
    expect(shown.get()).toMatchObject({ status: 'completed', percent: 100, result: { title: 'Hello' } });
  });

  test.each([
    ['failed', { error: { code: 'no_space', message: 'The disk is full.' } }, { code: 'no_space' }],
    ['cancelled', {}, undefined],
  ] as const)('one that has %s is shown so', async (status, more, error) => {
    const { requests, reset, answer } = play();
    const end = requests.waitFor('r1');
    reset();
    await answer(view(status, root('e-root', status, more)));
    expect(await end).toMatchObject({ type: `request.${status}`, ...(error && { error }) });
    expect(requests.observe('r1').get()).toMatchObject({ status, ...(error && { error }) });
  });

  test('each is asked after anew, and what was asked before the reset does not count', async () => {
    const { clock, requests, reset, answer, asked } = play();
    const end = requests.waitFor('r1');
    reset();
    await answer(view('processing', root('e-root', 'processing')));
    expect(requests.observe('r1').get()).toMatchObject({ status: 'processing', percent: 40 });
    reset();
    expect(await asked()).toBe(2);
    reset();
    await clock.advance(1_000);
    expect(await asked()).toBe(3);
    await answer(view('completed', root('e-root', 'completed')));
    expect(await end).toMatchObject({ type: 'request.completed' });
  });

  test('an answer that is older than what was heard since does not overwrite it', async () => {
    const { requests, said, hear, reset, answer, asked } = play();
    requests.observe('r1').subscribe(nobody);
    reset();
    expect(await asked()).toBe(1);
    hear(said(7, 'pending'));
    await answer(view('failed', root('e-root', 'failed')));
    expect(requests.observe('r1').get().status).toBe('processing');
    hear(said(8, 'success'));
    expect(requests.observe('r1').get()).toMatchObject({ status: 'completed' });
  });

  test('one that does not exist yet is waited for', async () => {
    const { clock, requests, said, hear, reset, answer, asked } = play();
    const end = requests.waitFor('r1');
    reset();
    await answer(unknown);
    await clock.advance(60_000);
    expect([await settled(end), await asked()]).toEqual(['waiting', 1]);
    hear(said(1, 'success'));
    await answer(view('completed', root('e-root', 'completed')));
    expect(await end).toMatchObject({ seq: 1 });
  });

  test('who is signed out is told so, and the question is asked again with the next connection', async () => {
    const { clock, requests, reset, answer, asked, errors } = play();
    const end = requests.waitFor('r1');
    reset();
    await answer(signedOut);
    await clock.advance(60_000);
    expect([await asked(), errors]).toEqual([1, [signedOut]]);
    requests.connected();
    await answer(view('completed', root('e-root', 'completed')));
    expect(await end).toMatchObject({ status: 'success' });
  });

  test('a server out of reach is asked until it answers', async () => {
    const { clock, requests, reset, answer, asked } = play();
    const end = requests.waitFor('r1');
    reset();
    await answer({ isLater: true, afterMs: undefined } as never);
    await clock.advance(1_000);
    expect(await asked()).toBe(2);
    await answer(view('completed', root('e-root', 'completed')));
    expect(await end).toMatchObject({ status: 'success' });
  });
});

test('whoever comes to a request whose notifications are gone hears from the server how it ended', async () => {
  const { clock, rooms, requests, answer } = play();
  const end = requests.waitFor('r1');
  rooms.get('request_r1')?.hears.onReset?.('first');
  await clock.advance(3_000);
  await answer(view('completed', root('e-root', 'completed')));
  expect(await end).toMatchObject({ type: 'request.completed' });
});

test('the server is not asked after a request that is only about to be posted', async () => {
  const { clock, rooms, requests, asked, said, hear, answer } = play();
  const end = requests.waitFor('r1');
  rooms.get('request_r1')?.hears.onReset?.('first');
  await clock.advance(2_999);
  expect(await asked()).toBe(0);
  hear(said(1, 'success'));
  await answer(view('completed', root('e-root', 'completed')));
  expect(await end).toMatchObject({ seq: 1 });
  await clock.advance(60_000);
  expect(await asked()).toBe(1);
});
