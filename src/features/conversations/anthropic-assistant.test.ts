import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { startAnthropic, type AnthropicServer } from '../../../test/support/anthropic.js';
import { within } from '../../../test/support/signals.js';
import { NonRetryableError, RetryAfterError } from '../../execution/retry.js';
import { createMetrics } from '../../platform/metrics.js';
import { AnthropicAssistant } from './anthropic-assistant.js';
import type { Question } from './assistant.js';
import { meterAssistant } from './metered-assistant.js';

let server: AnthropicServer;
let assistant: AnthropicAssistant;
let pieces: string[];

beforeEach(async () => {
  server = await startAnthropic();
  assistant = new AnthropicAssistant({ apiKey: 'sk-test', baseUrl: server.url, model: 'claude-test' });
  pieces = [];
});
afterEach(() => server.stop());

const question = (more: Partial<Question> = {}): Question => ({
  userId: 'alice',
  turns: [
    { role: 'user', content: 'Hi' },
    { role: 'assistant', content: 'Hello' },
    { role: 'user', content: 'How are you?' },
  ],
  signal: new AbortController().signal,
  idempotencyKey: 'event-1:run-synap-agent',
  onText: (text) => pieces.push(text),
  ...more,
});

const failure = async (asked = question()): Promise<unknown> =>
  assistant.answer(asked).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );

describe('Claude', () => {
  test('gets the conversation and the idempotency key, and its text comes piece by piece', async () => {
    server.replies.push({ kind: 'answer', pieces: ['I am ', 'fine, ', 'thänks.'], inputTokens: 21 });
    expect(await assistant.answer(question())).toEqual({
      text: 'I am fine, thänks.',
      inputTokens: 21,
      outputTokens: 3,
    });
    expect(pieces).toEqual(['I am ', 'fine, ', 'thänks.']);
    const [asked] = server.asked;
    expect(asked?.headers).toMatchObject({
      authorization: 'Bearer sk-test',
      'idempotency-key': 'event-1:run-synap-agent',
    });
    expect(asked?.body).toMatchObject({ model: 'claude-test', stream: true, messages: question().turns });
  });

  test.each([
    ['429', 429, 'rate_limit_error', '7', 7_000],
    ['529', 529, 'overloaded_error', '2', 2_000],
    ['503', 503, 'api_error', '1', 1_000],
    ['429 with an unreasonable wait', 429, 'rate_limit_error', '86400', 900_000],
  ])('%s with Retry-After comes back when the service says', async (_what, status, type, retryAfter, delayMs) => {
    server.replies.push({ kind: 'status', status, type, headers: { 'retry-after': retryAfter } });
    const thrown = await failure();
    expect(thrown).toBeInstanceOf(RetryAfterError);
    expect(thrown).toMatchObject({ delayMs });
  });

  test('Retry-After may be a date', async () => {
    const date = new Date(Date.now() + 60_000).toUTCString();
    server.replies.push({ kind: 'status', status: 429, type: 'rate_limit_error', headers: { 'retry-after': date } });
    const { delayMs } = (await failure()) as RetryAfterError;
    expect(delayMs).toBeGreaterThan(50_000);
    expect(delayMs).toBeLessThanOrEqual(60_000);
  });

  test.each([
    [400, 'invalid_request_error', 'assistant_rejected'],
    [413, 'request_too_large', 'assistant_rejected'],
    [401, 'authentication_error', 'assistant_not_configured'],
    [403, 'permission_error', 'assistant_not_configured'],
    [404, 'not_found_error', 'assistant_not_configured'],
  ])('%d is final, with a text that a user may read', async (status, type, code) => {
    server.replies.push({ kind: 'status', status, type });
    const thrown = await failure();
    expect(thrown).toBeInstanceOf(NonRetryableError);
    expect(thrown).toMatchObject({ code });
    expect((thrown as Error).message).not.toContain('sk-test');
    expect((thrown as Error).message).toMatch(/^The assistant .*\.$/);
  });

  test.each([
    ['a server error', { kind: 'status', status: 500, type: 'api_error' }],
    ['429 without Retry-After', { kind: 'status', status: 429, type: 'rate_limit_error' }],
    ['a connection cut in the middle of the answer', { kind: 'cut', pieces: ['I am '] }],
    ['a stream that ends in the middle of the answer', { kind: 'truncated', pieces: ['I am '] }],
    ['an error event in the middle of the answer', { kind: 'errorEvent', pieces: ['I am '], type: 'overloaded_error' }],
  ] as const)(
    '%s is an ordinary error, and asked just once: the job tries again, not the SDK',
    async (_what, reply) => {
      server.replies.push(reply);
      const thrown = await failure();
      expect(thrown).toBeInstanceOf(Error);
      expect(thrown).not.toBeInstanceOf(NonRetryableError);
      expect(thrown).not.toBeInstanceOf(RetryAfterError);
      expect(server.asked).toHaveLength(1);
    },
  );

  test('nobody listening is an ordinary error', async () => {
    await server.stop();
    const thrown = await failure();
    expect(thrown).toBeInstanceOf(Error);
    expect(thrown).not.toBeInstanceOf(NonRetryableError);
  });

  test('an answer without text is final', async () => {
    server.replies.push({ kind: 'answer', pieces: [] });
    expect(await failure()).toMatchObject({ name: 'NonRetryableError', code: 'assistant_declined' });
  });

  test('an abort ends the request and carries its own reason', async () => {
    server.replies.push({ kind: 'answer', pieces: ['one ', 'two '] });
    const abort = new AbortController();
    const reason = new Error('shutting down');
    expect(await failure(question({ signal: abort.signal, onText: () => abort.abort(reason) }))).toBe(reason);
  });

  test('an abort while nothing comes lets the connection go', async () => {
    server.replies.push({ kind: 'silence' });
    const abort = new AbortController();
    const reason = new Error('cancelled');
    const answering = failure(question({ signal: abort.signal }));
    await within(server.received, 'the request');
    abort.abort(reason);
    expect(await answering).toBe(reason);
    await within(server.abandoned, 'the connection to close');
  });
});

test('a metered assistant counts requests, tokens and time', async () => {
  const metrics = createMetrics('test_');
  const metered = meterAssistant(assistant, metrics);
  server.replies.push(
    { kind: 'answer', pieces: ['Hi'], inputTokens: 5 },
    { kind: 'status', status: 500, type: 'api_error' },
  );
  await metered.answer(question());
  await expect(metered.answer(question())).rejects.toThrow('500');
  const shown = await metrics.registry.metrics();
  expect(shown).toContain('test_ai_requests_total{assistant="anthropic",status="success"} 1');
  expect(shown).toContain('test_ai_requests_total{assistant="anthropic",status="error"} 1');
  expect(shown).toContain('test_ai_tokens_used_total{assistant="anthropic",direction="input"} 5');
  expect(shown).toContain('test_ai_request_duration_seconds_count{assistant="anthropic"} 2');
});
