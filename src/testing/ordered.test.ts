import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { z } from 'zod';
import { defineEvent } from '../events/definition.js';
import { defineFailure, defineFeature, defineHandler } from '../features/feature.js';
import { startTestKit, type TestKit } from './index.js';

const Moved = defineEvent({
  type: 'sample.move.requested',
  aggregateType: 'sample',
  origin: 'client',
  data: z.object({ n: z.number() }),
});
const Failed = defineFailure('sample.move.failed', 'sample');
const moves: number[] = [];
const ordered = defineFeature({
  name: 'ordered',
  events: [Moved, Failed],
  reads: [],
  handlers: [
    defineHandler({
      on: Moved,
      emits: [],
      failure: Failed,
      ordered: { onDead: 'block' },
      async run({ event }) {
        moves.push(event.data.n);
      },
    }),
  ],
});

let kit: TestKit;
beforeAll(async () => {
  kit = await startTestKit({ features: [ordered] });
});
afterAll(() => kit.end());

test('the kit runs the jobs of an ordered handler in their turn, and none before it', async () => {
  const move = (n: number) => kit.accept('ada', { type: Moved.type, data: { n }, aggregateId: 'one' });
  const [first, second] = [await move(1), await move(2)];
  await kit.attempt(second.eventId).catch(() => undefined);
  expect(moves).toEqual([]);
  await kit.runToEnd(first.eventId);
  await kit.runToEnd(second.eventId);
  expect(moves).toEqual([1, 2]);
});
