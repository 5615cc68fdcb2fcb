import { readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { eventually } from '../../test/support/signals.ts';
import { root } from '../built.ts';
import { compiled } from '../compiled.ts';

export interface Memory {
  readonly rss: number;
  readonly heapUsed: number;
  readonly external: number;
}

/** What a program is started with to be asked for its memory. */
export async function memoryFlags(): Promise<string[]> {
  return ['--expose-gc', '--import', await compiled(path.join(root, 'bench/load/collect.ts'))];
}

/**
 * After a collection. The collector gives pages back to the system only later: the lowest of a few looks counts.
 *
 * @param place of the words about memory, MEMORY_FILE of the program.
 */
export async function memoryOf(pid: number, place: string): Promise<Memory> {
  const file = `${place}.${pid}`;
  const looks: Memory[] = [];
  for (let look = 0; look < 3; look += 1) {
    await new Promise((resolve) => setTimeout(resolve, 500));
    await rm(file, { force: true });
    process.kill(pid, 'SIGUSR2');
    const text = await eventually(async () => {
      const said = await readFile(file, 'utf8').catch(() => '');
      return said.endsWith('}') ? said : undefined;
    }, 'a word about memory');
    looks.push(JSON.parse(text) as Memory);
  }
  return looks.toSorted((a, b) => a.rss - b.rss)[0] ?? { rss: 0, heapUsed: 0, external: 0 };
}
