import { formatDuration } from './report/format.ts';

const isTerminal = process.stdout.isTTY;
const redrawEveryMs = 500;
const dim = (content: string): string => (isTerminal ? `\u001B[2m${content}\u001B[22m` : content);

/** What runs, for how long and how much is left: one line that changes in a terminal, a line for each change elsewhere. */
export class Progress {
  readonly #beganAt = performance.now();
  readonly #usualMs: ReadonlyMap<string, number>;
  readonly #timer: NodeJS.Timeout | undefined;
  #waiting: readonly string[];
  #measure: { readonly name: string; readonly place: string; readonly beganAt: number } | undefined;
  #detail = '';
  #isStopped = false;
  readonly #total: number;

  /** `usualMs`: how long each took the last time, as far as that is known. */
  constructor(names: readonly string[], usualMs: ReadonlyMap<string, number>) {
    this.#waiting = names;
    this.#total = names.length;
    this.#usualMs = usualMs;
    this.#timer = isTerminal ? setInterval(() => this.#draw(), redrawEveryMs) : undefined;
  }

  begin(name: string): void {
    this.#waiting = this.#waiting.filter((other) => other !== name);
    const place = `${this.#total - this.#waiting.length}/${this.#total}`;
    this.#measure = { name, place, beganAt: performance.now() };
    this.#detail = '';
    if (!isTerminal) this.#print(`[${place}] ${name}${this.#rest()}`);
  }

  readonly detail = (line: string): void => {
    this.#detail = line;
    if (isTerminal) this.#draw();
    else this.#print(`      ${formatDuration(this.#elapsed())}  ${line}`);
  };

  end(mark: '✓' | '✗', line: string): void {
    const name = this.#measure?.name ?? '';
    const tookMs = performance.now() - (this.#measure?.beganAt ?? 0);
    this.#measure = undefined;
    this.#print(`  ${mark} ${name.padEnd(16)} ${formatDuration(tookMs).padStart(6)}  ${line}`);
  }

  print(line: string): void {
    if (!this.#isStopped) this.#print(line);
  }

  stop(): void {
    this.#isStopped = true;
    clearInterval(this.#timer);
    if (isTerminal) process.stdout.write('\r\u001B[2K');
  }

  #draw(): void {
    if (this.#measure === undefined) return;
    const { name, place, beganAt } = this.#measure;
    const times = `${formatDuration(performance.now() - beganAt)} of ${formatDuration(this.#elapsed())}${this.#rest()}`;
    const plain = `  ${place} ${name} · ${this.#detail}`;
    const room = Math.max(20, process.stdout.columns - times.length - 4);
    process.stdout.write(`\r\u001B[2K${plain.slice(0, room)}  ${dim(times)}`);
  }

  /** Empty while it is not known how long one of them takes. */
  #rest(): string {
    const names = [...this.#waiting, ...(this.#measure === undefined ? [] : [this.#measure.name])];
    const usual = names.map((name) => this.#usualMs.get(name));
    if (usual.includes(undefined)) return '';
    const running = this.#measure === undefined ? 0 : performance.now() - this.#measure.beganAt;
    const rest = usual.reduce<number>((sum, ms) => sum + (ms ?? 0), 0) - running;
    return `, about ${formatDuration(Math.max(0, rest))} left`;
  }

  #elapsed(): number {
    return performance.now() - this.#beganAt;
  }

  #print(line: string): void {
    process.stdout.write(isTerminal ? `\r\u001B[2K${line}\n` : `${line}\n`);
  }
}
