import { setTimeout as delay } from 'node:timers/promises';
import { sql } from 'kysely';
import type { Sql } from '../../../src/platform/database.js';
import type { Schedule } from '../../../src/events/schedule.js';
import type { SynapEvent } from '../../../src/events/synap-event.js';
import { clockUser, everyTick, scheduleName, tickEveryMs } from './clock.ts';
import { built } from './kit.ts';
import {
  EchoFailed,
  EchoRequested,
  OrderedFailed,
  OrderedRequested,
  PoisonFailed,
  PoisonRequested,
  TickFailed,
  TickRequested,
  WorkFailed,
  WorkRequested,
  type Poison,
} from './events.ts';

const { defineSchedule } = await built('events/schedule');
const { defineFeature, defineHandler } = await built('features/feature');
const { exponential, NonRetryableError } = await built('execution/retry');

/** Without a rule that forbids a second row: a double must show. */
export const effectsTable = `
CREATE TABLE fault_effects (
  id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  "eventId" UUID NOT NULL, "userId" TEXT NOT NULL, step TEXT NOT NULL, attempt INTEGER NOT NULL,
  lane TEXT, n INTEGER, at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX ON fault_effects ("userId");
CREATE TABLE fault_cures ("userId" TEXT PRIMARY KEY)`;

interface Place {
  readonly lane: string;
  readonly n: number;
}

async function act(
  tx: Sql,
  event: SynapEvent,
  step: string,
  attempt: number,
  { lane, n }: Partial<Place> = {},
): Promise<void> {
  await sql`INSERT INTO fault_effects ("eventId", "userId", step, attempt, lane, n)
    VALUES (${event.id}, ${event.userId}, ${step}, ${attempt}, ${lane ?? null}, ${n ?? null})`.execute(tx);
}

/** The outside effect. The sink keeps what it is told whoever tells it, and names what it had already. */
async function tellSink(event: SynapEvent, idempotencyKey: string, signal: AbortSignal): Promise<void> {
  const response = await fetch(process.env['FAULTS_SINK_URL'] ?? '', {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', 'Idempotency-Key': idempotencyKey },
    body: JSON.stringify({ eventId: event.id, userId: event.userId }),
    signal: AbortSignal.any([signal, AbortSignal.timeout(5_000)]),
  });
  await response.arrayBuffer();
  if (!response.ok) throw new Error(`the sink answered ${response.status}`);
}

const retry = { attempts: 3, backoff: exponential({ baseMs: 200, jitter: 0.5 }) };

const work = defineHandler({
  on: WorkRequested,
  emits: [EchoRequested],
  failure: WorkFailed,
  // A fault of the outside must not make poison of good work.
  retry: { attempts: 30, backoff: exponential({ baseMs: 200, maxMs: 1_000, jitter: 0.5 }) },

  async run({ event, attempt, signal, step, emit, notify }) {
    const { ref, sleepMs } = event.data;
    await step.transaction('first', (tx) => act(tx, event, 'first', attempt));
    await step('sink', ({ idempotencyKey }) => tellSink(event, idempotencyKey, signal));
    if (sleepMs > 0) await delay(sleepMs, undefined, { signal });
    await step.transaction('last', (tx) => act(tx, event, 'last', attempt));
    emit(EchoRequested, { ref });
    notify.success('fault.work.completed', { eventId: event.id, ref });
  },
});

const echo = defineHandler({
  on: EchoRequested,
  emits: [],
  failure: EchoFailed,
  retry: { attempts: 30, backoff: exponential({ baseMs: 200, maxMs: 1_000, jitter: 0.5 }) },

  async run({ event, attempt, step, notify }) {
    await step.transaction('echo', (tx) => act(tx, event, 'echo', attempt));
    notify.success('fault.echo.completed', { eventId: event.id, ref: event.data.ref });
  },
});

const ordered = defineHandler({
  on: OrderedRequested,
  emits: [],
  failure: OrderedFailed,
  ordered: { onDead: 'block' },
  retry: { attempts: 30, backoff: exponential({ baseMs: 200, maxMs: 1_000, jitter: 0.5 }) },

  async run({ event, attempt, step, notify }) {
    await step.transaction('ordered', (tx) => act(tx, event, 'ordered', attempt, event.data));
    notify.success('fault.ordered.completed', { eventId: event.id, ref: event.data.ref });
  },
});

const tick = defineHandler({
  on: TickRequested,
  emits: [],
  failure: TickFailed,
  retry: { attempts: 30, backoff: exponential({ baseMs: 200, maxMs: 1_000, jitter: 0.5 }) },

  async run({ event, attempt, step, notify }) {
    await step.transaction('tick', (tx) => act(tx, event, 'tick', attempt));
    notify.success('fault.tick.completed', { eventId: event.id });
  },
});

/** In all but its timetable as a feature defines it: the minute of a cron is longer than most faults last. */
const clock: Schedule = {
  ...defineSchedule({
    name: scheduleName,
    on: TickRequested,
    cron: '* * * * *',
    timeZone: 'UTC',
    userId: clockUser,
    data: (at) => ({ at: at.toISOString() }),
    ifMissed: 'run once',
  }),
  ticks: everyTick,
  definition: `every ${tickEveryMs} ms`,
};

const poison = defineHandler({
  on: PoisonRequested,
  emits: [],
  failure: PoisonFailed,
  retry,

  async run({ event, attempt, signal, step, notify }) {
    await step.transaction('first', (tx) => act(tx, event, 'first', attempt));
    if (event.data.how === 'curable') await step.transaction('cured', (tx) => requireCure(tx, event.userId));
    else await misbehave(event.data.how, attempt, signal);
    notify.success('fault.poison.completed', { eventId: event.id, ref: event.data.ref });
  },
});

async function requireCure(tx: Sql, userId: string): Promise<void> {
  const { rows } = await sql`SELECT FROM fault_cures WHERE "userId" = ${userId}`.execute(tx);
  if (rows.length === 0) throw new NonRetryableError('poison', 'It cannot be done yet.');
}

async function misbehave(how: Exclude<Poison, 'curable'>, attempt: number, signal: AbortSignal): Promise<void> {
  switch (how) {
    case 'throw':
      throw new Error('poison: it throws each time');
    case 'refuse':
      throw new NonRetryableError('poison', 'It cannot be done.');
    case 'loop':
      for (;;) if (performance.now() < 0) return;
    case 'exit':
      return process.exit(1);
    case 'hog':
      return hog(signal);
    case 'endless':
      return delay(120_000, undefined, { signal });
    case 'flaky':
      if (attempt <= 2) throw new Error('flaky: it throws twice');
  }
}

/** Grows until somebody ends it, with pauses in which a watchdog and a limit can look. */
async function hog(signal: AbortSignal): Promise<void> {
  const kept: number[][] = [];
  for (;;) {
    signal.throwIfAborted();
    kept.push(Array.from({ length: 4_000_000 }, (_, index) => index + kept.length));
    await delay(5);
  }
}

export const faults = defineFeature({
  name: 'faults',
  events: [
    WorkRequested,
    WorkFailed,
    EchoRequested,
    EchoFailed,
    OrderedRequested,
    OrderedFailed,
    PoisonRequested,
    PoisonFailed,
    TickRequested,
    TickFailed,
  ],
  handlers: [work, echo, ordered, poison, tick],
  schedules: [clock],
  reads: [],
});
