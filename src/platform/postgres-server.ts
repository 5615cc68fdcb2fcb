import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { SynapError } from './errors.js';
import type { Logger } from './logger.js';
import type { Cluster } from './postgres-cluster.js';

const run = promisify(execFile);

/** The first signal lets Postgres roll back and write its checkpoint; the second makes it recover at the next start. */
const shutdownTimeoutMs = 10_000;
const pollMs = 50;

export interface Server {
  /** Ends the server; idempotent, and resolves when the process is gone. */
  stop(): Promise<void>;
}

export interface ServerOptions {
  readonly port: number;
  /** postgresql.conf settings on top of the usual ones. */
  readonly settings: Readonly<Record<string, string>>;
  readonly logger: Logger;
}

/** Why a start did not work; the caller may try another port, or the same again. */
export class ServerStartError extends Error {
  constructor(readonly log: string) {
    super(log);
  }

  /** Another program took the port, or processes of a killed server are not quite gone. */
  get isTransient(): boolean {
    return /could not bind|already in use|still in use|shared memory block/i.test(this.log);
  }
}

/** Resolves when the server accepts connections; rejects with ServerStartError when it ended instead. */
export async function startServer(cluster: Cluster, options: ServerOptions): Promise<Server> {
  const child = spawn(cluster.postgres, argumentsFor(cluster, options), {
    ...cluster.account,
    cwd: cluster.dataDir,
    env: { LC_ALL: 'C', TZ: 'UTC' },
    stdio: ['ignore', 'ignore', 'pipe'],
    // A Ctrl-C in a terminal goes to the whole process group; Postgres must outlive the drain of its parent.
    detached: true,
  });
  await once(child, 'spawn');
  const endOnExit = () => child.kill('SIGINT');
  process.once('exit', endOnExit);
  let stopping: Promise<void> | undefined;
  const gone = once(child, 'exit').then(() => {
    process.removeListener('exit', endOnExit);
    if (stopping === undefined) options.logger.error('the embedded Postgres ended by itself');
  });
  await ready(child, options.logger);
  return { stop: () => (stopping ??= shutDown(child, gone)) };
}

function argumentsFor(cluster: Cluster, options: ServerOptions): string[] {
  const settings = {
    port: String(options.port),
    listen_addresses: '127.0.0.1',
    // The password guards the port; a socket file would need a place and permissions of its own.
    unix_socket_directories: '',
    timezone: 'UTC',
    log_timezone: 'UTC',
    max_connections: '200',
    // Compiling costs more than any statement here.
    jit: 'off',
    ...options.settings,
  };
  return ['-D', cluster.dataDir, ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])];
}

async function ready(child: ChildProcess, logger: Logger): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  if (child.stderr === null) throw new SynapError('start_failed', 'Postgres has no log');
  const startLog: string[] = [];
  const lines = createInterface({ input: child.stderr });
  let isReady = false;
  lines.on('line', (line) => {
    if (!isReady) startLog.push(line);
    logger.debug({ postgres: line }, 'postgres');
    if (line.includes('ready to accept connections')) {
      isReady = true;
      resolve();
    }
  });
  // Not "exit": what it wrote last would be missing.
  child.once('close', () => reject(new ServerStartError(startLog.slice(-5).join('; '))));
  await promise;
}

async function shutDown(child: ChildProcess, gone: Promise<void>): Promise<void> {
  child.kill('SIGINT');
  const late = setTimeout(() => child.kill('SIGQUIT'), shutdownTimeoutMs);
  await gone.finally(() => clearTimeout(late));
}

/**
 * A killed Synap leaves its server running: nobody stops it, and nobody else may open its files. The pid file names it;
 * it is ended only if that process is a Postgres of this very folder, since pids are used again.
 */
export async function endOrphan(cluster: Cluster, logger: Logger): Promise<void> {
  const pidFile = path.join(cluster.dataDir, 'postmaster.pid');
  const content = await readFile(pidFile, 'utf8').catch(() => '');
  const pid = Number.parseInt(content, 10);
  if (!Number.isInteger(pid)) return;
  if (!(await isServerOf(pid, cluster))) {
    await rm(pidFile, { force: true });
    return;
  }
  logger.warn({ pid }, 'ending the Postgres that a killed Synap left behind');
  for (const signal of ['SIGINT', 'SIGQUIT', 'SIGKILL'] as const) {
    if (await endAndWait(pid, signal)) return;
  }
  throw new SynapError('start_failed', `the Postgres with process id ${pid} does not end`);
}

/** It is not a child of this process, so there is no event to wait for. */
async function endAndWait(pid: number, signal: NodeJS.Signals): Promise<boolean> {
  for (let waitedMs = 0; waitedMs < shutdownTimeoutMs; waitedMs += pollMs) {
    try {
      process.kill(pid, waitedMs === 0 ? signal : 0);
    } catch {
      return true;
    }
    await delay(pollMs);
  }
  return false;
}

async function isServerOf(pid: number, cluster: Cluster): Promise<boolean> {
  const command = await readCommand(pid).catch(() => '');
  return command.includes('postgres') && command.includes(cluster.dataDir);
}

async function readCommand(pid: number): Promise<string> {
  if (process.platform === 'linux') return readFile(`/proc/${pid}/cmdline`, 'utf8');
  const { stdout } = await run('ps', ['-ww', '-o', 'args=', '-p', String(pid)]);
  return stdout;
}
