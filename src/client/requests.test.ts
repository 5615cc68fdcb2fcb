import { describe, expect, test } from '@jest/globals';
import { ManualClock } from '../../test/support/manual-clock.js';
import { numbered } from '../../test/support/model-room.js';
import type { WireNotification } from '../realtime/contract.js';
import { Requests } from './requests.js';
import type { RoomListeners, Start } from './types.js';

/** The rooms that are held, and from where. */
function play() {
  const clock = new ManualClock();
  const rooms = new Map<string, { readonly hears: RoomListeners; readonly start: Start }>();
  const requests = new Requests({
    subscribe(room, hears, start) {
      rooms.set(room, { hears, start });
      return { room, ready: Promise.resolve({ epoch: null, seq: 0 }), unsubscribe: () => void rooms.delete(room) };
    },
    after: (delayMs, run) => clock.after(delayMs, run),
    onError(thrown) {
      throw thrown;
    },
  });
  const said = (seq: number, status: WireNotification['status']): WireNotification => ({
    ...numbered(seq),
    ...{ room: 'request_r1', requestId: 'r1', status },
  });
  const hear = (notification: WireNotification) => rooms.get('request_r1')?.hears.onNotification?.(notification);
  return { clock, rooms, requests, said, hear, held: () => [...rooms.keys()] };
}

const nobody = () => {};

describe('a request that is shown', () => {
  test('leaves its room ten seconds after its end, and is shown as it ended', async () => {
    const { clock, requests, said, hear, held } = play();
    const shown = requests.observe('r1');
    shown.subscribe(nobody);
    hear(said(1, 'pending'));
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
      requests.observe(`q${n}`).subscribe(nobody);
      rooms.get(`request_q${n}`)?.hears.onNotification?.(said(1, 'success'));
    }
    await clock.advance(10_000);
    requests.observe('another').get();
    expect([held(), requests.observe('q1').get().status]).toEqual([[], 'completed']);
  });

  test('is in its room again, from where it was, when it is replayed: as another room tells, or for who looks anew', async () => {
    const { clock, rooms, requests, said, hear, held } = play();
    const shown = requests.observe('r1');
    const stop = shown.subscribe(nobody);
    hear(said(1, 'error'));
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
    const { clock, requests, said, hear, held } = play();
    requests.observe('r1').subscribe(nobody);
    hear(said(1, 'error'));
    await clock.advance(5_000);
    hear(said(2, 'pending'));
    await clock.advance(60_000);
    expect(held()).toEqual(['request_r1']);
  });
});
