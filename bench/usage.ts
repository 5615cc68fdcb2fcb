import { readdir, readFile } from 'node:fs/promises';
import type { ProcessUsage } from './measure.ts';

/** A process, or with all that it started (Postgres has one per connection). */
export interface Watched {
  readonly name: string;
  readonly pid: number;
  readonly hasChildren?: boolean;
}

interface Reading {
  readonly ticks: number;
  readonly memoryKb: number;
}

const sampleEveryMs = 250;
/** Linux counts processor time in hundredths of a second (`getconf CLK_TCK`). */
const ticksPerSecond = 100;

/** Reads /proc while a round runs: processor time by difference, memory by its highest sample. */
export class UsageWatch {
  readonly #watched: readonly Watched[];
  readonly #beganAt = performance.now();
  readonly #first = new Map<number, number>();
  readonly #last = new Map<number, number>();
  readonly #peaksKb: number[];
  readonly #pidsOf: Set<number>[];
  #timer: NodeJS.Timeout | undefined;
  #sampling: Promise<void> = Promise.resolve();

  private constructor(watched: readonly Watched[]) {
    this.#watched = watched;
    this.#peaksKb = watched.map(() => 0);
    this.#pidsOf = watched.map(() => new Set());
  }

  static async start(watched: readonly Watched[]): Promise<UsageWatch> {
    const watch = new UsageWatch(watched);
    await watch.#sample(true);
    watch.#timer = setInterval(() => {
      watch.#sampling = watch.#sampling.then(() => watch.#sample(false));
    }, sampleEveryMs);
    return watch;
  }

  async stop(): Promise<ProcessUsage[]> {
    clearInterval(this.#timer);
    await this.#sampling;
    await this.#sample(false);
    const seconds = (performance.now() - this.#beganAt) / 1_000;
    return this.#watched.map(({ name }, index) => {
      let ticks = 0;
      for (const pid of this.#pidsOf[index] ?? []) ticks += (this.#last.get(pid) ?? 0) - (this.#first.get(pid) ?? 0);
      return {
        name,
        cpuPercent: ((ticks / ticksPerSecond) * 100) / seconds,
        peakMemoryMb: (this.#peaksKb[index] ?? 0) / 1_024,
      };
    });
  }

  async #sample(isFirst: boolean): Promise<void> {
    for (const [index, { pid, hasChildren = false }] of this.#watched.entries()) {
      let memoryKb = 0;
      for (const member of hasChildren ? [pid, ...(await childrenOf(pid))] : [pid]) {
        const reading = await read(member, hasChildren);
        if (reading === undefined) continue;
        // One that began meanwhile has used all of its time within the round.
        if (!this.#first.has(member)) this.#first.set(member, isFirst ? reading.ticks : 0);
        this.#last.set(member, reading.ticks);
        this.#pidsOf[index]?.add(member);
        memoryKb += reading.memoryKb;
      }
      this.#peaksKb[index] = Math.max(this.#peaksKb[index] ?? 0, memoryKb);
    }
  }
}

/** Memory without what processes share, where several are counted together. Undefined: it has ended. */
async function read(pid: number, isShared: boolean): Promise<Reading | undefined> {
  try {
    const [stat, status] = await Promise.all([
      readFile(`/proc/${pid}/stat`, 'utf8'),
      readFile(`/proc/${pid}/status`, 'utf8'),
    ]);
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const memory = new RegExp(`^${isShared ? 'RssAnon' : 'VmRSS'}:\\s+(\\d+)`, 'm').exec(status)?.[1];
    return { ticks: Number(fields[11]) + Number(fields[12]), memoryKb: Number(memory ?? 0) };
  } catch {
    return undefined;
  }
}

export async function childrenOf(parent: number): Promise<number[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);
  const parents = await Promise.all(pids.map(async (pid) => ({ pid, parent: await parentOf(pid) })));
  return parents.filter((found) => found.parent === parent).map(({ pid }) => pid);
}

async function parentOf(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
}
