/** The names that all scripts agree on. A room's keys share its hash tag, so that in a cluster one script may touch them. */
export class RoomKeys {
  readonly #prefix: string;

  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  /** `<top> <born> <proof> <trust> <bytes of the tail>`, see `publishScript`. */
  top(room: string, epoch: string, generation: string): string {
    return `${this.#prefix}:room:{${room}}:${generation}:${epoch}:top`;
  }

  /** A list of frames: the contiguous end of what was published, up to `top`. */
  tail(room: string, epoch: string, generation: string): string {
    return `${this.#prefix}:room:{${room}}:${generation}:${epoch}:tail`;
  }

  /** A hash: event id → `<attempt> <length>`. The text of each is a string at this key, a colon and the event id. */
  streams(room: string): string {
    return `${this.#prefix}:room:{${room}}:streams`;
  }

  /** When this life of Redis was first looked at, in seconds of its own clock. */
  life(generation: string): string {
    return `${this.#prefix}:life:${generation}`;
  }
}
