import { closeSync, openSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { fdatasync, write } from 'node:fs';
import { promisify } from 'node:util';

const writeTo = promisify(write);
const sync = promisify(fdatasync);

/** Lines of JSON that are on disk when `append` resolves, whatever ends this process next. What is appended meanwhile shares the next sync. */
export class SyncedLog {
  readonly #fd: number;
  #waiting: string[] = [];
  #writing: Promise<void> | undefined;
  #next: Promise<void> | undefined;

  constructor(file: string) {
    this.#fd = openSync(file, 'a');
  }

  append(entry: object): Promise<void> {
    this.#waiting.push(`${JSON.stringify(entry)}\n`);
    this.#next ??= (this.#writing ?? Promise.resolve()).then(() => {
      this.#next = undefined;
      return (this.#writing = this.#flush());
    });
    return this.#next;
  }

  async #flush(): Promise<void> {
    const text = this.#waiting.join('');
    this.#waiting = [];
    await writeTo(this.#fd, text);
    await sync(this.#fd);
  }

  close(): void {
    closeSync(this.#fd);
  }
}

/** A last line that its writer did not finish is left out: nobody was told of it. */
export async function readLog<T>(file: string): Promise<T[]> {
  const text = await readFile(file, 'utf8').catch(() => '');
  return text
    .slice(0, text.lastIndexOf('\n') + 1)
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as T);
}
