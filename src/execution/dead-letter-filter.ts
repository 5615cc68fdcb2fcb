import { sql, type RawBuilder, type SqlBool } from 'kysely';
import { z } from 'zod';
import { isStorableText } from '../platform/text.js';

const text = (max: number) => z.string().min(1).max(max).refine(isStorableText, 'contains U+0000 or a lone surrogate');
/** Postgres' range is another than that of ISO text. What is no time at all is a fault already. */
const isOrdinary = (at: string): boolean => !(Date.parse(at) < 0) && !(new Date(at).getUTCFullYear() > 9_999);
const time = z.iso.datetime({ offset: true }).refine(isOrdinary, 'must lie in the years 1970 to 9999');

/** Which dead letters; all of them without any. Times are those of death, `since` included and `until` not. */
export const deadLetterFilterSchema = z.strictObject({
  type: text(128).optional(),
  userId: text(256).optional(),
  fingerprint: text(64).optional(),
  code: text(100).optional(),
  since: time.optional(),
  until: time.optional(),
});
export type DeadLetterFilter = z.infer<typeof deadLetterFilterSchema>;

/** As a condition on `dead_letters`, under the alias d. */
export function matches(filter: DeadLetterFilter): RawBuilder<SqlBool> {
  const { type, userId, fingerprint, code, since, until } = filter;
  const conditions = [
    sql`true`,
    ...(type === undefined ? [] : [sql`d.queue = ${type}`]),
    ...(userId === undefined ? [] : [sql`d."userId" = ${userId}`]),
    ...(fingerprint === undefined ? [] : [sql`d.fingerprint = ${fingerprint}`]),
    ...(code === undefined ? [] : [sql`d.error->>'code' = ${code}`]),
    ...(since === undefined ? [] : [sql`d."createdAt" >= ${since}::timestamptz`]),
    ...(until === undefined ? [] : [sql`d."createdAt" < ${until}::timestamptz`]),
  ];
  return sql<SqlBool>`(${sql.join(conditions, sql` AND `)})`;
}
