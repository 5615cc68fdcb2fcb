import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { eventually } from '../../test/support/signals.ts';
import type { SynapProcess } from '../synap.ts';

export interface Counted {
  readonly calls: number;
  readonly ms: number;
}

/** What a process has sent, since it began, and how late its event loop was, since the snapshot before. */
export interface Snapshot {
  readonly statements: Map<string, Counted>;
  /** By the port of the other side. */
  readonly sockets: Map<number, { written: number; read: number; writes: number }>;
  readonly delayMs: { readonly p50: number; readonly p99: number; readonly max: number };
}

/** What a process sent within a window. */
export interface Window {
  readonly process: SynapProcess;
  readonly statements: ReadonlyMap<string, Counted>;
  readonly sockets: ReadonlyMap<number, { readonly written: number; readonly read: number; readonly writes: number }>;
  readonly delayMs: Snapshot['delayMs'];
}

/** Asks each process for its `index`-th snapshot (from 1). */
export async function takeSnapshots(
  processes: readonly SynapProcess[],
  directory: string,
  index: number,
): Promise<Snapshot[]> {
  for (const { pid } of processes) process.kill(pid, 'SIGUSR2');
  return Promise.all(processes.map(({ pid, name }) => read(path.join(directory, `${pid}-${index}.json`), name)));
}

async function read(file: string, name: string): Promise<Snapshot> {
  const parsed = await eventually(async () => {
    const text = await readFile(file, 'utf8').catch(() => '');
    return text.endsWith('}') ? (JSON.parse(text) as Serialized) : undefined;
  }, `the snapshot of ${name}`);
  return { ...parsed, statements: new Map(parsed.statements), sockets: new Map(parsed.sockets) };
}

interface Serialized {
  readonly statements: [string, Counted][];
  readonly sockets: [number, { written: number; read: number; writes: number }][];
  readonly delayMs: Snapshot['delayMs'];
}

export function differ(process: SynapProcess, before: Snapshot, after: Snapshot): Window {
  const statements = [...after.statements].map(([name, { calls, ms }]) => {
    const was = before.statements.get(name) ?? { calls: 0, ms: 0 };
    return [name, { calls: calls - was.calls, ms: ms - was.ms }] as const;
  });
  const sockets = [...after.sockets].map(([port, now]) => {
    const was = before.sockets.get(port) ?? { written: 0, read: 0, writes: 0 };
    return [
      port,
      { written: now.written - was.written, read: now.read - was.read, writes: now.writes - was.writes },
    ] as const;
  });
  return { process, statements: new Map(statements), sockets: new Map(sockets), delayMs: after.delayMs };
}
