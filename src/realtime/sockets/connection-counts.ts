/** How many connections each user, or each address, has in this process. */
export class ConnectionCounts {
  readonly #max: number;
  readonly #counts = new Map<string, number>();

  constructor(max: number) {
    this.#max = max;
  }

  isFull(key: string): boolean {
    return (this.#counts.get(key) ?? 0) >= this.#max;
  }

  /** @returns what gives the place back, however often it is called; undefined where there is none left */
  take(key: string): (() => void) | undefined {
    if (this.isFull(key)) return undefined;
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1);
    let isTaken = true;
    return () => {
      if (isTaken) this.#release(key);
      isTaken = false;
    };
  }

  #release(key: string): void {
    const left = (this.#counts.get(key) ?? 1) - 1;
    if (left === 0) this.#counts.delete(key);
    else this.#counts.set(key, left);
  }
}
