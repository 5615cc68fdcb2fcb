import { sql, type Selectable } from 'kysely';
import { NonRetryableError } from '../../execution/retry.js';
import type { DB, Sql } from '../../platform/database.js';
import type { Turn } from './assistant.js';

export type ThreadView = {
  readonly id: string;
  /** The beginning of its first message. */
  readonly title: string;
  /** ISO 8601, UTC, as all times here. */
  readonly createdAt: string;
  readonly updatedAt: string;
};

export type MessageView = {
  readonly id: string;
  readonly threadId: string;
  readonly role: 'user' | 'assistant';
  readonly content: string;
  readonly createdAt: string;
};

export interface NewMessage {
  readonly userId: string;
  readonly id: string;
  readonly threadId: string;
  readonly role: 'user' | 'assistant';
  readonly content: string;
  /** When the user sent it; an answer's is when it is written. */
  readonly createdAt?: Date;
}

/** Beginning a thread again, as a restarted job does, goes on with it. */
export async function beginThread(tx: Sql, userId: string, id: string, firstMessage: string): Promise<ThreadView> {
  const row = await tx
    .insertInto('conversation_threads')
    .values({ userId, id, title: titleOf(firstMessage) })
    .onConflict((conflict) => conflict.columns(['userId', 'id']).doUpdateSet({ updatedAt: sql`now()` }))
    .returningAll()
    .executeTakeFirstOrThrow();
  return toThreadView(row);
}

/** @throws NonRetryableError `thread_not_found` where the user has no such thread. */
export async function continueThread(tx: Sql, userId: string, id: string): Promise<ThreadView> {
  const row = await tx
    .updateTable('conversation_threads')
    .set({ updatedAt: sql`now()` })
    .where('userId', '=', userId)
    .where('id', '=', id)
    .returningAll()
    .executeTakeFirst();
  if (row === undefined) throw new NonRetryableError('thread_not_found', 'There is no such conversation among yours.');
  return toThreadView(row);
}

/** Where a restarted job brings another text under the same id, the newer one stays. */
export async function putMessage(tx: Sql, message: NewMessage): Promise<MessageView> {
  const row = await tx
    .insertInto('conversation_messages')
    .values(message)
    .onConflict((conflict) => conflict.columns(['userId', 'id']).doUpdateSet({ content: message.content }))
    .returningAll()
    .executeTakeFirstOrThrow();
  return toMessageView(row);
}

/** A message and what was said before it: oldest first, beginning with the user, of a bounded length together. */
export async function turnsUpTo(
  client: Sql,
  message: { userId: string; threadId: string; id: string; createdAt: Date },
): Promise<Turn[]> {
  const rows = await client
    .selectFrom('conversation_messages')
    .select(['role', 'content'])
    .where('userId', '=', message.userId)
    .where('threadId', '=', message.threadId)
    .where((is) => is.or([is('createdAt', '<', message.createdAt), is('id', '=', message.id)]))
    .orderBy('createdAt', 'desc')
    .orderBy('id', 'desc')
    .limit(maxTurns)
    .execute();
  let length = 0;
  const kept = rows.filter(({ content }, index) => (length += content.length) <= maxTurnsLength || index === 0);
  const turns = kept.toReversed();
  return turns.slice(turns.findIndex(({ role }) => role === 'user'));
}

const maxTurns = 40;
const maxTurnsLength = 200_000;

/** The id of the answer to a message: the next one, so that an answer which is written again is the same message. */
export function answerIdOf(messageId: string): string {
  const next = (BigInt(`0x${messageId.replaceAll('-', '')}`) + 1n).toString(16).padStart(32, '0');
  return next.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

function titleOf(message: string): string {
  const line = message.trim().split('\n', 1)[0] ?? '';
  return line.length > 80 ? `${line.slice(0, 79).toWellFormed()}…` : line;
}

export function toThreadView({ id, title, createdAt, updatedAt }: Selectable<DB['conversation_threads']>): ThreadView {
  return { id, title, createdAt: createdAt.toISOString(), updatedAt: updatedAt.toISOString() };
}

export function toMessageView({
  id,
  threadId,
  role,
  content,
  createdAt,
}: Selectable<DB['conversation_messages']>): MessageView {
  return { id, threadId, role, content, createdAt: createdAt.toISOString() };
}
