import { describe, expect, test } from '@jest/globals';
import { nobody, play, posted, root, settled, signedOut, unknown, view } from '../../test/support/asked-requests.js';

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
    await clock.advance(59_000);
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

test('whose jobs are gone with time has ended as its notifications say', async () => {
  const { rooms, requests, hear, said, answer } = play();
  const end = requests.waitFor('r1');
  rooms.get('request_r1')?.hears.onReset?.('first');
  hear(said(1, 'success'));
  await answer(unknown);
  expect(await end).toMatchObject({ seq: 1, status: 'success' });
});

test('a question that was let go with the last who asked is asked again for the next', async () => {
  const { clock, requests, reset, answer, asked } = play();
  const leave = requests.observe('r1').subscribe(nobody);
  reset();
  await answer({ isLater: true, afterMs: undefined } as never);
  leave();
  await clock.advance(60_000);
  expect(await asked()).toBe(1);
  const end = requests.waitFor('r1');
  expect(await asked()).toBe(2);
  await answer(view('completed', root('e-root', 'completed')));
  expect(await end).toMatchObject({ type: 'request.completed' });
});

test('a refused token is followed by another question within a minute, without a new connection', async () => {
  const { clock, requests, reset, answer, asked } = play();
  const end = requests.waitFor('r1');
  reset();
  await answer(signedOut);
  await clock.advance(60_000);
  expect(await asked()).toBe(2);
  await answer(view('completed', root('e-root', 'completed')));
  expect(await end).toMatchObject({ status: 'success' });
});
