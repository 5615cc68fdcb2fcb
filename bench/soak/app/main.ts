import { setTimeout as wait } from 'node:timers/promises';
import { z } from 'zod';
import { built } from '../../built.ts';
import { bench } from '../../app/feature.ts';

const { runProgram } = await built('processes/program');
const { defineEvent } = await built('events/definition');
const { defineFailure, defineFeature, defineHandler } = await built('features/feature');

const BacklogRequested = defineEvent({
  type: 'bench.backlog.requested',
  aggregateType: 'bench',
  origin: 'client',
  data: z.object({ n: z.number().int(), at: z.number() }),
});
const BacklogFailed = defineFailure('bench.backlog.failed', 'bench');

/** What the handler asks takes so long to answer; with its queue's concurrency that is 20 jobs a second. */
const answersAfterMs = 100;

/** Waits for somebody else's server, which is why so much waits for it. */
const backlog = defineHandler({
  on: BacklogRequested,
  emits: [],
  failure: BacklogFailed,

  async run({ event, step, notify }) {
    await step('ask', () => wait(answersAfterMs));
    notify.success('bench.backlog.completed', event.data);
  },
});

const soak = defineFeature({
  name: 'soak',
  events: [BacklogRequested, BacklogFailed],
  handlers: [backlog],
  reads: [],
});

// One process of Synap with the benchmark's handlers and one more, whose jobs wait by the million.
await runProgram([bench, soak]);
