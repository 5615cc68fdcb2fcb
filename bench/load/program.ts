import type { ChildProcess } from 'node:child_process';
import { endChild, startChild } from '../../test/faults/stack/child.ts';
import { compiled } from '../compiled.ts';
import { productionEnvironment } from '../production.ts';

/** What a program is told over its channel; id 0 is no question. */
export interface Asked {
  readonly id: number;
  readonly name: string;
  readonly argument: unknown;
}

type Said = { readonly id: number; readonly result?: unknown; readonly error?: string } | { readonly progress: number };

export interface ProgramOptions {
  /** In errors, and where its use of the machine is told. */
  readonly name: string;
  /** All of its environment beside PATH and what production gives to all: what the benchmark itself was started with is not measured. */
  readonly env?: Readonly<Record<string, string>>;
  readonly nodeFlags?: readonly string[];
}

/**
 * A load generator or a peer, in a process of its own. It does what it is asked by name, several things at once if need be (`answer` is
 * its other end), says how far it is, and ends when it is stopped or with whoever started it, not by itself.
 */
export class Program {
  readonly name: string;
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, PromiseWithResolvers<unknown>>();
  #asked = 0;
  #ended: Error | undefined;
  onProgress: (count: number) => void = () => undefined;

  private constructor(name: string, child: ChildProcess) {
    this.name = name;
    this.#child = child;
    child.on('message', (said: Said) => this.#hear(said));
    child.once('exit', (code, signal) => {
      this.#ended = new Error(`${name} ended with ${signal ?? code}`);
      for (const { reject } of this.#waiting.values()) reject(this.#ended);
    });
  }

  /** @param entry the absolute path of its TypeScript */
  static async start(entry: string, { name, env = {}, nodeFlags = [] }: ProgramOptions): Promise<Program> {
    const child = await startChild(process.execPath, ['--enable-source-maps', ...nodeFlags, await compiled(entry)], {
      env: { PATH: process.env['PATH'] ?? '', ...productionEnvironment, ...env },
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    return new Program(name, child);
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** @throws Error what the program threw, or that it has ended */
  async ask<Result>(name: string, argument?: unknown): Promise<Result> {
    if (this.#ended !== undefined) throw this.#ended;
    const id = ++this.#asked;
    const answer = Promise.withResolvers<unknown>();
    this.#waiting.set(id, answer);
    this.#tell(id, name, argument);
    return (await answer.promise) as Result;
  }

  /** How far others are with what this program sends. */
  credit(count: number): void {
    this.#tell(0, 'credit', count);
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** At once: it has said all that it was asked for. */
  async stop(): Promise<void> {
    await endChild(this.#child, 'SIGKILL');
  }

  #tell(id: number, name: string, argument: unknown): void {
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
