import { z } from 'zod';

const time = z.string();
const error = z.object({ code: z.string().optional(), message: z.string().optional(), stack: z.string().optional() });

export const letterSchema = z.looseObject({
  jobId: z.string(),
  type: z.string(),
  userId: z.string(),
  state: z.string(),
  attempts: z.number(),
  replays: z.number(),
  fingerprint: z.string(),
  error,
  diedAt: time,
});
export type Letter = z.infer<typeof letterSchema>;

export const groupSchema = z.looseObject({
  fingerprint: z.string(),
  type: z.string(),
  count: z.number(),
  firstAt: time,
  lastAt: time,
  code: z.string().nullable(),
  message: z.string().nullable(),
  jobId: z.string(),
});
export type Group = z.infer<typeof groupSchema>;

export const detailSchema = letterSchema.extend({
  // Null where retention has taken the event, or the job.
  acceptedAt: time.nullable(),
  aggregateId: z.string().nullable(),
  requestId: z.string().nullable(),
  correlationId: z.string().nullable(),
  payload: z.unknown(),
  correction: z.unknown(),
  failedAttempts: z.array(z.object({ attempt: z.number(), failedAt: time, workerId: z.string().nullable(), error })),
  steps: z.array(z.object({ name: z.string(), attempt: z.number(), at: time })),
  history: z.array(z.looseObject({ at: time, action: z.string(), actor: z.string() })),
  job: z.looseObject({ state: z.string(), generation: z.number() }).nullable(),
});
export type Detail = z.infer<typeof detailSchema>;

export const pageOf = <Item>(item: z.ZodType<Item>) =>
  z.object({ items: z.array(item), nextCursor: z.string().optional() });
