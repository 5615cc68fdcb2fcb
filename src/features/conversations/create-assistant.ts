import type { Clock } from '../../platform/clock.js';
import type { Config } from '../../platform/config.js';
import type { Sql } from '../../platform/database.js';
import type { Metrics } from '../../platform/metrics.js';
import { AnthropicAssistant } from './anthropic-assistant.js';
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
  const assistant =
    apiKey === undefined ? new OfflineAssistant(sql, clock) : new AnthropicAssistant({ apiKey, baseUrl, model });
  return meterAssistant(assistant, metrics);
}
