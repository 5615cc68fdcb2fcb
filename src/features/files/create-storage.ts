import type { Config } from '../../platform/config.js';
import type { Metrics } from '../../platform/metrics.js';
import { LocalStorage } from './local-storage.js';
import { meterStorage } from './metered-storage.js';
import type { Storage } from './storage.js';

/** The storage that STORAGE_PROVIDER names; a new provider is a new entry, and without it this does not compile. */
export function createStorage(config: Config['storage'], metrics: Metrics): Storage {
  const providers: Record<Config['storage']['provider'], () => Storage> = {
    local: () => new LocalStorage(config.directory),
  };
  return meterStorage(providers[config.provider](), metrics);
}
