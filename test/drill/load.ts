import { type Access, Listener, postNote, type Posted } from './client.ts';

export interface LoadResult {
  readonly posted: number;
  readonly retried: number;
  /** Of the answer, in ms. */
  readonly slowestMs: number;
  readonly announced: number;
  readonly gaps: number;
  readonly repeats: number;
  readonly reconnects: number;
  /** From the end of the posting until the last note was announced. */
  readonly lastAnnouncedMs: number;
}

const everyMs = 50;
const announcedWithinMs = 60_000;

/** Twenty notes a second by one user, whose page listens, while `fault` happens; ends when every note is announced. */
export async function underLoad(access: Access, user: { id: string; token: string }, fault: () => Promise<void>): Promise<LoadResult> {
  const listener = new Listener(access, user.token, user.id, ['websocket']);
  await listener.connected();
  const posts: Promise<Posted & { tookMs: number }>[] = [];
  const post = async () => {
    const startedAt = performance.now();
    const posted = await postNote(access, user.token, 'Under load');
    return { ...posted, tookMs: performance.now() - startedAt };
  };
  const timer = setInterval(() => posts.push(post()), everyMs);
  try {
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    await fault();
    await new Promise((resolve) => setTimeout(resolve, 3_000));
  } finally {
    clearInterval(timer);
  }
  const done = await Promise.all(posts);
  const endedAt = performance.now();
  const results = await Promise.allSettled(done.map(({ requestId }) => listener.completed(requestId, announcedWithinMs)));
  listener.close();
  const seqs = listener.seqs.toSorted((a, b) => a - b);
  return {
    posted: done.length,
    retried: done.filter(({ tries }) => tries > 1).length,
    slowestMs: Math.round(Math.max(...done.map(({ tookMs }) => tookMs))),
    announced: results.filter(({ status }) => status === 'fulfilled').length,
    gaps: seqs.length === 0 ? 0 : (seqs.at(-1) ?? 0) - (seqs[0] ?? 0) + 1 - seqs.length,
    repeats: listener.repeats,
    reconnects: listener.reconnects,
    lastAnnouncedMs: Math.round(performance.now() - endedAt),
  };
}
