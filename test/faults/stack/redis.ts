import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { Redis } from 'ioredis';
import { freePort } from '../../support/ports.ts';
import { endChild, startChild } from './child.ts';

/** As in redis.conf. */
type RedisSettings = Readonly<Record<string, string>>;

/** A Redis of the suite's own, which keeps its port and its folder over restarts. */
export class RedisServer {
  readonly port: number;
  readonly #directory: string;
  readonly #settings: RedisSettings;
  #child: ChildProcess | undefined;
  #client: Redis | undefined;

  private constructor(port: number, directory: string, settings: RedisSettings) {
    this.port = port;
    this.#directory = directory;
    this.#settings = settings;
  }

  /** @param settings beside the suite's own, which keep nothing on the disk: a Redis that was killed is to have forgotten all. */
  static async create(directory: string, settings: RedisSettings = {}): Promise<RedisServer> {
    await mkdir(directory, { recursive: true });
    return new RedisServer(await freePort(), directory, settings);
  }

  /** Empty, or with the dump that was put aside. */
  async start(options: { readonly fromKeptDump?: boolean } = {}): Promise<void> {
    await rm(this.#dump, { force: true });
    if (options.fromKeptDump === true) await copyFile(`${this.#dump}.kept`, this.#dump);
    const settings = {
      port: this.port,
      bind: '127.0.0.1',
      dir: this.#directory,
      save: '',
      appendonly: 'no',
      'maxmemory-policy': 'noeviction',
      // A replica is to have only what it was given.
      'repl-diskless-sync-delay': 0,
      ...this.#settings,
    };
    const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, String(value)]);
    const child = await startChild('redis-server', args, { stdio: ['ignore', 'pipe', 'ignore'] });
    this.#child = child;
    await untilReady(child);
    this.#client = new Redis({ port: this.port, retryStrategy: () => null, lazyConnect: false });
    this.#client.on('error', () => undefined);
  }

  /** For the suite's own commands, past the proxy. */
  get client(): Redis {
    if (this.#client === undefined) throw new Error('Redis is not running');
    return this.#client;
  }

  async kill(): Promise<void> {
    this.#client?.disconnect();
    this.#client = undefined;
    if (this.#child !== undefined) await endChild(this.#child, 'SIGKILL');
    this.#child = undefined;
  }

  freeze(): void {
    this.#child?.kill('SIGSTOP');
  }

  thaw(): void {
    this.#child?.kill('SIGCONT');
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  get isRunning(): boolean {
    return this.#child !== undefined;
  }

  /** Writes a dump and puts it aside, to come back to. */
  async keepDump(): Promise<void> {
    await this.client.save();
    await copyFile(this.#dump, `${this.#dump}.kept`);
  }

  get #dump(): string {
    return path.join(this.#directory, 'dump.rdb');
  }
}

async function untilReady(child: ChildProcess): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  if (child.stdout === null) throw new Error('Redis has no output');
  createInterface({ input: child.stdout }).on('line', (line) => {
    if (line.includes('eady to accept connections')) resolve();
  });
  void once(child, 'exit').then(() => reject(new Error('Redis did not start')));
  await promise;
}
