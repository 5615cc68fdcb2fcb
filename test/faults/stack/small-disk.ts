import { execFile } from 'node:child_process';
import { mkdir, rm, statfs } from 'node:fs/promises';
import { open } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import type { Stack } from './stack.ts';

const run = promisify(execFile);
const megabytes = 220;

/** A disk in memory that is soon full. Only root may mount one. */
export async function mountSmallDisk(directory: string): Promise<string> {
  const place = path.join(directory, 'small-disk');
  await mkdir(place, { recursive: true });
  await run('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m,mode=0755`, 'synap-faults', place]);
  return place;
}

export async function unmountSmallDisk(place: string): Promise<void> {
  await run('umount', [place]);
}

/** Postgres' own, so that its log of changes does not need the whole of such a disk. */
export const smallDiskSettings = { max_wal_size: '48MB', min_wal_size: '32MB' };

const filler = (stack: Stack) => path.join(stack.postgres.directory, 'filler');

export async function fillDisk(stack: Stack): Promise<void> {
  const { bavail, bsize } = await statfs(stack.postgres.directory);
  const file = await open(filler(stack), 'w');
  const block = Buffer.alloc(1024 * 1024);
  try {
    for (let left = bavail * bsize; left > 0; left -= block.length) await file.write(block);
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code !== 'ENOSPC') throw thrown;
  } finally {
    await file.close();
  }
}

export const freeDisk = (stack: Stack): Promise<void> => rm(filler(stack), { force: true });
