import { describe, expect, test } from '@jest/globals';
import {
  accept,
  json,
  note,
  outcome,
  play,
  portal,
  refuse,
  stored,
  turn,
  type Answer,
} from '../../test/support/sending-page.js';

// Why an event is not through, and what becomes of one that somebody between does not let through.

const wall: Answer = () => new Response('<h1>Forbidden</h1>', { status: 403 });
const held = ({ client }: ReturnType<typeof play>) =>
  client.held.get() && [client.held.get()!.code, client.held.get()!.status];

test.each<[string, Answer, unknown]>([
  ['no network', () => Promise.reject(new TypeError('no network')), ['unreachable', 0]],
  ['a server that is busy', () => json(503, {}), ['unavailable', 503]],
  ['a portal’s page', portal, ['blocked', 200]],
  ['a proxy’s refusal', wall, ['blocked', 403]],
])('with %s the page can say why it is not sent yet, and nothing once it is', async (_what, answer, why) => {
  const page = play([answer, accept]);
  const { accepted } = page.client.send(note('One'));
  await turn();
  expect(held(page)).toEqual(why);
  await page.clock.advance(1_000);
  expect(await outcome(accepted)).toBe('accepted');
  expect(held(page)).toBeUndefined();
});

test('with a token that is refused it is that refusal', async () => {
  const page = play([refuse(401, 'token_expired'), refuse(401, 'token_expired'), accept]);
  void page.client.send(note('One'));
  await turn();
  expect(held(page)).toEqual(['token_expired', 401]);
});

describe('an event that a proxy answers with a refusal of its own', () => {
  const reached = (answers: Answer[], items = new Map<string, string>()) => play(answers, {}, items, true);

  test('is given back after five minutes in which Synap could be heard, and what waited behind it goes out', async () => {
    const page = reached([wall]);
    const first = page.client.send(note('<script>'));
    const second = page.client.send(note('Two'));
    await page.clock.advance(295_000);
    expect([page.client.state.get(), await outcome(first.accepted), page.client.unsent.get()]).toEqual([
      'connected',
      'waiting',
      2,
    ]);
    const keys = new Set(page.posted.map(({ key }) => key));
    page.answer(({ body }) => ((body.data as { title: string }).title === 'Two' ? accept : wall)({ body, key: '' }));
    await page.clock.advance(65_000);
    expect(await outcome(first.accepted)).toBe('refused: blocked');
    expect(await outcome(second.accepted)).toBe('accepted');
    expect(page.client.request(first.requestId).get()).toMatchObject({ status: 'failed', error: { code: 'blocked' } });
    expect([keys.size, stored(page.items), held(page)]).toEqual([1, [], undefined]);
  });

  test('is told by an error where an earlier page has sent it', async () => {
    const items = new Map<string, string>();
    const earlier = reached([wall], items);
    void earlier.client.send(note('One'));
    await turn();
    earlier.client.close();
    const page = reached([wall], items);
    await page.clock.advance(360_000);
    expect([page.errors, stored(items)]).toEqual([['blocked'], []]);
  });

  test('waits as long as it takes where Synap cannot be heard at all: that is a portal', async () => {
    const page = play([wall]);
    const { accepted } = page.client.send(note('One'));
    await page.clock.advance(3_600_000);
    expect([await outcome(accepted), held(page)]).toEqual(['waiting', ['blocked', 403]]);
    expect(stored(page.items).join()).toContain('One');
    page.answer(accept);
    page.client.reconnect();
    expect(await outcome(accepted)).toBe('accepted');
  });

  test('is not given back for the time in which the device slept', async () => {
    const page = reached([wall]);
    const { accepted } = page.client.send(note('One'));
    await turn();
    page.clock.sleep(3_600_000);
    await page.clock.advance(60_000);
    expect(await outcome(accepted)).toBe('waiting');
  });

  test('begins its five minutes anew where anything else is answered in between', async () => {
    const page = reached([wall]);
    const { accepted } = page.client.send(note('One'));
    await page.clock.advance(250_000);
    page.answer(() => json(503, {}));
    await page.clock.advance(60_000);
    page.answer(wall);
    await page.clock.advance(250_000);
    expect(await outcome(accepted)).toBe('waiting');
    await page.clock.advance(100_000);
    expect(await outcome(accepted)).toBe('refused: blocked');
  });
});

test('a portal’s pages with a status of success are waited out: the event may be through', async () => {
  const page = play([portal], {}, new Map(), true);
  const { accepted } = page.client.send(note('One'));
  await page.clock.advance(3_600_000);
  expect([page.client.state.get(), await outcome(accepted)]).toEqual(['connected', 'waiting']);
});
