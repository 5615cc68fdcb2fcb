import { expect, test } from '@jest/globals';
import {
  accept,
  json,
  note,
  outcome,
  play,
  portal,
  refuse,
  stored,
  tokenOf,
  turn,
  type Answer,
} from '../../test/support/sending-page.js';

const cut =
  (answer: Answer): Answer =>
  async (posted) => {
    const text = await (await answer(posted)).text();
    const half = new ReadableStream({
      start(controller) {
        controller.enqueue(new TextEncoder().encode(text.slice(0, 20)));
        controller.error(new TypeError('terminated'));
      },
    });
    return new Response(half, { status: 202, headers: { 'Content-Type': 'application/json' } });
  };
const neverEnding: Answer = () => new Response(new ReadableStream({}), { status: 202 });
const unclear: readonly (readonly [string, Answer])[] = [
  ['a 202 whose body is cut', cut(accept)],
  ['a 202 whose body never ends', neverEnding],
  ['a portal’s page with 200', portal],
  ['another’s JSON with 200', () => json(200, { ok: true })],
  ['a proxy’s page with 403', () => new Response('<h1>Forbidden</h1>', { status: 403 })],
  ['a proxy’s JSON with 404', () => json(404, { code: 'not_found' })],
  ['no answer at all', () => new Promise(() => {})],
];
test.each(unclear)('%s is no answer: the event waits, and is posted again with the same key', async (_what, answer) => {
  const { client, clock, posted } = play([answer, accept]);
  const first = client.send(note('One'));
  const second = client.send(note('Two'));
  await turn();
  expect(await outcome(first.accepted)).toBe('waiting');
  await clock.advance(35_000);
  expect(await outcome(first.accepted)).toBe('accepted');
  expect(await outcome(second.accepted)).toBe('accepted');
  expect(posted.map(({ body }) => body.data)).toEqual([{ title: 'One' }, { title: 'One' }, { title: 'Two' }]);
  expect(posted[0]!.key).toBe(posted[1]!.key);
});

test('a token provider that never answers holds nothing up for longer than a call may take', async () => {
  const tokens = [new Promise<string>(() => {}), new Promise<string>(() => {})];
  const { client, clock } = play([accept], { token: () => tokens.shift() ?? tokenOf('ada') });
  const { accepted } = client.send(note('One'));
  await clock.advance(35_000);
  expect(await outcome(accepted)).toBe('accepted');
});

test('a token that is refused refuses no event: all wait, are kept, and go out once the user is signed in again', async () => {
  const { client, posted, items, errors } = play([refuse(401, 'token_invalid'), refuse(401, 'token_invalid'), accept]);
  const sent = ['One', 'Two'].map((title) => client.send(note(title)));
  expect(await outcome(sent[0]!.accepted)).toBe('waiting');
  expect(client.unsent.get()).toBe(2);
  expect(stored(items).join()).toMatch(/One.*Two/);
  expect(errors).toContain('token_invalid');
  client.reconnect();
  expect(await outcome(sent[0]!.accepted)).toBe('accepted');
  expect(await outcome(sent[1]!.accepted)).toBe('accepted');
  expect(posted.slice(2).map(({ body }) => body.data)).toEqual([{ title: 'One' }, { title: 'Two' }]);
  expect(stored(items)).toEqual([]);
});

test('a token that is good again without a new sign-in is found within a minute', async () => {
  const { client, clock } = play([refuse(401, 'token_expired'), refuse(401, 'token_expired'), accept]);
  const { accepted } = client.send(note('One'));
  await turn();
  await clock.advance(60_000);
  expect(await outcome(accepted)).toBe('accepted');
});

test('another user’s token posts nothing of the first one’s, and loses nothing of it', async () => {
  let user = 'ada';
  const { client, clock, posted, items } = play([() => json(503, {}), accept], { token: () => tokenOf(user) });
  const { accepted } = client.send(note('Ada’s'));
  await turn();
  user = 'ben';
  await clock.advance(200_000);
  expect(await outcome(accepted)).toBe('waiting');
  expect(posted).toHaveLength(1);
  expect(stored(items).join()).toContain('ada [{"type"');
  client.close();
  const next = play([accept], { token: () => tokenOf('ada') }, items);
  await turn();
  expect(next.posted.map(({ body }) => body.data)).toEqual([{ title: 'Ada’s' }]);
});

test('with a token provider what is sent is kept as soon as a token says whose it is, without a connection', async () => {
  const { client, items } = play([() => json(503, {})]);
  void client.send(note('One'));
  await turn();
  expect(stored(items).join()).toContain('One');
  client.close();
  const next = play([accept], {}, items);
  await turn();
  expect(next.posted.map(({ body }) => body.data)).toEqual([{ title: 'One' }]);
  expect(stored(items)).toEqual([]);
});

test('who names the user keeps what is sent before the first token; another’s token does not send it', async () => {
  const away = () => Promise.reject<string>(new Error('backend away'));
  const { client, items } = play([accept], { token: away, userId: 'ada' });
  void client.send(note('One'));
  client.close();
  const stranger = play([accept], { token: () => tokenOf('ben') }, items);
  const impostor = play([accept], { token: () => tokenOf('ben'), userId: 'ada' }, items);
  await stranger.clock.advance(100_000);
  await impostor.clock.advance(100_000);
  expect([...stranger.posted, ...impostor.posted]).toEqual([]);
  expect(impostor.client.state.get()).toBe('signed-out');
  const next = play([accept], { userId: 'ada' }, items);
  await turn();
  expect(next.posted.map(({ body }) => body.data)).toEqual([{ title: 'One' }]);
});

test('the same event under one request id is one event, from whatever page; another one under it is another', async () => {
  const { client, posted, items } = play([accept]);
  const sent = [note('One'), note('One'), note('Two'), { ...note('One'), aggregateId: 'a-1' }];
  for (const event of sent) await client.send({ ...event, requestId: 'r-1' }).accepted;
  const [one, again, two, aggregate] = posted.map(({ body, key }) => `${body.eventId} ${key}`);
  expect(again).toBe(one);
  expect(new Set([one, two, aggregate]).size).toBe(3);
  const elsewhere = play([accept], {}, items);
  await elsewhere.client.send({ data: { title: 'One' }, requestId: 'r-1', type: note('').type }).accepted;
  expect(`${elsewhere.posted[0]!.body.eventId} ${elsewhere.posted[0]!.key}`).toBe(one);
});

test('two different events of one request are both kept, and both sent by the next page', async () => {
  const { client, items } = play([() => json(503, {})]);
  for (const title of ['One', 'Two']) void client.send({ ...note(title), requestId: 'r-1' });
  await turn();
  client.close();
  const next = play([accept], {}, items);
  await turn();
  expect(next.posted.map(({ body }) => body.data)).toEqual([{ title: 'One' }, { title: 'Two' }]);
});

test('an event is what it was when it was sent, whatever becomes of its data', async () => {
  const { client, posted } = play([accept]);
  const data = { title: 'As sent' };
  const { accepted } = client.send({ type: 'note.creation.requested', data });
  data.title = 'Changed';
  await accepted;
  expect(posted[0]!.body.data).toEqual({ title: 'As sent' });
});

test('what a reload would lose is not taken: the 101st unsent event is refused, and all others are kept', async () => {
  const { client, items } = play([() => json(503, {})]);
  const sent = Array.from({ length: 101 }, (_, at) => client.send(note(`Note ${at}.`)));
  await expect(sent[100]!.accepted).rejects.toMatchObject({ code: 'outbox_full' });
  expect(client.request(sent[100]!.requestId).get()).toMatchObject({
    status: 'failed',
    error: { code: 'outbox_full' },
  });
  await turn();
  expect(stored(items).join()).toMatch(/Note 0\..*Note 99\./);
  expect(client.unsent.get()).toBe(100);
});

test('more than a million characters unsent are refused; a single large event is the server’s to judge', async () => {
  const { client, items } = play([() => json(503, {})]);
  const large = client.send(note('x'.repeat(1_100_000)));
  const next = client.send(note('One more'));
  await expect(next.accepted).rejects.toMatchObject({ code: 'outbox_full' });
  expect(await outcome(large.accepted)).toBe('waiting');
  expect(stored(items).join().length).toBeGreaterThan(1_100_000);
});

test('a storage that takes no more is told, and the event is sent all the same', async () => {
  const items = new Map<string, string>();
  items.set = () => {
    throw new Error('QuotaExceededError');
  };
  const { client, errors } = play([accept], {}, items);
  await client.send(note('One')).accepted;
  expect(errors).toContain('not_kept');
});

test('what is no JSON is refused at once', async () => {
  const { client, posted } = play([accept]);
  await expect(client.send({ type: 'a.b.c', data: 1n }).accepted).rejects.toMatchObject({ code: 'not_json' });
  expect(posted).toEqual([]);
});

test('a refusal of Synap’s own is for good, and holds up nothing', async () => {
  const { client, items } = play([refuse(400, 'validation_failed'), accept]);
  const bad = client.send(note('Bad'));
  const good = client.send(note('Good'));
  expect(await outcome(bad.accepted)).toBe('refused: validation_failed');
  expect(await outcome(good.accepted)).toBe('accepted');
  expect(stored(items)).toEqual([]);
});
