import { setTimeout as delay } from 'node:timers/promises';
import { eventually, within } from '../support/signals.ts';
import { countOpen } from '../faults/checker/facts.ts';
import { endChild } from '../faults/stack/child.ts';
import { readLog } from '../faults/log.ts';
import { Audience } from './audience.ts';
import { Counters, type Totals } from './counters.ts';
import { Edges } from './cuts.ts';
import { actFaults } from './faults.ts';
import { actFinale } from './finale.ts';
import { planRun, type JitterOptions, type Plan } from './plan.ts';
import type { Heard } from './readers/record.ts';
import type { Site } from './site.ts';
import { Broadcaster, startRequests, untilSent } from './traffic.ts';
import { check, type Violation } from './verdict/check.ts';
import { readHeads, readLogs, type Facts } from './verdict/facts.ts';
import { measure, type Measures } from './verdict/measure.ts';

export interface Outcome {
  readonly options: JitterOptions;
  readonly seconds: number;
  readonly faults: readonly string[];
  readonly measures: Measures;
  /** What the processes counted. */
  readonly counted: Totals;
  readonly violations: readonly Violation[];
  /** Where the logs are, if something was wrong. */
  readonly kept: string | undefined;
}

/** What jobs need whose worker was killed: its heartbeat must lapse, then the lock on its tickets. */
const jobsEndWithinMs = 60_000;

/** A run from its first connection to the verdict: traffic, cuts and faults; rest; the last losses; check. */
export async function runJitter(site: Site, options: JitterOptions): Promise<Outcome> {
  const beganAt = performance.now();
  const counters = new Counters(site.stack.roles);
  const run = await Run.start(site, planRun(options, `j${Date.now().toString(36)}`));
  try {
    await run.act();
    const [facts, counted] = [await run.gather(), await counters.stop()];
    const violations = [...run.found, ...check(facts)];
    return {
      options,
      seconds: (performance.now() - beganAt) / 1_000,
      faults: run.faults,
      measures: measure(facts),
      counted,
      violations,
      kept: violations.length === 0 ? undefined : site.stack.directory,
    };
  } finally {
    await run.end();
    await counters.stop();
  }
}

class Run {
  readonly found: Violation[] = [];
  faults: readonly string[] = [];
  readonly #site: Site;
  readonly #plan: Plan;
  readonly #edges: Edges;
  readonly #audience: Audience;
  readonly #tokens: Record<string, string>;
  readonly #broadcaster: Broadcaster;
  #calmAt = 0;

  private constructor(site: Site, plan: Plan, edges: Edges, audience: Audience, tokens: Record<string, string>) {
    this.#site = site;
    this.#plan = plan;
    this.#edges = edges;
    this.#audience = audience;
    this.#tokens = tokens;
    this.#broadcaster = new Broadcaster(site.stack);
  }

  static async start(site: Site, plan: Plan): Promise<Run> {
    const tokens = Object.fromEntries(
      await Promise.all(plan.users.map(async (user) => [user, await site.stack.mint(user)] as const)),
    );
    const edges = new Edges();
    const portsOf = (roles: readonly { readonly url: string }[]) => roles.map(({ url }) => Number(new URL(url).port));
    const [synap, control] = [portsOf(site.stack.of('realtime')), portsOf(site.controls)];
    await edges.open(plan.devices, ({ kind }) => (kind === 'control' ? control : synap), plan.options.seed);
    await site.startEmitter(plan.prefix);
    const audience = await Audience.start(plan, edges, tokens, site.stack.directory);
    await audience.untilConnected(plan.devices.length);
    return new Run(site, plan, edges, audience, tokens);
  }

  async act(): Promise<void> {
    await this.#underJitter();
    await this.#site.heal();
    await this.#jobsEnd();
    await this.#audience.untilConnected(this.#plan.devices.length);
    if (!(await this.#untilEven('after the traffic'))) return;
    const isHealed = await actFinale({
      plan: this.#plan,
      site: this.#site,
      edges: this.#edges,
      broadcaster: this.#broadcaster,
      untilEven: () => this.#untilEven('after a deaf moment'),
    });
    if (isHealed) await this.#untilEven('at the end');
  }

  async gather(): Promise<Facts> {
    await this.#audience.end();
    const heard = await Promise.all(this.#audience.logs.map((log) => readLog<Heard>(log)));
    const { pool } = this.#site.stack.postgres;
    return {
      plan: this.#plan,
      rooms: await readLogs(pool, this.#plan.prefix),
      heard: heard.flat(),
      cuts: this.#edges.cuts,
      calmAt: this.#calmAt,
    };
  }

  async end(): Promise<void> {
    await this.#audience.end();
    await this.#edges.close();
  }

  async #underJitter(): Promise<void> {
    const { seconds } = this.#plan.options;
    const requests = await startRequests(this.#plan, this.#site.stack, this.#tokens);
    try {
      this.#audience.begin();
      this.#edges.torment();
      const [faults] = await Promise.all([
        actFaults(this.#site, seconds),
        this.#broadcaster.run(this.#plan),
        within(untilSent(requests), 'all requests to be sent', seconds * 1_000 + 60_000),
      ]);
      this.faults = faults;
    } finally {
      await this.#edges.calm();
      this.#calmAt = Date.now();
      await endChild(requests, 'SIGTERM');
    }
  }

  async #jobsEnd(): Promise<void> {
    const { pool } = this.#site.stack.postgres;
    await eventually(
      async () => {
        if ((await countOpen(pool, this.#plan.prefix)) === 0) return true;
        await delay(100);
        return undefined;
      },
      'every job to end',
      jobsEndWithinMs,
    ).catch((thrown: unknown) => this.found.push({ invariant: 'jobs', count: 1, examples: [String(thrown)] }));
  }

  /** Until every device has what Postgres has. @returns false where one does not come to it: it is late. */
  async #untilEven(when: string): Promise<boolean> {
    const until = performance.now() + this.#plan.options.settleMs;
    for (;;) {
      const behind = await this.#behind();
      if (behind.length === 0) return true;
      if (performance.now() > until) {
        const examples = behind.slice(0, 3).map((who) => `${who} ${when}`);
        this.found.push({ invariant: 'late', count: behind.length, examples });
        return false;
      }
      await delay(100);
    }
  }

  async #behind(): Promise<string[]> {
    const heads = await readHeads(this.#site.stack.postgres.pool, this.#plan.prefix);
    const progress = await this.#audience.progress();
    return this.#plan.devices
      .filter(({ kind }) => kind === 'synap')
      .flatMap(({ index, rooms }) =>
        rooms.flatMap(({ name, key }) => {
          const [has, head] = [progress.heads[index]?.[name] ?? 0, heads.get(key) ?? 0];
          return has === head ? [] : [`device ${index} has ${has} of ${head} in ${name}`];
        }),
      );
  }
}
