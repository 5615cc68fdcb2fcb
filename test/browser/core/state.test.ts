import { describe, expect, test } from '@jest/globals';
import { accepted, newRequest, notified, progressed, refused } from '../../../src/http/page/core/requests.js';
import { addNotification, addPage, upsert, type Collection } from '../../../src/http/page/core/state.js';
import type { WireNotification } from '../../../src/realtime/contract.js';

interface Item {
  readonly id: string;
  readonly createdAt: string;
  readonly text?: string;
}
const list = (...items: Item[]): Collection<Item> => ({ status: 'ready', items });
const ids = ({ items }: Collection<Item>) => items.map(({ id }) => id);

describe('a list', () => {
  test('stays newest first, whatever order its items arrive in', () => {
    const three = [
      { id: 'b', createdAt: '2' },
      { id: 'c', createdAt: '3' },
      { id: 'a', createdAt: '1' },
    ];
    expect(ids(three.reduce((all, item) => upsert(all, item), list()))).toEqual(['c', 'b', 'a']);
    expect(ids(upsert(list({ id: 'a', createdAt: '1' }), { id: 'b', createdAt: '1' }))).toEqual(['b', 'a']);
  });

  test('a page that was read before a notification does not take back what it changed', () => {
    const before = list({ id: 'a', createdAt: '1', text: 'old' });
    const now = upsert(before, { id: 'a', createdAt: '1', text: 'told' });
    const page = {
      items: [
        { id: 'a', createdAt: '1', text: 'old' },
        { id: 'b', createdAt: '0' },
      ],
    };
    expect(addPage(now, page, before).items).toEqual([
      { id: 'a', createdAt: '1', text: 'told' },
      { id: 'b', createdAt: '0' },
    ]);
  });

  test('a page that was read anew replaces what is out of date', () => {
    const before = list({ id: 'a', createdAt: '1', text: 'old' });
    expect(addPage(before, { items: [{ id: 'a', createdAt: '1', text: 'new' }] }, before).items).toEqual([
      { id: 'a', createdAt: '1', text: 'new' },
    ]);
  });
});

describe('the feed', () => {
  const at = (id: string, timestamp: string, room: string): WireNotification => ({
    ...{ id, timestamp, room, type: 'probe.run.completed', data: {}, status: 'success', seq: 1, epoch: 'e' },
  });

  test('shows what two rooms bring once, newest first', () => {
    const arriving = [
      at('n1', '1', 'request_r'),
      at('n3', '3', 'user_u'),
      at('n1', '1', 'user_u'),
      at('n2', '2', 'user_u'),
    ];
    const shown = arriving.reduce<readonly WireNotification[]>(addNotification, []);
    expect(shown.map(({ id }) => id)).toEqual(['n3', 'n2', 'n1']);
  });
});

describe('a request', () => {
  const fresh = newRequest({ id: 'r', type: 'note.creation.requested', label: 'Hello' }, 0);

  test('only moves forward, though its news overtake each other', () => {
    const early = progressed(fresh, { percent: 50, message: 'File stored' });
    expect(early).toMatchObject({ stage: 'processing', percent: 50 });
    expect(accepted(early, 5)).toMatchObject({ stage: 'processing', acceptedAt: 5 });
    expect(progressed(early, { percent: 20 })).toMatchObject({ percent: 50 });
    const done = notified(early, { status: 'success' }, 9);
    expect(accepted(done, 10)).toMatchObject({ stage: 'done' });
    expect(progressed(done, { percent: 90 })).toMatchObject({ stage: 'done', percent: 100 });
  });

  test('ends once: as done, or as failed with the reason', () => {
    const failed = notified(fresh, { status: 'error', error: { code: 'x', message: 'No.' } }, 3);
    expect(failed).toMatchObject({ stage: 'failed', message: 'No.', finishedAt: 3 });
    expect(notified(failed, { status: 'success' }, 4)).toBe(failed);
    expect(notified(fresh, { status: 'pending' }, 4)).toMatchObject({ stage: 'processing' });
    expect(refused(fresh, 'Out of reach.', 2)).toMatchObject({ stage: 'failed', message: 'Out of reach.' });
  });
});
