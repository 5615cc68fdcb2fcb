import { describe, expect, test } from '@jest/globals';
import { nobody, play, posted, root, settled, view } from '../../test/support/asked-requests.js';

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
