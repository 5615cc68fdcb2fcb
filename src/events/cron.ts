import { CronExpressionParser } from 'cron-parser';

/** Longer than any change of a clock: what is found from there does not depend on where in a repeated hour the search began. */
const runUpMs = 3 * 3_600_000;

/**
 * The ticks of a cron expression (minute, hour, day of month, month, day of week) by the clocks of a time zone. They are the
 * same whoever asks and from when, because the ids of events are made of them.
 *
 * Where clocks go forward, a time that does not exist ticks an hour later, once (02:30 at 03:30). Where they go back, a time that
 * comes twice ticks the first time. An expression for every hour (`*`) ticks in each hour that passes: never twice in one,
 * in none not at all.
 */
export class Cron {
  readonly #expression: string;
  readonly #timeZone: string;
  readonly #seed: string;
  /** What was found last: it is asked for every second, and finding it takes up to 20 ms. */
  #known = { from: new Date(0), tick: new Date(0) };

  /**
   * @param seed decides what `H` in the expression stands for, which spreads schedules over an hour or a day.
   * @throws TypeError where the expression or the time zone means nothing, or no time ever fits.
   */
  constructor(expression: string, timeZone: string, seed: string) {
    this.#expression = expression;
    this.#timeZone = timeZone;
    this.#seed = seed;
    if (!isTimeZone(timeZone)) throw new TypeError(`"${timeZone}" is not a time zone; they read Europe/Berlin or UTC`);
    const fields = expression.trim().split(/\s+/).length;
    if (fields !== 5)
      throw new TypeError(`cron "${expression}" has ${fields} of the five fields: minute hour day month weekday`);
    try {
      this.next(new Date());
    } catch (thrown) {
      throw new TypeError(`cron "${expression}" is not valid: ${thrown instanceof Error ? thrown.message : ''}`, {
        cause: thrown,
      });
    }
  }

  /** The first tick after that time. */
  next(after: Date): Date {
    const { from, tick } = this.#known;
    if (after >= from && after < tick) return tick;
    const found = this.#ticksAfter(after).next().value;
    this.#known = { from: after, tick: found };
    return found;
  }

  /** The last tick after `after` and not after `upTo`. */
  last(after: Date, upTo: Date): Date | undefined {
    if (this.next(after) > upTo) return undefined;
    // Backwards the parser sees changes of the clock with other eyes; what it says is where to look from.
    const hint =
      this.#from(upTo.getTime() + 1)
        .prev()
        .getTime() - runUpMs;
    let last: Date | undefined;
    for (const tick of this.#ticksAfter(new Date(Math.max(after.getTime(), hint)))) {
      if (tick > upTo) break;
      last = tick;
    }
    return last;
  }

  *#ticksAfter(after: Date): Generator<Date, never> {
    const ticks = this.#from(after.getTime() - runUpMs);
    for (;;) {
      const tick = ticks.next().toDate();
      if (tick > after) yield tick;
    }
  }

  #from(ms: number) {
    return CronExpressionParser.parse(this.#expression, {
      currentDate: new Date(ms),
      tz: this.#timeZone,
      hashSeed: this.#seed,
    });
  }
}

function isTimeZone(name: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions().timeZone !== '';
  } catch {
    return false;
  }
}
