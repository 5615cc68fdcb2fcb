import type { ChildProcess } from 'node:child_process';
import { endChild, startChild } from '../../test/faults/stack/child.ts';
import { compiled } from '../compiled.ts';

/** What a program of the benchmark can be asked for, and what it says by itself while it works. */
export interface Asked {
  readonly id: number;
  readonly name: string;
  readonly argument: unknown;
}

type Said = { readonly id: number; readonly result?: unknown; readonly error?: string } | { readonly progress: number };

export interface ProgramOptions {
  readonly name: string;
  readonly env: Readonly<Record<string, string>>;
  readonly nodeFlags?: readonly string[];
}

/** A load generator or a peer, in a process of its own, that is talked to over its channel. */
export class Program {
  readonly name: string;
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, PromiseWithResolvers<unknown>>();
  #asked = 0;
  onProgress: (count: number) => void = () => undefined;

  private constructor(name: string, child: ChildProcess) {
    this.name = name;
    this.#child = child;
    child.on('message', (said: Said) => this.#hear(said));
    child.once('exit', (code, signal) => {
      const error = new Error(`${name} ended with ${signal ?? code}`);
      for (const { reject } of this.#waiting.values()) reject(error);
    });
  }

  /** @param entry the absolute path of its TypeScript */
  static async start(entry: string, { name, env, nodeFlags = [] }: ProgramOptions): Promise<Program> {
    const child = await startChild(process.execPath, ['--enable-source-maps', ...nodeFlags, await compiled(entry)], {
      env: { PATH: process.env['PATH'] ?? '', NODE_ENV: 'production', ...env },
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    return new Program(name, child);
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  async ask<Result>(name: string, argument?: unknown): Promise<Result> {
    const id = ++this.#asked;
    const answer = Promise.withResolvers<unknown>();
    this.#waiting.set(id, answer);
    this.tell(id, name, argument);
    return (await answer.promise) as Result;
  }

  /** How far others are with what this program sends. */
  credit(count: number): void {
    this.tell(0, 'credit', count);
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  async stop(): Promise<void> {
    await endChild(this.#child, 'SIGKILL');
  }

  private tell(id: number, name: string, argument: unknown): void {
    if (this.#child.connected) this.#child.send({ id, name, argument });
  }

  #hear(said: Said): void {
    if ('progress' in said) return this.onProgress(said.progress);
    const answer = this.#waiting.get(said.id);
    this.#waiting.delete(said.id);
    if (said.error === undefined) answer?.resolve(said.result);
    else answer?.reject(new Error(`${this.name}: ${said.error}`));
  }
}
