import { sql } from 'kysely';
import { built } from '../built.ts';
import { EchoFailed, EchoRequested, WorkCompleted, WorkFailed, WorkRequested } from './events.ts';

export { effectsTable } from './effects.ts';

const { defineFeature, defineHandler } = await built('features/feature');

/** A job as the products have them: one transactional step, one event that it causes, one notification in both rooms. */
const work = defineHandler({
  on: WorkRequested,
  emits: [WorkCompleted],
  failure: WorkFailed,

  async run({ event, step, emit, notify }) {
    const { n } = event.data;
    await step.transaction('write', async (tx) => {
      await sql`INSERT INTO bench_effects (id, n) VALUES (${event.id}, ${n})`.execute(tx);
    });
    emit(WorkCompleted, { n });
    notify.success('bench.work.completed', { n });
  },
});

/** Nothing but the answer: what a hand-made stack's handler does. */
const echo = defineHandler({
  on: EchoRequested,
  emits: [],
  failure: EchoFailed,

  run({ event, notify }) {
    notify.success('bench.echo.completed', event.data);
    return Promise.resolve();
  },
});

export const bench = defineFeature({
  name: 'bench',
  events: [WorkRequested, WorkCompleted, WorkFailed, EchoRequested, EchoFailed],
  handlers: [work, echo],
  reads: [],
});
