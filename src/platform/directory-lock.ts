import { execFile } from 'node:child_process';
import { link, mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { SynapError } from './errors.js';
import { newId } from './ids.js';

const run = promisify(execFile);

export interface DirectoryLock {
  release(): Promise<void>;
}

/**
 * One live process per file: the holder writes its pid and when that process began, so that a lock of a killed process,
 * or of a pid that another process has by now (in containers it is nearly always the same one), counts as free.
 * @throws SynapError `start_failed` while another process holds it.
 */
export async function acquireDirectoryLock(file: string): Promise<DirectoryLock> {
  const mine = await describeProcess(process.pid);
  if (mine === undefined) throw new SynapError('start_failed', 'cannot tell when this process began');
  for (let tries = 0; tries < 5; tries += 1) {
    if (await create(file, mine)) return { release: () => releaseOwn(file, mine) };
    const holder = await read(file);
    if (holder !== undefined && (await isAlive(holder))) {
      throw new SynapError('start_failed', `another Synap (process ${pidOf(holder)}) is using ${path.dirname(file)}`);
    }
    if (holder !== undefined) await discard(file, holder);
  }
  throw new SynapError('start_failed', `several processes are starting in ${file} at once`);
}

async function create(file: string, content: string): Promise<boolean> {
  // Linked into place whole: nobody can read a lock that is not written yet.
  const draft = `${file}.${newId()}`;
  await writeFile(draft, content, { mode: 0o644 });
  try {
    await link(draft, file);
    return true;
  } catch (thrown) {
    if (codeOf(thrown) === 'EEXIST') return false;
    throw thrown;
  } finally {
    await rm(draft, { force: true });
  }
}

/** A discard takes milliseconds; a guard that is older was left by a process that died in the middle of one. */
const longestDiscardMs = 5_000;

/**
 * Takes a dead holder's lock away. One at a time, behind a guard: only who discards removes a lock that is not its own, so
 * what is read behind the guard is still what is removed.
 */
async function discard(file: string, deadHolder: string): Promise<void> {
  const guard = `${file}.discard`;
  try {
    await mkdir(guard);
  } catch (thrown) {
    if (codeOf(thrown) !== 'EEXIST') throw thrown;
    return removeOldGuard(guard);
  }
  try {
    if ((await read(file)) === deadHolder) await rm(file, { force: true });
  } finally {
    await rm(guard, { force: true, recursive: true });
  }
}

async function removeOldGuard(guard: string): Promise<void> {
  const made = await stat(guard).catch(() => undefined);
  if (made !== undefined && Date.now() - made.mtimeMs > longestDiscardMs)
    await rm(guard, { force: true, recursive: true });
}

async function releaseOwn(file: string, mine: string): Promise<void> {
  if ((await read(file)) === mine) await rm(file, { force: true });
}

async function read(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (thrown) {
    if (codeOf(thrown) === 'ENOENT') return undefined;
    throw thrown;
  }
}

async function isAlive(holder: string): Promise<boolean> {
  return (await describeProcess(pidOf(holder))) === holder;
}

function pidOf(holder: string): number {
  return Number.parseInt(holder, 10);
}

/** The pid and when it began, or undefined where no such process runs (a zombie does not). */
async function describeProcess(pid: number): Promise<string | undefined> {
  if (!Number.isInteger(pid) || pid <= 0) return undefined;
  const began = process.platform === 'linux' ? await readStartTime(pid) : await askStartTime(pid);
  return began === undefined ? undefined : `${pid} ${began}\n`;
}

/** Ticks since boot, and which boot. */
async function readStartTime(pid: number): Promise<string | undefined> {
  try {
    const status = await readFile(`/proc/${pid}/stat`, 'utf8');
    const boot = await readFile('/proc/sys/kernel/random/boot_id', 'utf8');
    // The second field is the command in brackets and may hold spaces; what follows it is regular, state first.
    const fields = status.slice(status.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' ? undefined : `${fields[19] ?? ''} ${boot.trim()}`;
  } catch {
    return undefined;
  }
}

async function askStartTime(pid: number): Promise<string | undefined> {
  try {
    const { stdout } = await run('ps', ['-o', 'lstart=', '-p', String(pid)], { env: { LC_ALL: 'C' } });
    return stdout.trim();
  } catch {
    return undefined;
  }
}

function codeOf(thrown: unknown): string {
  return thrown instanceof Error && 'code' in thrown ? String(thrown.code) : '';
}
