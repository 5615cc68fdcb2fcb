import { availableParallelism } from 'node:os';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { eventually, within } from '../support/signals.ts';
import { endChild, startChild } from '../faults/stack/child.ts';
import type { Edges } from './cuts.ts';
import type { Plan } from './plan.ts';
import type { Progress, ReadersSpec } from './readers/record.ts';

const program = path.join(import.meta.dirname, 'readers/main.ts');

/** All devices of a run, in a few processes. */
export class Audience {
  readonly logs: readonly string[];
  readonly #children: readonly ChildProcess[];

  private constructor(children: readonly ChildProcess[], logs: readonly string[]) {
    this.#children = children;
    this.logs = logs;
  }

  static async start(plan: Plan, edges: Edges, tokens: Record<string, string>, directory: string): Promise<Audience> {
    const count = Math.max(2, Math.min(4, availableParallelism()));
    const logs = Array.from({ length: count }, (_, nth) => path.join(directory, `heard-${nth}.jsonl`));
    const children = await Promise.all(
      logs.map(async (log, nth) => {
        const child = await startChild(process.execPath, [program], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
        const devices = plan.devices
          .filter(({ index }) => index % count === nth)
          .map((device) => ({ ...device, url: edges.urlOf(device), token: tokens[device.userId] ?? '' }));
        child.send({ log, devices } satisfies ReadersSpec);
        await within(once(child, 'message'), 'the readers to start');
        return child;
      }),
    );
    return new Audience(children, logs);
  }

  begin(): void {
    for (const child of this.#children) child.send('begin');
  }

  async progress(): Promise<Progress> {
    const all = await Promise.all(
      this.#children.map(async (child) => {
        child.send('progress');
        return ((await within(once(child, 'message'), 'the readers to say how far they are')) as [Progress])[0];
      }),
    );
    return {
      connected: all.reduce((sum, { connected }) => sum + connected, 0),
      heads: Object.assign({}, ...all.map(({ heads }) => heads)) as Progress['heads'],
    };
  }

  async untilConnected(devices: number): Promise<void> {
    await eventually(
      async () => {
        const { connected } = await this.progress();
        if (connected >= devices) return true;
        await delay(50);
        return undefined;
      },
      'every device to be connected',
      30_000,
    );
  }

  /** Their logs are complete when it resolves. */
  async end(): Promise<void> {
    await Promise.all(
      this.#children.map(async (child) => {
        if (child.exitCode !== null || child.signalCode !== null) return;
        const gone = once(child, 'exit');
        child.send('end');
        await within(gone, 'the readers to end').catch(() => endChild(child, 'SIGKILL'));
      }),
    );
  }
}
