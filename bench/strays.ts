import { readFile } from 'node:fs/promises';
import { childrenOf } from './usage.ts';

/** What this process has started and what still runs. */
export async function ownChildren(): Promise<ReadonlySet<number>> {
  return new Set(await childrenOf(process.pid));
}

/** Kills what this process has started since and names it. esbuild's service stays: the next program needs it. */
export async function endStrays(before: ReadonlySet<number>): Promise<string[]> {
  const ended: string[] = [];
  for (const pid of await childrenOf(process.pid)) {
    if (before.has(pid)) continue;
    const command = (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).replaceAll('\0', ' ').trim();
    if (command === '' || command.includes('esbuild')) continue;
    process.kill(pid, 'SIGKILL');
    ended.push(command);
  }
  return ended;
}
