import { createHash } from 'node:crypto';
import { v7 } from 'uuid';
import { SynapError, toError } from '../platform/errors.js';
import { toFaults } from '../platform/faults.js';
import { findUnstorable, isStorableText, type Json } from '../platform/text.js';
import { priorities } from '../queues/priorities.js';
import type { EventCatalogue } from './catalogue.js';
import { Cron } from './cron.js';
import type { EventType } from './definition.js';
import type { Append } from './store.js';

export interface ScheduleOptions<Data> {
  /** Its identity: renamed, it is another schedule. Lower case, digits and dashes. */
  readonly name: string;
  /** Of either origin; its handler runs the jobs. */
  readonly on: EventType<Data>;
  /** minute hour day-of-month month day-of-week, by the clocks of `timeZone` (src/events/cron.ts says what they do in spring and autumn). */
  readonly cron: string;
  readonly timeZone: string;
  /** Whose events they are; `system` by default. */
  readonly userId?: string;
  /** The event's data, of the tick alone: whichever process sends the tick, it must send the same. */
  data(tick: Date): Data;
  /** Of the ticks that nobody sent within a minute of their time: none is sent, or the latest of them. */
  readonly ifMissed: 'skip' | 'run once';
}

export interface Schedule {
  readonly name: string;
  readonly cron: string;
  readonly timeZone: string;
  readonly type: string;
  readonly userId: string;
  readonly ifMissed: ScheduleOptions<unknown>['ifMissed'];
  readonly ticks: Pick<Cron, 'next' | 'last'>;
  /** Tells this timetable from another of the same name: a changed one starts anew. */
  readonly definition: string;
  /** @throws SynapError `validation_failed` where the event's type does not take the data. */
  eventAt(tick: Date, seed: string): Omit<Append, 'handled' | 'lane'>;
}

/** @throws TypeError where it cannot be: a bad name, cron, time zone or user, or data that its event does not take. */
export function defineSchedule<Data>(options: ScheduleOptions<Data>): Schedule {
  const { name, on, cron, timeZone, userId = 'system', ifMissed } = options;
  if (!/^[a-z][a-z0-9-]{0,63}$/.test(name))
    throw new TypeError(`schedule "${name}": a name has 1 to 64 lower case letters, digits and dashes`);
  if (userId === '' || userId.length > 256 || !isStorableText(userId))
    throw new TypeError(`schedule "${name}": userId must be text of 1 to 256 characters`);
  const ticks = within(name, () => new Cron(cron, timeZone, name));
  const eventAt = (tick: Date, seed: string) => toEvent(name, userId, on, options.data(new Date(tick)), tick, seed);
  within(name, () => eventAt(ticks.next(new Date()), ''));
  return { name, cron, timeZone, type: on.type, userId, ifMissed, ticks, definition: `${cron} ${timeZone}`, eventAt };
}

function within<T>(name: string, make: () => T): T {
  try {
    return make();
  } catch (thrown) {
    throw new TypeError(`schedule "${name}": ${toError(thrown).message}`, { cause: thrown });
  }
}

/**
 * The id is of the tick's time, so that a story is read in its order, and of a hash: the same for the same tick, and by the
 * seed not to be foreseen, or a client could take it first and so keep the tick from being sent.
 */
function toEvent<Data>(
  name: string,
  userId: string,
  on: EventType<Data>,
  given: Data,
  tick: Date,
  seed: string,
): Omit<Append, 'handled' | 'lane'> {
  const data = check(on, given);
  const requestId = `schedule:${name}:${tick.toISOString()}`;
  const random = createHash('sha256').update(`${seed}:${requestId}`).digest();
  const id = v7({ msecs: tick.getTime(), random });
  return {
    id,
    type: on.type,
    aggregateId: on.aggregateIdOf?.(data) ?? id,
    aggregateType: on.aggregateType,
    userId,
    data: data as Json,
    version: on.version,
    source: 'automation',
    causationId: null,
    correlationId: requestId,
    requestId,
    priority: priorities.normal,
    runAt: null,
    key: null,
    requestHash: null,
  };
}

function check<Data>(on: EventType<Data>, given: Data): Data {
  const parsed = on.data.safeParse(given);
  const bad = findUnstorable(parsed.data, 'data');
  if (parsed.success && bad === undefined) return parsed.data;
  const faults = toFaults(parsed.error, 'data');
  const text = faults.map(({ path, message }) => `${path}: ${message}`).join('; ');
  throw new SynapError('validation_failed', `${on.type} does not take its data: ${text || `${bad} cannot be stored`}`, {
    faults,
  });
}

/** Those of all features. @throws TypeError where two share a name, or an event is in no feature. */
export function schedulesOf(
  features: readonly { readonly schedules?: readonly Schedule[] }[],
  catalogue: Pick<EventCatalogue, 'get'>,
): readonly Schedule[] {
  const schedules = features.flatMap((feature) => feature.schedules ?? []);
  const names = new Set<string>();
  for (const { name, type } of schedules) {
    if (names.has(name)) throw new TypeError(`schedule "${name}" is defined twice`);
    if (catalogue.get(type) === undefined)
      throw new TypeError(`schedule "${name}" sends "${type}", which is in no feature's events`);
    names.add(name);
  }
  return schedules;
}
