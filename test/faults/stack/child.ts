import { spawn, type ChildProcess, type SpawnOptions } from 'node:child_process';
import { once } from 'node:events';

const alive = new Set<ChildProcess>();

/** Everything that this process started ends with it, however it ends. */
process.once('exit', () => {
  for (const child of alive) child.kill('SIGKILL');
});

/** Starts a program of the suite's own. Its input stays open while this process lives. */
export async function startChild(
  program: string,
  args: readonly string[],
  options: SpawnOptions,
): Promise<ChildProcess> {
  const child = spawn(program, args, options);
  alive.add(child);
  child.once('exit', () => alive.delete(child));
  await once(child, 'spawn');
  return child;
}

export const hasEnded = (child: ChildProcess): boolean => child.exitCode !== null || child.signalCode !== null;

/** Resolves when the process is gone; a stopped one can only be killed. */
export async function endChild(child: ChildProcess, signal: NodeJS.Signals, deadlineMs = 15_000): Promise<void> {
  if (hasEnded(child)) return;
  const gone = once(child, 'exit');
  child.kill(signal);
  const late = setTimeout(() => child.kill('SIGKILL'), deadlineMs);
  await gone;
  clearTimeout(late);
}
