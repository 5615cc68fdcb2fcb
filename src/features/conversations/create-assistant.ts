import type { Clock } from '../../platform/clock.js';
import type { Config } from '../../platform/config.js';
import type { Sql } from '../../platform/database.js';
import type { Metrics } from '../../platform/metrics.js';
import type { AnthropicOptions } from './anthropic-assistant.js';
import type { Assistant } from './assistant.js';
import { meterAssistant } from './metered-assistant.js';
import { OfflineAssistant } from './offline-assistant.js';

export interface AssistantDeps {
  readonly sql: Sql;
  readonly metrics: Metrics;
  readonly clock: Clock;
}

/** Claude where ANTHROPIC_API_KEY is set, else the one that needs nobody. */
export function createAssistant(
  { apiKey, baseUrl, model }: Config['assistant'],
  { sql, metrics, clock }: AssistantDeps,
): Assistant {
  const assistant = apiKey === undefined ? new OfflineAssistant(sql, clock) : claude({ apiKey, baseUrl, model });
  return meterAssistant(assistant, metrics);
}

/** Loaded for the first question: its SDK is larger than the rest of a worker. */
function claude(options: AnthropicOptions): Assistant {
  let loading: Promise<Assistant> | undefined;
  const load = async (): Promise<Assistant> => {
    const { AnthropicAssistant } = await import('./anthropic-assistant.js');
    return new AnthropicAssistant(options);
  };
  return { name: 'anthropic', answer: async (question) => (await (loading ??= load())).answer(question) };
}
