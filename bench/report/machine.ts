import { execFile } from 'node:child_process';
import { open, readFile, rm } from 'node:fs/promises';
import { availableParallelism, cpus, release, totalmem, type } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { root } from '../built.ts';
import { postgresSettings, redisSettings, type Place } from '../place.ts';
import { median } from '../rounds.ts';

export interface Machine {
  readonly processor: string;
  readonly cores: number;
  readonly memoryGb: number;
  readonly kernel: string;
  /** Where Postgres' data was: file system and device, and whether it turns, as far as the kernel says. */
  readonly disk: string;
  /** What one commit waits for at least: 8 KB written and synced, the median of many. */
  readonly fsyncUs: number;
  /** Those that whoever doubts a figure asks for. */
  readonly postgresSettings: string;
  /** Absent in reports that were made without them. */
  readonly redisSettings?: string;
}

const run = promisify(execFile);

export async function describeMachine(directory: string): Promise<Machine> {
  return {
    processor: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memoryGb: Math.round(totalmem() / 2 ** 30),
    kernel: `${type()} ${release()}`,
    disk: await describeDisk(directory),
    fsyncUs: await measureFsync(directory),
    postgresSettings: inOneLine(postgresSettings),
    redisSettings: inOneLine(redisSettings),
  };
}

const inOneLine = (settings: Readonly<Record<string, string>>): string =>
  Object.entries(settings)
    .map(([name, value]) => `${name}=${value}`)
    .join(', ');

/** Empty outside a checkout; `+` where the working tree has something else than its commit. */
export async function describeCommit(): Promise<string> {
  try {
    const { stdout: commit } = await run('git', ['rev-parse', '--short=12', 'HEAD'], { cwd: root });
    const { stdout: changes } = await run(
      'git',
      ['status', '--porcelain', '--', 'src', 'prisma', 'package-lock.json'],
      {
        cwd: root,
      },
    );
    return `${commit.trim()}${changes === '' ? '' : '+'}`;
  } catch {
    return '';
  }
}

const packages = [
  'express',
  'zod',
  'pg',
  'ioredis',
  'bullmq',
  'socket.io',
  '@socket.io/redis-adapter',
  '@socket.io/redis-emitter',
  '@dbos-inc/dbos-sdk',
  'graphile-worker',
  'pg-boss',
  'undici',
  'hdr-histogram-js',
];

export async function describeVersions(place: Place): Promise<Record<string, string>> {
  const installed = await Promise.all(packages.map(async (name) => [name, await versionOf(name)] as const));
  return {
    node: process.versions.node,
    postgres: await postgresVersion(place),
    redis: /redis_version:(\S+)/.exec(await place.redis.client.info('server'))?.[1] ?? 'unknown',
    ...Object.fromEntries(installed),
  };
}

async function versionOf(name: string): Promise<string> {
  const text = await readFile(path.join(root, 'node_modules', name, 'package.json'), 'utf8');
  return (JSON.parse(text) as { readonly version: string }).version;
}

async function postgresVersion(place: Place): Promise<string> {
  const url = await place.database({ isMigrated: false });
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const { rows } = await client.query<{ server_version: string }>('SHOW server_version');
    return rows[0]?.server_version ?? 'unknown';
  } finally {
    await client.end();
  }
}

async function describeDisk(directory: string): Promise<string> {
  const mounts = (await readFile('/proc/mounts', 'utf8').catch(() => '')).split('\n').map((line) => line.split(' '));
  const holding = mounts
    .filter(([, at]) => at !== undefined && (at === '/' || directory === at || directory.startsWith(`${at}/`)))
    .toSorted((a, b) => (b[1] ?? '').length - (a[1] ?? '').length)[0];
  if (holding === undefined) return 'unknown';
  const [device = '', , fileSystem = ''] = holding;
  const block = path.basename(device).replace(/p?\d+$/, '');
  const turns = await readFile(`/sys/block/${block}/queue/rotational`, 'utf8').catch(() => '');
  const kind = turns.trim() === '0' ? ', does not turn' : turns.trim() === '1' ? ', says that it turns' : '';
  return `${fileSystem} on ${device}${kind}`;
}

async function measureFsync(directory: string): Promise<number> {
  const file = path.join(directory, 'fsync-probe');
  const handle = await open(file, 'w');
  const block = Buffer.alloc(8_192, 1);
  const times: number[] = [];
  try {
    for (let index = 0; index < 200; index += 1) {
      const beganAt = performance.now();
      await handle.write(block, 0, block.length, (index % 64) * block.length);
      await handle.datasync();
      times.push((performance.now() - beganAt) * 1_000);
    }
  } finally {
    await handle.close();
    await rm(file, { force: true });
  }
  return Math.round(median(times));
}
