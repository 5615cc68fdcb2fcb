import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { startAnthropic, type AnthropicServer, type Reply } from '../../../test/support/anthropic.js';
import { startTestKit, type Run, type TestKit } from '../../testing/index.js';

import { AnthropicAssistant } from './anthropic-assistant.js';
import { ConversationMessageSent } from './events.js';
import { answerIdOf, type MessageView } from './projection.js';

let kit: TestKit;
let claude: AnthropicServer;

beforeAll(async () => {
  claude = await startAnthropic();
  kit = await startTestKit({
    services: { assistant: new AnthropicAssistant({ apiKey: 'sk-test', baseUrl: claude.url, model: 'claude-test' }) },
  });
});
beforeEach(() => {
  claude.asked.length = 0;
  claude.replies.length = 0;
});
afterAll(async () => {
  await kit.end();
  await claude.stop();
});

const answer = (...pieces: string[]): Reply => ({ kind: 'answer', pieces });
const sent = (data: object) => ({ type: 'conversation.message.sent', data });
const send = (userId: string, data: object, more: { eventId?: string } = {}) =>
  kit.run(userId, { ...sent(data), ...more });

async function messages(userId: string, threadId: string, query: object = {}) {
  return (await kit.read(userId, '/v1/conversations/:threadId/messages', { params: { threadId }, query })) as
    | { items: MessageView[]; nextCursor?: string }
    | undefined;
}

describe('a message', () => {
  test('begins a thread, is answered, and tells all that a page needs', async () => {
    claude.replies.push(answer('Forty-', 'two.'));
    const run = await send('alice', { content: 'What is the answer?\nThink.' });
    const { eventId, aggregateId: threadId, last } = run;
    expect(last).toMatchObject({ type: 'conversation.response.generated', status: 'success' });
    expect(last?.data).toMatchObject({
      threadId,
      userMessageId: eventId,
      response: 'Forty-two.',
      threadTitle: 'What is the answer?',
      assistant: 'anthropic',
    });
    const page = await messages('alice', threadId);
    expect(page?.items.map(({ role, content }) => [role, content])).toEqual([
      ['assistant', 'Forty-two.'],
      ['user', 'What is the answer?\nThink.'],
    ]);
    expect(last?.data).toMatchObject({ assistantMessageId: page?.items[0]?.id, createdAt: page?.items[0]?.createdAt });
    expect(run.emitted).toMatchObject([
      { type: 'conversation.response.generated', data: { threadId, userMessageId: eventId, response: 'Forty-two.' } },
    ]);
    expect(await kit.read('alice', '/v1/conversations')).toMatchObject({
      items: [{ id: threadId, title: 'What is the answer?' }],
    });
  });

  test('is shown to the user’s other pages before its answer, which streams', async () => {
    claude.replies.push(answer('one ', 'two'));
    const run = await send('alice', { content: 'Count' });
    const { eventId, aggregateId: threadId } = run;
    expect(run.notifications[0]).toMatchObject({
      type: 'conversation.message.received',
      status: 'pending',
      data: { threadId, userMessageId: eventId, content: 'Count', threadTitle: 'Count' },
    });
    expect(run.streamed).toEqual(['one ', 'two']);
  });

  test('goes on with a thread, and the assistant hears what was said before', async () => {
    claude.replies.push(answer('Hello Alice.'), answer('Alice.'));
    const { aggregateId: threadId } = await send('alice', { content: 'I am Alice.' });
    await send('alice', { threadId, content: 'Who am I?' });
    expect(claude.asked[1]?.body.messages).toEqual([
      { role: 'user', content: 'I am Alice.' },
      { role: 'assistant', content: 'Hello Alice.' },
      { role: 'user', content: 'Who am I?' },
    ]);
    expect((await messages('alice', threadId))?.items).toHaveLength(4);
  });

  test('counts as a new conversation only where it begins one', async () => {
    const started = async () => (await kit.metrics.conversationsStarted.get()).values[0]?.value ?? 0;
    const before = await started();
    claude.replies.push(answer('A'), answer('B'));
    const { aggregateId: threadId } = await send('counter', { content: 'first' });
    await send('counter', { threadId, content: 'second' });
    expect(await started()).toBe(before + 1);
  });

  test('keeps its place and its text when the client chose its id', async () => {
    claude.replies.push(answer('A'), answer('B'));
    const { aggregateId: threadId } = await send(
      'ida',
      { content: 'first' },
      { eventId: 'ffffffff-ffff-4fff-bfff-ffffffffffff' },
    );
    await send('ida', { threadId, content: 'second' }, { eventId: '00000000-0000-4000-8000-000000000001' });
    expect((await messages('ida', threadId))?.items.map(({ content }) => content)).toEqual([
      'B',
      'second',
      'A',
      'first',
    ]);
  });

  test('to a thread of somebody else, or of nobody, is not found and not asked', async () => {
    claude.replies.push(answer('Hi'));
    const { aggregateId: threadId } = await send('alice', { content: 'Mine' });
    for (const [userId, thread] of [
      ['bob', threadId],
      ['alice', 'unknown'],
    ] as const) {
      const { last, outcome } = await send(userId, { threadId: thread, content: 'Let me in' });
      expect(outcome).toBe('dead');
      expect(last).toMatchObject({
        type: 'conversation.message.failed',
        status: 'error',
        error: { code: 'thread_not_found' },
      });
    }
    expect(claude.asked).toHaveLength(1);
    expect(await messages('bob', threadId)).toBeUndefined();
    expect((await messages('alice', threadId))?.items).toHaveLength(2);
  });

  test.each([
    ['empty content', { content: '  ' }],
    ['long content', { content: 'x'.repeat(32_001) }],
    ['a thread id that is none', { content: 'x', threadId: 'a b' }],
  ])('with %s is refused', (_what, data) => {
    expect(ConversationMessageSent.data.safeParse(data).success).toBe(false);
  });

  test('is limited to 20 in 5 minutes', () => {
    expect(ConversationMessageSent.limit).toEqual({ max: 20, windowMs: 300_000 });
  });
});

describe('an assistant that fails', () => {
  test('once is asked again under the same idempotency key, and there is one question and one answer', async () => {
    claude.replies.push({ kind: 'cut', pieces: ['Half an '] }, answer('Whole.'));
    const { aggregateId: threadId, last } = await send('carol', { content: 'Tell me' });
    expect(last).toMatchObject({ status: 'success', data: { response: 'Whole.' } });
    expect((await messages('carol', threadId))?.items.map(({ content }) => content)).toEqual(['Whole.', 'Tell me']);
    const keys = claude.asked.map(({ headers }) => headers['idempotency-key']);
    expect(keys).toHaveLength(2);
    expect(new Set(keys).size).toBe(1);
  });

  test('for good leaves the question, and tells why', async () => {
    claude.replies.push({ kind: 'status', status: 401, type: 'authentication_error' });
    const { aggregateId: threadId, last, outcome } = await send('carol', { content: 'Anybody?' });
    expect(outcome).toBe('dead');
    expect(last).toMatchObject({
      type: 'conversation.message.failed',
      error: { code: 'assistant_not_configured', message: expect.stringContaining('ANTHROPIC_API_KEY') as unknown },
    });
    expect((await messages('carol', threadId))?.items.map(({ content }) => content)).toEqual(['Anybody?']);
  });

  test('with Retry-After is waited for', async () => {
    claude.replies.push({ kind: 'status', status: 429, type: 'rate_limit_error', headers: { 'retry-after': '30' } });
    const { eventId } = await kit.accept('carol', sent({ content: 'Busy?' }));
    const { outcome, waitMs } = await kit.attempt(eventId);
    expect(outcome).toBe('retry');
    expect(waitMs).toBeGreaterThan(29_000);
  });

  test('is answered anew by a restart, in place of the old answer', async () => {
    claude.replies.push(answer('Old'), answer('New'));
    const died = await kit.run('dora', sent({ content: 'Again' }), { dieAfter: 'append-assistant-message' });
    const { aggregateId: threadId } = await kit.replay(died.eventId, 'restart');
    expect((await messages('dora', threadId))?.items.map(({ content }) => content)).toEqual(['New', 'Again']);
  });
});

test('a message survives crashes: the assistant may be asked again, under the same key, and answers once', async () => {
  const check = ({ run }: { run: Run }) => {
    const keys = claude.asked.map(({ headers }) => headers['idempotency-key']);
    expect(new Set(keys)).toEqual(new Set([`${run.eventId}:run-synap-agent`]));
  };
  const prepare = () => {
    claude.asked.length = 0;
    claude.replies.splice(0, Number.POSITIVE_INFINITY, answer('Whole.'), answer('Whole.'));
  };
  await kit.survivesCrashes('survivor', sent({ content: 'Tell me' }), check, { prepare });
}, 60_000);

test('messages are paged, newest first, each once', async () => {
  claude.replies.push(answer('1'), answer('2'), answer('3'));
  const { aggregateId: threadId } = await send('pager', { content: 'one' });
  await send('pager', { threadId, content: 'two' });
  await send('pager', { threadId, content: 'three' });
  const first = await messages('pager', threadId, { limit: '4' });
  const second = await messages('pager', threadId, { limit: '4', cursor: first?.nextCursor });
  const seen = [...(first?.items ?? []), ...(second?.items ?? [])].map(({ content }) => content);
  expect(seen).toEqual(['3', 'three', '2', 'two', '1', 'one']);
  expect(second?.nextCursor).toBeUndefined();
});

test('the id of an answer is the one after its question’s', () => {
  expect(answerIdOf('0199aaaa-0000-7000-8000-00000000000f')).toBe('0199aaaa-0000-7000-8000-000000000010');
  expect(answerIdOf('0199aaaa-0000-7000-8000-ffffffffffff')).toBe('0199aaaa-0000-7000-8001-000000000000');
});
