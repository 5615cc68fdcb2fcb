import type { Violation } from './scenario.ts';
import { forgetPeak, peakMemoryMb } from './stack/memory.ts';
import type { Stack } from './stack/stack.ts';

interface Peak {
  readonly name: string;
  readonly megabytes: number;
}

/** The kernel keeps the peak of each process; from here on, anew. A process that dies takes its own with it. */
export async function watchMemory(
  stack: Stack,
  bound: number,
): Promise<{ violations(): Promise<Violation[]>; describe(): Promise<string> }> {
  for (const role of stack.roles) {
    await role.ready();
    await forgetPeak(role.pid);
  }
  const readPeaks = async (): Promise<Peak[]> => {
    const peaks = stack.roles.map(async ({ name, pid }) => ({ name, megabytes: await peakMemoryMb(pid) }));
    return (await Promise.all(peaks)).flatMap(({ name, megabytes }) =>
      megabytes === undefined ? [] : [{ name, megabytes }],
    );
  };
  return {
    async violations() {
      const above = (await readPeaks()).filter(({ megabytes }) => megabytes > bound);
      const example = above.map(({ name, megabytes }) => `${name} had ${megabytes} MB`).join(', ');
      return above.length === 0
        ? []
        : [{ invariant: 'memory', count: above.length, example: `${example} of ${bound}` }];
    },
    async describe() {
      const peaks = await readPeaks();
      return `highest memory: ${peaks.map(({ name, megabytes }) => `${name} ${megabytes} MB`).join(', ')}; ${bound} MB is the bound`;
    },
  };
}
