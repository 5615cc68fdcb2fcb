import type { ChildProcess } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { eventually } from '../test/support/signals.ts';
import { freePort } from '../test/support/ports.ts';
import { endChild, hasEnded, startChild } from '../test/faults/stack/child.ts';
import { built } from './built.ts';
import { compiled } from './compiled.ts';
import type { Place } from './place.ts';
import { productionEnvironment, productionFlags } from './production.ts';
import type { Watched } from './usage.ts';

const { createTokens } = await built('platform/tokens');

export type RoleName = 'api' | 'dispatcher' | 'worker' | 'realtime';

export interface SynapOptions {
  readonly databaseUrl: string;
  /** One process for each list of roles. */
  readonly processes: readonly (readonly RoleName[])[];
  /** Without Redis, all roles in the one process. */
  readonly isOnPostgresAlone?: boolean;
  readonly env?: Readonly<Record<string, string>>;
  /** Absent: Synap with the benchmark's handlers. TypeScript is compiled first. */
  readonly program?: string;
  /** Flags of Node on top of production's: `--cpu-prof`. */
  readonly nodeFlags?: readonly string[];
}

export interface SynapProcess {
  readonly name: string;
  readonly roles: readonly RoleName[];
  readonly url: string;
  readonly metricsUrl: string;
  readonly pid: number;
  readonly logFile: string;
}

const jwtSecret = 'a secret that only the benchmark knows: 0123456789';
const apiKey = 'an api key that only the benchmark knows: 0123456789';
const program = path.join(import.meta.dirname, 'app/main.ts');
/** Synap as it is deployed, each process with production's flags and settings, with the benchmark's handlers. */
export class Synap {
  readonly processes: readonly SynapProcess[];
  readonly #children: readonly ChildProcess[];

  private constructor(processes: readonly SynapProcess[], children: readonly ChildProcess[]) {
    this.processes = processes;
    this.#children = children;
  }

  /** Resolves when every process says it is ready. */
  static async start(place: Place, options: SynapOptions): Promise<Synap> {
    const directory = path.join(place.directory, 'synap');
    await mkdir(directory, { recursive: true });
    const started = await Promise.all(
      options.processes.map((roles, index) => startProcess(place, options, directory, roles, index)),
    );
    const synap = new Synap(
      started.map(({ process }) => process),
      started.map(({ child }) => child),
    );
    try {
      await Promise.all(started.map(({ process, child }) => untilReady(process, child)));
      return synap;
    } catch (thrown) {
      await synap.stop();
      throw thrown;
    }
  }

  one(role: RoleName): SynapProcess {
    const found = this.processes.find(({ roles }) => roles.includes(role));
    if (found === undefined) throw new Error(`no process has the role ${role}`);
    return found;
  }

  /** For `UsageWatch`, with the Postgres and the Redis that serve it. */
  watched(place: Place): Watched[] {
    return [...this.processes.map(({ name, pid }) => ({ name, pid })), ...watchedStores(place)];
  }

  mint(userId: string): Promise<string> {
    return createTokens(jwtSecret).mint(userId, { expiresInSeconds: 7_200 });
  }

  get serviceHeaders(): Readonly<Record<string, string>> {
    return { 'X-API-Key': apiKey };
  }

  async stop(): Promise<void> {
    await Promise.all(this.#children.map((child) => endChild(child, 'SIGTERM', 20_000)));
  }
}

export const watchedStores = (place: Place): Watched[] => [
  { name: 'postgres', pid: place.postgresPid, hasChildren: true },
  { name: 'redis', pid: place.redis.pid },
];

const runnable = (entry: string): string | Promise<string> => (entry.endsWith('.ts') ? compiled(entry) : entry);

async function startProcess(
  place: Place,
  options: SynapOptions,
  directory: string,
  roles: readonly RoleName[],
  index: number,
): Promise<{ readonly process: SynapProcess; readonly child: ChildProcess }> {
  const [port, metricsPort] = await Promise.all([freePort(), freePort()]);
  const name = `${roles.length === 4 ? 'synap' : roles.join('+')}-${index + 1}`;
  const logFile = path.join(directory, `${name}.log`);
  const log = openSync(logFile, 'a');
  const child = await startChild(
    process.execPath,
    [...productionFlags, ...(options.nodeFlags ?? []), await runnable(options.program ?? program)],
    { env: environment(place, options, { roles, port, metricsPort, directory }), stdio: ['ignore', log, log] },
  );
  closeSync(log);
  const url = `http://127.0.0.1:${port}`;
  const metricsUrl = `http://127.0.0.1:${metricsPort}/metrics`;
  return { process: { name, roles, url, metricsUrl, pid: child.pid ?? 0, logFile }, child };
}

interface Own {
  readonly roles: readonly RoleName[];
  readonly port: number;
  readonly metricsPort: number;
  readonly directory: string;
}

function environment(place: Place, options: SynapOptions, own: Own): Record<string, string> {
  const { databaseUrl, isOnPostgresAlone = false, env } = options;
  return {
    PATH: process.env['PATH'] ?? '',
    ...productionEnvironment,
    SYNAP_DIR: own.directory,
    LOG_LEVEL: 'info',
    DATABASE_URL: databaseUrl,
    JWT_SECRET: jwtSecret,
    API_KEY: apiKey,
    RATE_LIMIT_MAX: '1000000000',
    SYNAP_ROLES: own.roles.join(','),
    PORT: String(own.port),
    METRICS_PORT: String(own.metricsPort),
    ...(!isOnPostgresAlone && { REDIS_URL: place.redisUrl }),
    ...env,
  };
}

const readyWithinMs = 30_000;

async function untilReady({ name, url, logFile }: SynapProcess, child: ChildProcess): Promise<void> {
  await eventually(
    async () => {
      if (hasEnded(child)) throw new Error(`${name} ended while it started; see ${logFile}`);
      const response = await fetch(`${url}/ready`).catch(() => undefined);
      await response?.arrayBuffer();
      return response?.ok === true ? true : undefined;
    },
    `${name} to be ready`,
    readyWithinMs,
  );
}
