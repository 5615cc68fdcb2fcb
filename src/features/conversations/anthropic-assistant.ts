import Anthropic, { APIError } from '@anthropic-ai/sdk';
import { NonRetryableError, RetryAfterError } from '../../execution/retry.js';
import type { Answer, Assistant, Question } from './assistant.js';

export interface AnthropicOptions {
  readonly apiKey: string;
  /** Without it, Anthropic's own. */
  readonly baseUrl?: string | undefined;
  readonly model: string;
  /** The longest wait for the first byte of an answer. */
  readonly timeoutMs?: number;
}

const instructions =
  'You are the assistant of Synap, where the user keeps notes, tasks and projects. Answer in the language of the question, clearly and briefly.';

/** Claude, by the Messages API. It never tries twice by itself: the job does, and counts it. */
export class AnthropicAssistant implements Assistant {
  readonly name = 'anthropic';
  readonly #client: Anthropic;
  readonly #model: string;

  constructor({ apiKey, baseUrl = 'https://api.anthropic.com', model, timeoutMs = 60_000 }: AnthropicOptions) {
    this.#model = model;
    // Key and address are always given, so that the SDK looks for neither in the environment.
    this.#client = new Anthropic({
      apiKey,
      authToken: null,
      baseURL: baseUrl,
      timeout: timeoutMs,
      maxRetries: 0,
      logLevel: 'off',
    });
  }

  async answer({ turns, signal, idempotencyKey, onText }: Question): Promise<Answer> {
    try {
      const stream = this.#client.messages.stream(
        { model: this.#model, max_tokens: 4_096, system: instructions, messages: turns.map((turn) => ({ ...turn })) },
        { signal, headers: { 'Idempotency-Key': idempotencyKey } },
      );
      stream.on('text', onText);
      return toAnswer(await stream.finalMessage());
    } catch (thrown) {
      signal.throwIfAborted();
      throw translate(thrown);
    }
  }
}

function toAnswer({ content, stop_reason, usage }: Anthropic.Message): Answer {
  const text = content.map((block) => (block.type === 'text' ? block.text : '')).join('');
  if (text === '') {
    throw new NonRetryableError('assistant_declined', 'The assistant gave no answer to this.', {
      cause: new Error(`no text; stop reason: ${stop_reason}`),
    });
  }
  return { text, inputTokens: usage.input_tokens, outputTokens: usage.output_tokens };
}

const badKey = 'The assistant refuses our credentials. The operator should check ANTHROPIC_API_KEY.';
const badModel = 'The assistant does not know the configured model. The operator should check ANTHROPIC_MODEL.';
const badQuestion = 'The assistant could not take this conversation.';

/** Answers that would be the same again, by HTTP status. */
const finalAnswers = new Map<number, readonly [code: string, reason: string]>([
  [400, ['assistant_rejected', badQuestion]],
  [401, ['assistant_not_configured', badKey]],
  [403, ['assistant_not_configured', badKey]],
  [404, ['assistant_not_configured', badModel]],
  [413, ['assistant_rejected', badQuestion]],
  [422, ['assistant_rejected', badQuestion]],
]);

/** What the job should do about it. The default, an ordinary error, is tried again after the handler's back-off. */
function translate(thrown: unknown): unknown {
  if (!(thrown instanceof APIError)) return thrown;
  const { status, headers } = thrown as { status: number | undefined; headers: Headers | undefined };
  const final = status === undefined ? undefined : finalAnswers.get(status);
  if (final !== undefined) return new NonRetryableError(...final, { cause: thrown });
  const delayMs = retryAfterMs(headers);
  return delayMs === undefined
    ? thrown
    : new RetryAfterError(delayMs, `assistant: ${thrown.message}`, { cause: thrown });
}

const longestWaitMs = 15 * 60_000;

/** Retry-After in seconds or as a date. */
function retryAfterMs(headers: Headers | undefined): number | undefined {
  const value = headers?.get('retry-after') ?? undefined;
  if (value === undefined) return undefined;
  const ms = /^\d+(\.\d+)?$/.test(value) ? Number(value) * 1_000 : Date.parse(value) - Date.now();
  return Number.isNaN(ms) ? undefined : Math.min(longestWaitMs, Math.max(0, Math.round(ms)));
}
