import path from 'node:path';
import { Program } from '../program.ts';
import type { Closed, Connect, EchoResult, Open } from './questions.ts';

/** Users who post and hear of it, in a process of their own. */
export class Echo {
  readonly #program: Program;

  private constructor(program: Program) {
    this.#program = program;
  }

  /** Resolves when every user's socket is connected. */
  static async start({ postUrl, socketUrl, tokens }: Connect): Promise<Echo> {
    const program = await Program.start(path.join(import.meta.dirname, 'main.ts'), { name: 'echo' });
    await program.ask('connect', { postUrl, socketUrl, tokens });
    return new Echo(program);
  }

  get pid(): number {
    return this.#program.pid;
  }

  open(question: Open): Promise<EchoResult> {
    return this.#program.ask('open', question);
  }

  closed(question: Closed): Promise<EchoResult> {
    return this.#program.ask('closed', question);
  }

  stop(): Promise<void> {
    return this.#program.stop();
  }
}
