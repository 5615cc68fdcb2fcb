import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
// With its real ending: Jest's global set-up, which Node loads by itself, comes through here too.
import { freePort } from './ports.ts';

export interface RedisServer {
  readonly url: string;
  readonly port: number;
  /** To freeze it (SIGSTOP) and thaw it. */
  readonly pid: number;
  /** Both resolve when the process is gone, and may be called again; `kill` is a crash. */
  stop(): Promise<void>;
  kill(): Promise<void>;
}

/**
 * A Redis (or Valkey) of one's own: nothing on disk, nothing evicted, loopback only. It is up in some 20 ms, so that a test
 * file which flushes, freezes or kills Redis has its own.
 * @param options.port to come back where an earlier one was
 * @param options.busPort as a node of a cluster; who starts it gives it its slots and has it meet the others
 * @param options.dump a file that SAVE wrote: it begins with what was true then
 */
export async function spawnRedis(
  options: { readonly port?: number; readonly dump?: string; readonly busPort?: number } = {},
): Promise<RedisServer & { readonly child: ChildProcess }> {
  const port = options.port ?? (await freePort());
  const dir = await mkdtemp(path.join(tmpdir(), 'synap-redis-'));
  if (options.dump !== undefined) await copyFile(options.dump, path.join(dir, 'dump.rdb'));
  const cluster = options.busPort === undefined ? {} : { 'cluster-enabled': 'yes', 'cluster-port': options.busPort };
  const settings = {
    port,
    bind: '127.0.0.1',
    dir,
    save: '',
    appendonly: 'no',
    'maxmemory-policy': 'noeviction',
    ...cluster,
  };
  const child = await spawnFirst(
    ['redis-server', 'valkey-server'],
    Object.entries(settings).flatMap(([name, value]) => [`--${name}`, String(value)]),
  );
  const gone = once(child, 'exit').then(() => rm(dir, { recursive: true, force: true }));
  await ready(child);
  const end = (signal: NodeJS.Signals) => {
    child.kill(signal);
    return gone;
  };
  const pid = child.pid ?? 0;
  return { url: `redis://127.0.0.1:${port}`, port, pid, child, stop: () => end('SIGTERM'), kill: () => end('SIGKILL') };
}

async function spawnFirst(programs: readonly string[], flags: readonly string[]): Promise<ChildProcess> {
  for (const program of programs) {
    const child = spawn(program, flags, { stdio: ['ignore', 'pipe', 'ignore'] });
    try {
      await once(child, 'spawn');
      return child;
    } catch {
      // Not installed: the next one.
    }
  }
  throw new Error(
    `The tests need a real Redis, and neither ${programs.join(' nor ')} is on the PATH. bin/test can install one.`,
  );
}

async function ready(child: ChildProcess): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const output: string[] = [];
  if (child.stdout === null) throw new Error('Redis has no output');
  createInterface({ input: child.stdout }).on('line', (line) => {
    output.push(line);
    if (line.includes('eady to accept connections')) resolve();
  });
  child.once('exit', () => reject(new Error(`Redis did not start:\n${output.join('\n')}`)));
  await promise;
}
