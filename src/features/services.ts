import type { Config } from '../platform/config.js';
import type { Clock } from '../platform/clock.js';
import type { Database, Sql } from '../platform/database.js';
import type { Metrics } from '../platform/metrics.js';
import type { Assistant } from './conversations/assistant.js';
import { createAssistant } from './conversations/create-assistant.js';
import { createStorage } from './files/create-storage.js';
import type { Storage } from './files/storage.js';

/** What the composition root hands to every handler. */
export interface Services {
  readonly storage: Storage;
  readonly assistant: Assistant;
  /** What is counted of the product; a handler counts at its end. */
  readonly metrics: Pick<Metrics, 'notesCreated' | 'conversationsStarted'>;
  /** For reading; what a handler writes belongs in `step.transaction`. */
  readonly sql: Sql;
}

export interface ServicesDeps {
  readonly config: Pick<Config, 'storage' | 'assistant'>;
  readonly database: Database;
  readonly metrics: Metrics;
  readonly clock: Clock;
}

export function createServices({ config, database: { sql }, metrics, clock }: ServicesDeps): Services {
  return {
    storage: createStorage(config.storage, metrics),
    assistant: createAssistant(config.assistant, { sql, metrics, clock }),
    metrics,
    sql,
  };
}
