import { setTimeout as delay } from 'node:timers/promises';
import type { Role } from '../faults/stack/role.ts';

const names = ['realtime_recoveries_total', 'realtime_healed_total', 'publish_failures_total'] as const;
const everyMs = 500;
const answerMs = 400;

/** By name, and by the value of its label where it has one: `realtime_recoveries_total hot`. */
export type Totals = Readonly<Record<string, number>>;

/**
 * Adds up the counters of processes that are killed now and then: what a process counted in its last moment is lost, so the sums are a
 * little low.
 */
export class Counters {
  readonly #roles: readonly Role[];
  readonly #stop = new AbortController();
  readonly #past = new Map<string, number>();
  readonly #last = new Map<string, number>();
  readonly #running: Promise<void>;

  constructor(roles: readonly Role[]) {
    this.#roles = roles;
    this.#running = this.#watch();
  }

  async stop(): Promise<Totals> {
    this.#stop.abort();
    await this.#running;
    await this.#look();
    const totals: Record<string, number> = {};
    for (const counted of [this.#past, this.#last])
      for (const [key, value] of counted) {
        const name = key.slice(key.indexOf(' ') + 1);
        totals[name] = (totals[name] ?? 0) + value;
      }
    return totals;
  }

  async #watch(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      await this.#look();
      await delay(everyMs, undefined, { signal: this.#stop.signal }).catch(() => undefined);
    }
  }

  async #look(): Promise<void> {
    await Promise.all(this.#roles.map((role) => this.#read(role).catch(() => undefined)));
  }

  async #read({ name, metricsUrl = '' }: Role): Promise<void> {
    const response = await fetch(metricsUrl, { signal: AbortSignal.timeout(answerMs) });
    for (const [counter, value] of parse(await response.text())) {
      const key = `${name} ${counter}`;
      const before = this.#last.get(key) ?? 0;
      // It began anew.
      if (value < before) this.#past.set(key, (this.#past.get(key) ?? 0) + before);
      this.#last.set(key, value);
    }
  }
}

function parse(text: string): [string, number][] {
  return text.split('\n').flatMap((line): [string, number][] => {
    const match = /^synap_(\w+)(?:\{(?:[^}]*,)?(?:path|reason)="([^"]*)"[^}]*\})? (\S+)$/.exec(line);
    const [, name, label, value] = match ?? [];
    if (name === undefined || !names.some((known) => known === name)) return [];
    return [[label === undefined ? name : `${name} ${label}`, Number(value)]];
  });
}
