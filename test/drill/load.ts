import { setTimeout as delay } from 'node:timers/promises';
import { type Access, Listener, postNote, type Posted } from './client.ts';

export interface LoadResult {
  readonly posted: number;
  /** Those that were not answered 202 at the first try, and what they were answered. */
  readonly retried: number;
  readonly refusals: readonly string[];
  readonly slowestMs: number;
  /** By every page. */
  readonly announced: number;
  readonly gaps: number;
  readonly reconnects: number;
  /** From the end of the posting until the last note was announced. */
  readonly lastAnnouncedMs: number;
}

interface User {
  readonly id: string;
  readonly token: string;
}

const everyMs = 50;
const pages = 4;
const announcedWithinMs = 60_000;

/** Twenty notes a second by one user, with four pages that listen, while `fault` happens; ends when all are announced to all. */
export async function underLoad(access: Access, user: User, fault: () => Promise<void>): Promise<LoadResult> {
  const listeners = Array.from({ length: pages }, () => new Listener(access, user.token, user.id, ['websocket']));
  try {
    await Promise.all(listeners.map((listener) => listener.connected()));
    const done = await postDuring(access, user, fault);
    const endedAt = performance.now();
    const announced = await Promise.all(done.map(({ requestId }) => isAnnounced(listeners, requestId)));
    return {
      posted: done.length,
      retried: done.filter(({ refusals }) => refusals.length > 0).length,
      refusals: [...new Set(done.flatMap(({ refusals }) => refusals))],
      slowestMs: Math.round(Math.max(...done.map(({ tookMs }) => tookMs))),
      announced: announced.filter(Boolean).length,
      gaps: listeners.reduce((sum, { seqs }) => sum + gapsIn(seqs), 0),
      reconnects: listeners.reduce((sum, { reconnects }) => sum + reconnects, 0),
      lastAnnouncedMs: Math.round(performance.now() - endedAt),
    };
  } finally {
    for (const listener of listeners) listener.close();
  }
}

interface Timed extends Posted {
  readonly tookMs: number;
}

async function postDuring(access: Access, user: User, fault: () => Promise<void>): Promise<Timed[]> {
  const posts: Promise<Timed>[] = [];
  const post = async (): Promise<Timed> => {
    const startedAt = performance.now();
    const posted = await postNote(access, user.token, 'Under load');
    return { ...posted, tookMs: performance.now() - startedAt };
  };
  const timer = setInterval(() => posts.push(post()), everyMs);
  try {
    await delay(1_000);
    await fault();
    await delay(3_000);
  } finally {
    clearInterval(timer);
  }
  return Promise.all(posts);
}

async function isAnnounced(listeners: readonly Listener[], requestId: string): Promise<boolean> {
  const heard = await Promise.allSettled(listeners.map((listener) => listener.completed(requestId, announcedWithinMs)));
  return heard.every(({ status }) => status === 'fulfilled');
}

function gapsIn(seqs: ReadonlySet<number>): number {
  return seqs.size === 0 ? 0 : Math.max(...seqs) - Math.min(...seqs) + 1 - seqs.size;
}
