import type { ChildProcess } from 'node:child_process';
import { createWriteStream, type WriteStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { within } from '../../support/signals.ts';
import { endChild, hasEnded, startChild } from './child.ts';

export type RoleName = 'api' | 'dispatcher' | 'worker' | 'realtime';

export interface RoleOptions {
  readonly name: string;
  readonly role: RoleName | 'control';
  readonly port: number;
  readonly env: Readonly<Record<string, string>>;
  readonly logDirectory: string;
  readonly metricsUrl?: string;
  /** Another program than Synap with the suite's features; it says `… is ready` as Synap does. */
  readonly entry?: string;
}

const respawnAfterMs = 200;
/** A process that cannot start is tried for as long as what it needs may be away. */
const maxDeaths = 100;
/** As in a container: what takes all memory must not take the machine's. */
const memoryMb = 384;
const readyWithinMs = 45_000;
const synap = path.join(import.meta.dirname, '../app/main.ts');

/** One process of Synap, started again whenever it ends, as an orchestrator does. */
export class Role {
  readonly name: string;
  readonly role: RoleOptions['role'];
  readonly url: string;
  readonly metricsUrl: string | undefined;
  readonly #options: RoleOptions;
  readonly #log: WriteStream;
  #child: ChildProcess | undefined;
  #ready = Promise.withResolvers<void>();
  #armed = Promise.withResolvers<void>();
  #died = Promise.withResolvers<void>();
  #isWanted = false;
  #respawn: NodeJS.Timeout | undefined;
  deaths = 0;

  constructor(options: RoleOptions) {
    this.#options = options;
    this.name = options.name;
    this.role = options.role;
    this.url = `http://127.0.0.1:${options.port}`;
    this.metricsUrl = options.metricsUrl;
    this.#log = createWriteStream(path.join(options.logDirectory, `${options.name}.log`), { flags: 'a' });
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  /** Resolves when it says that it is ready. */
  async start(): Promise<void> {
    this.#isWanted = true;
    this.deaths = 0;
    const isRunning = this.#child !== undefined && !hasEnded(this.#child);
    if (!isRunning && this.#respawn === undefined) await this.#spawn();
    await this.ready();
  }

  ready(): Promise<void> {
    return within(this.#ready.promise, `${this.name} to be ready`, readyWithinMs);
  }

  /** Resolves with the next end of this process, whatever ends it. */
  death(deadlineMs: number): Promise<void> {
    return within(this.#died.promise, `${this.name} to die`, deadlineMs);
  }

  /** `finish.committed:kill@3`; in the process that runs now, and not in the next one. */
  async arm(fault: string): Promise<void> {
    this.#armed = Promise.withResolvers<void>();
    this.#child?.stdin?.write(`${fault}\n`);
    await within(this.#armed.promise, `${this.name} to be armed`);
  }

  disarm(): Promise<void> {
    return this.arm('-');
  }

  kill(): void {
    this.#child?.kill('SIGKILL');
  }

  freeze(): void {
    this.#child?.kill('SIGSTOP');
  }

  thaw(): void {
    this.#child?.kill('SIGCONT');
  }

  /** SIGTERM, and the next one only when it has drained. */
  async restart(): Promise<void> {
    const child = this.#child;
    if (child !== undefined) await endChild(child, 'SIGTERM', 40_000);
    await this.ready();
  }

  async isStopped(): Promise<boolean> {
    const stat = await readFile(`/proc/${this.pid}/stat`, 'utf8').catch(() => '');
    return stat.slice(stat.lastIndexOf(')') + 2, stat.lastIndexOf(')') + 3) === 'T';
  }

  async end(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    this.#isWanted = false;
    clearTimeout(this.#respawn);
    this.thaw();
    if (this.#child !== undefined) await endChild(this.#child, signal, 20_000);
    this.#log.end();
  }

  async #spawn(): Promise<void> {
    this.#respawn = undefined;
    const child = await startChild(
      process.execPath,
      ['--enable-source-maps', `--max-old-space-size=${memoryMb}`, this.#options.entry ?? synap],
      {
        env: this.#options.env,
        stdio: ['pipe', 'pipe', 'pipe'],
      },
    );
    this.#child = child;
    child.stdin?.on('error', () => undefined);
    for (const stream of [child.stdout, child.stderr]) {
      if (stream !== null) createInterface({ input: stream }).on('line', (line) => this.#read(line));
    }
    child.once('exit', (code, signal) => this.#onExit(code, signal));
  }

  #read(line: string): void {
    this.#log.write(`${line}\n`);
    if (line.includes(' is ready"')) this.#ready.resolve();
    if (line.includes('"msg":"armed"')) this.#armed.resolve();
  }

  #onExit(code: number | null, signal: NodeJS.Signals | null): void {
    this.#log.write(`{"msg":"ended","code":${code},"signal":"${signal}"}\n`);
    this.deaths += 1;
    this.#died.resolve();
    this.#died = Promise.withResolvers<void>();
    this.#ready.resolve();
    this.#ready = Promise.withResolvers<void>();
    this.#ready.promise.catch(() => undefined);
    if (!this.#isWanted) return;
    if (this.deaths > maxDeaths) {
      this.#ready.reject(new Error(`${this.name} ended ${maxDeaths} times`));
      return;
    }
    this.#respawn = setTimeout(() => {
      if (this.#isWanted) void this.#spawn();
    }, respawnAfterMs);
  }
}
