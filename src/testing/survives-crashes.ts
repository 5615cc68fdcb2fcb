import type { Sql } from '../platform/database.js';
import { toError } from '../platform/errors.js';
import { newId } from '../platform/ids.js';
import type { Sent } from './accepting.js';
import { describeDifferences, makeMask, readTables, toEnding, type Ending } from './endings.js';
import type { CrashPoint, Disturbances } from './crash-points.js';
import type { DatabaseServer } from './databases.js';
import type { Run } from './run.js';

/** What is needed here of a kit. */
interface Runnable {
  readonly sql: Sql;
  run(userId: string, sent: Sent, disturbances?: Disturbances): Promise<Run>;
  attempt(eventId: string): Promise<unknown>;
  report(eventId: string): Promise<Run>;
  crashPointsOf(eventId: string): readonly CrashPoint[];
  end(): Promise<void>;
}

/** Asserts by throwing. Called after the undisturbed run (`point` undefined) and after each other. */
export type Check<Kit> = (scenario: {
  readonly run: Run;
  /** On the copy of the database where this run was. */
  readonly kit: Kit;
  readonly point: CrashPoint | undefined;
}) => Promise<void> | void;

export interface SurvivalOptions<Kit> {
  /** Before each run, on its copy: what services are to answer. */
  readonly prepare?: (kit: Kit) => Promise<void> | void;
  /** Names of properties and columns that differ from run to run (a measured duration) and are not compared. */
  readonly ignore?: readonly string[];
}

interface Place<Kit> {
  readonly server: DatabaseServer;
  readonly url: string;
  readonly arrange: (url: string) => Kit;
}

interface Wanted<Kit> {
  readonly userId: string;
  readonly event: Sent;
  readonly check: Check<Kit> | undefined;
  readonly options: SurvivalOptions<Kit>;
}

export async function surviveCrashes<Kit extends Runnable>(
  { server, url, arrange }: Place<Kit>,
  wanted: Wanted<Kit>,
): Promise<readonly CrashPoint[]> {
  const { userId, check, options } = wanted;
  // The same ids in every run, so that their ends can be compared.
  const event = { eventId: newId(), requestId: newId(), aggregateId: newId(), ...wanted.event };
  const original = await server.clone(url);

  const scenario = async (point: CrashPoint | undefined) => {
    const kit = arrange(await server.clone(original));
    try {
      const mask = makeMask(JSON.stringify([event, await readTables(kit.sql)]), options.ignore ?? []);
      await options.prepare?.(kit);
      const run = await kit.run(userId, event, point === undefined ? {} : { crashAt: point });
      const ending = await toEnding(kit.sql, run, mask);
      await kit.attempt(run.eventId);
      const redelivered = await toEnding(kit.sql, await kit.report(run.eventId), mask);
      await check?.({ run, kit, point });
      return { ending, redelivered, points: kit.crashPointsOf(run.eventId) };
    } catch (thrown) {
      throw new Error(`${at(point)}: ${toError(thrown).message}`, { cause: thrown });
    } finally {
      await kit.end();
    }
  };

  try {
    const clean = await scenario(undefined);
    hold(clean.ending, clean.redelivered, 'another delivery of the job');
    for (const point of clean.points) {
      const { ending, redelivered } = await scenario(point);
      hold(clean.ending, ending, at(point));
      hold(ending, redelivered, `${at(point)}, another delivery of the job`);
    }
    return clean.points;
  } finally {
    await server.drop(original);
  }
}

const at = (point: CrashPoint | undefined): string => (point === undefined ? 'undisturbed' : `crashed at "${point}"`);

function hold(expected: Ending, actual: Ending, when: string): void {
  const differences = describeDifferences(expected, actual);
  if (differences.length > 0) throw new Error(`${when}, the end was another:\n${differences.join('\n')}`);
}
