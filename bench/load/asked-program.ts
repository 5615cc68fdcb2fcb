import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { endChild, startChild } from '../../test/faults/stack/child.ts';
import { compiled } from '../compiled.ts';

interface Answer {
  readonly id: number;
  readonly result?: unknown;
  readonly error?: string;
}

/** A program of the benchmark as a process of its own, asked over IPC one thing at a time (`answering` is its other end). */
export class Program<Question> {
  readonly pid: number;
  readonly #child: ChildProcess;
  #asked = 0;

  private constructor(child: ChildProcess) {
    this.#child = child;
    this.pid = child.pid ?? 0;
  }

  static async start<Question>(entry: string, nodeFlags: readonly string[] = []): Promise<Program<Question>> {
    const child = await startChild(process.execPath, [...nodeFlags, await compiled(entry)], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    child.setMaxListeners(20);
    return new Program(child);
  }

  /** @throws Error what the program threw, or that it has ended */
  async ask<Result>(question: Question): Promise<Result> {
    const id = ++this.#asked;
    const ended = new AbortController();
    const onExit = (): void => ended.abort(new Error('the program ended'));
    this.#child.once('exit', onExit);
    try {
      this.#child.send({ id, question });
      for (;;) {
        const [answer] = (await once(this.#child, 'message', { signal: ended.signal })) as [Answer];
        if (answer.id !== id) continue;
        if (answer.error !== undefined) throw new Error(answer.error);
        return answer.result as Result;
      }
    } finally {
      this.#child.off('exit', onExit);
    }
  }

  async stop(): Promise<void> {
    await endChild(this.#child, 'SIGTERM', 5_000);
  }
}

/** For the program: answers each question, and ends with whoever asks. */
export function answering(answer: (question: never) => Promise<unknown>): void {
  process.on('message', ({ id, question }: { readonly id: number; readonly question: never }) => {
    answer(question).then(
      (result) => process.send?.({ id, result }),
      (thrown: unknown) => process.send?.({ id, error: thrown instanceof Error ? thrown.stack : String(thrown) }),
    );
  });
  process.once('disconnect', () => process.exit());
}
