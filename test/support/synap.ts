import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { watchChild } from './children.js';
import { freePort } from './ports.js';
import { Collected, within } from './signals.js';

export interface SynapOptions {
  readonly databaseUrl: string;
  readonly redisUrl?: string;
  /** All of them without it. */
  readonly roles?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly readyTimeoutMs?: number;
  /** Another program than Synap's own: one with handlers of the tests. */
  readonly entry?: string;
}

export interface LogLine {
  readonly level: number;
  readonly msg: string;
  readonly [field: string]: unknown;
}

export interface SynapProcess {
  /** http://127.0.0.1:<port> */
  readonly url: string;
  readonly metricsUrl: string;
  readonly pid: number;
  readonly logs: Collected<LogLine>;
  /** SIGTERM, and resolves with the exit code; may be called again. */
  stop(): Promise<number | null>;
  /** SIGKILL: a crash. */
  kill(): Promise<void>;
  /** SIGSTOP and SIGCONT. */
  freeze(): void;
  thaw(): void;
}

export const testJwtSecret = 'a secret that only the tests know: 0123456789';
export const testApiKey = 'an api key that only the tests know: 0123456789';

/**
 * The real program in a process of its own, on ports of its own, started without any of this process' Synap variables.
 * Resolves when it logs that it is ready; rejects with its output when it ends first.
 */
export async function startSynap(options: SynapOptions): Promise<SynapProcess> {
  const [port, metricsPort] = await Promise.all([freePort(), freePort()]);
  const directory = await mkdtemp(path.join(tmpdir(), 'synap-process-'));
  const child = spawn(process.execPath, ['--enable-source-maps', options.entry ?? 'dist/processes/main.js'], {
    env: environment(options, { port, metricsPort, directory }),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  watchChild(child, `Synap (${options.roles?.join(', ') ?? 'all roles'})`);
  const output = collectOutput(child);
  const gone = once(child, 'exit').then(async ([code]: (number | null)[]) => {
    await rm(directory, { recursive: true, force: true });
    return code ?? null;
  });
  const url = `http://127.0.0.1:${port}`;
  await untilReady({ child, output, gone, timeoutMs: options.readyTimeoutMs });
  return {
    url,
    metricsUrl: `http://127.0.0.1:${metricsPort}`,
    pid: child.pid ?? 0,
    logs: output.logs,
    stop: () => end(child, gone, 'SIGTERM'),
    kill: async () => void (await end(child, gone, 'SIGKILL')),
    freeze: () => void child.kill('SIGSTOP'),
    thaw: () => void child.kill('SIGCONT'),
  };
}

interface Places {
  readonly port: number;
  readonly metricsPort: number;
  readonly directory: string;
}

function environment(options: SynapOptions, places: Places): Record<string, string> {
  return {
    PATH: process.env['PATH'] ?? '',
    NODE_ENV: 'test',
    PORT: String(places.port),
    METRICS_PORT: String(places.metricsPort),
    SYNAP_DIR: places.directory,
    PINO_PRETTY: 'false',
    DATABASE_URL: options.databaseUrl,
    DB_POOL_MIN: '0',
    DB_POOL_MAX: '10',
    JWT_SECRET: testJwtSecret,
    API_KEY: testApiKey,
    RATE_LIMIT_MAX: '1000000',
    ...(options.redisUrl !== undefined && { REDIS_URL: options.redisUrl }),
    ...(options.roles !== undefined && { SYNAP_ROLES: options.roles.join(',') }),
    ...options.env,
  };
}

interface Output {
  readonly logs: Collected<LogLine>;
  text(): string;
}

function collectOutput(child: ChildProcess): Output {
  const logs = new Collected<LogLine>();
  const lines: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    if (stream === null) continue;
    createInterface({ input: stream }).on('line', (line) => {
      lines.push(line);
      const parsed = parseLine(line);
      if (parsed !== undefined) logs.add(parsed);
    });
  }
  return { logs, text: () => lines.join('\n') };
}

function parseLine(line: string): LogLine | undefined {
  try {
    return line.startsWith('{') ? (JSON.parse(line) as LogLine) : undefined;
  } catch {
    return undefined;
  }
}

interface Starting {
  readonly child: ChildProcess;
  readonly output: Output;
  readonly gone: Promise<number | null>;
  readonly timeoutMs: number | undefined;
}

async function untilReady({ child, output, gone, timeoutMs = 60_000 }: Starting): Promise<void> {
  const ready = output.logs.first((line) => line.msg === 'Synap is ready', 'Synap to be ready', timeoutMs);
  const ended = gone.then((code) => {
    throw new Error(`Synap ended with code ${code} before it was ready`);
  });
  try {
    await Promise.race([ready, ended]);
  } catch (thrown) {
    child.kill('SIGKILL');
    await gone;
    throw new Error(`${String(thrown)}; it wrote:\n${output.text()}`, { cause: thrown });
  }
}

async function end(child: ChildProcess, gone: Promise<number | null>, signal: NodeJS.Signals): Promise<number | null> {
  child.kill(signal);
  return within(gone, `Synap to end after ${signal}`, 35_000);
}
