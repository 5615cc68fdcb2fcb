import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { z } from 'zod';
import { defineEvent } from '../events/definition.js';
import type { AttemptContext } from '../execution/handler.js';
import { NonRetryableError } from '../execution/retry.js';
import { defineFailure, defineHandler } from '../features/feature.js';
import type { Services } from '../features/services.js';
import type { Sql } from '../platform/database.js';
import { newId } from '../platform/ids.js';
import type { Json } from '../platform/text.js';
import { startTestKit, type TestKit } from './index.js';

const Asked = defineEvent({
  type: 'sample.run.requested',
  aggregateType: 'sample',
  origin: 'client',
  data: z.object({}),
});
const Done = defineEvent({
  type: 'sample.run.completed',
  aggregateType: 'sample',
  origin: 'handler',
  data: z.object({ n: z.number() }),
});

type Context = AttemptContext<object, Services>;
let run: (context: Context) => Promise<Json | void>;
const calls: string[] = [];

// A database is copied for every point.
jest.setTimeout(120_000);

let kit: TestKit;
beforeAll(async () => {
  const failure = defineFailure('sample.run.failed', 'sample');
  const handler = defineHandler({ on: Asked, emits: [Done], failure, run: (context) => run(context) });
  kit = await startTestKit({
    features: [{ name: 'sample', events: [Asked, Done, failure], handlers: [handler], reads: [] }],
  });
});
afterAll(() => kit.end());

async function insertProject(tx: Sql, userId: string, name = 'made'): Promise<void> {
  await tx.insertInto('projects').values({ userId, id: newId(), name }).execute();
}
const survives = (given: typeof run, ...more: unknown[]) => {
  run = given;
  return kit.survivesCrashes('ada', { type: 'sample.run.requested', data: {} }, ...(more as []));
};

describe('a handler whose effects are in steps', () => {
  test('survives a crash at every point, of which there are all', async () => {
    const seen: unknown[] = [];
    const points = await survives(
      async ({ event, step, emit, notify }) => {
        await step.notify('announce', { type: 'sample.run.started', data: {} });
        const { n } = await step('call', async () => ({ n: 1, id: newId(), at: new Date().toISOString() }));
        await step.transaction('insert', (tx) => insertProject(tx, event.userId));
        emit(Done, { n });
        notify.success('sample.run.completed', { n });
      },
      ({ run: { outcome, attempts }, point }: { run: { outcome: string; attempts: number }; point: unknown }) => {
        seen.push([point, outcome, attempts]);
      },
    );
    expect(points).toEqual([
      'claimed',
      'before:announce',
      'after:announce',
      'before:call',
      'during:call',
      'after:call',
      'before:insert',
      'during:insert',
      'after:insert',
      'before-commit',
      'after-commit',
    ]);
    expect(seen).toEqual([
      [undefined, 'completed', 1],
      ...points.map((point) => [point, 'completed', point === 'after-commit' ? 1 : 2]),
    ]);
    // Each run had a copy of the database.
    expect(await kit.sql.selectFrom('projects').selectAll().execute()).toEqual([]);
  });

  test('survives where its end is a dead letter', async () => {
    await survives(async ({ step, event }) => {
      await step.transaction('insert', (tx) => insertProject(tx, event.userId));
      throw new NonRetryableError('no_hope', 'There is none.');
    });
  });

  test('survives where it fails and is tried again', async () => {
    const points = await survives(async ({ attempt, step, event }) => {
      if (attempt === 1) throw new Error('not yet');
      await step.transaction('insert', (tx) => insertProject(tx, event.userId));
    });
    expect(points).toContain('during:insert');
  });
});

describe('a handler is caught', () => {
  test('that writes to the database outside a step', async () => {
    await expect(
      survives(async ({ event, step, services }) => {
        await insertProject(services.sql, event.userId, 'outside');
        await step('rest', async () => null);
      }),
    ).rejects.toThrow(/crashed at "before:rest".*\n {2}table "projects": too much .*"outside"/);
  });

  test('that writes with another connection than the transaction’s', async () => {
    await expect(
      survives(async ({ event, step, services }) => {
        await step.transaction('insert', () => insertProject(services.sql, event.userId, 'beside'));
      }),
    ).rejects.toThrow(/crashed at "during:insert"/);
  });

  test('that writes to the database in a step which is no transaction', async () => {
    await expect(
      survives(async ({ event, step, services }) => {
        await step('insert', () => insertProject(services.sql, event.userId));
      }),
    ).rejects.toThrow(/crashed at "during:insert"/);
  });

  test('whose events or notifications depend on the attempt', async () => {
    await expect(
      survives(async ({ attempt, emit }) => {
        emit(Done, { n: attempt });
      }),
    ).rejects.toThrow(
      /crashed at "claimed".*\n {2}emitted events: missing .*"n":1.*\n {2}emitted events: too much .*"n":2/,
    );
    await expect(
      survives(async ({ attempt, notify }) => {
        notify.success('sample.run.completed', { attempt });
        return 'the same';
      }),
    ).rejects.toThrow(/crashed at "claimed"/);
  });

  test('by the author’s own check, where the effect is not in the database', async () => {
    const check = () => {
      expect(new Set(calls).size).toBe(calls.length);
    };
    const handler = async ({ event, step }: Context) => {
      calls.push(event.id);
      await step('rest', async () => null);
    };
    await expect(survives(handler, check, { prepare: () => void calls.splice(0) })).rejects.toThrow(
      /crashed at "before:rest": .*/,
    );
  });
});

test('what differs from run to run by its nature is left out by name', async () => {
  let n = 0;
  const handler = async ({ emit }: Context) => emit(Done, { n: ++n });
  await expect(survives(handler)).rejects.toThrow('the end was another');
  await survives(handler, undefined, { ignore: ['n'] });
});
