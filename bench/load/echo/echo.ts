import path from 'node:path';
import { Program } from '../asked-program.ts';
import type { EchoQuestion, EchoResult } from './questions.ts';

type Of<Kind extends EchoQuestion['kind']> = Omit<EchoQuestion & { kind: Kind }, 'kind'>;

/** Users who post and hear of it, in a process of their own. */
export class Echo {
  readonly #program: Program<EchoQuestion>;

  private constructor(program: Program<EchoQuestion>) {
    this.#program = program;
  }

  /** Resolves when every user's socket is connected. */
  static async start({ postUrl, socketUrl, tokens }: Of<'connect'>): Promise<Echo> {
    const program = await Program.start<EchoQuestion>(path.join(import.meta.dirname, 'main.ts'));
    await program.ask({ kind: 'connect', postUrl, socketUrl, tokens });
    return new Echo(program);
  }

  get pid(): number {
    return this.#program.pid;
  }

  open(question: Of<'open'>): Promise<EchoResult> {
    return this.#program.ask({ kind: 'open', ...question });
  }

  closed(question: Of<'closed'>): Promise<EchoResult> {
    return this.#program.ask({ kind: 'closed', ...question });
  }

  stop(): Promise<void> {
    return this.#program.stop();
  }
}
