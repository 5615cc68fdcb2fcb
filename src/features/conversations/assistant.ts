export interface Turn {
  readonly role: 'user' | 'assistant';
  readonly content: string;
}

export interface Question {
  readonly userId: string;
  /** Oldest first; the last one is the user's. */
  readonly turns: readonly Turn[];
  readonly signal: AbortSignal;
  /** The same in every attempt; sent to services that can use it. */
  readonly idempotencyKey: string;
  /** Called with each piece of text as it comes. */
  readonly onText: (text: string) => void;
}

export type Answer = {
  readonly text: string;
  readonly inputTokens: number;
  readonly outputTokens: number;
};

/** Answers a conversation. Implementations: Anthropic's Messages API, and offline keyword search over the user's own data. */
export interface Assistant {
  readonly name: string;
  /** @throws NonRetryableError where asking again cannot help, RetryAfterError where the service names a time. */
  answer(question: Question): Promise<Answer>;
}
