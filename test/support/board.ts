import { seedJob, signIn, startOperations, type Mode, type SeededJob } from './operations.js';

export interface BoardQueue {
  readonly name: string;
  readonly description: string;
  readonly counts: Readonly<Record<string, number>>;
  readonly isPaused: boolean;
  readonly jobs: readonly { readonly id: string; readonly data: unknown; readonly failedReason?: string }[];
}

export type Board = Awaited<ReturnType<typeof startBoard>>;

/** Bull Board's HTTP API, used by a signed-in operator, and what Postgres says of a job. */
export async function startBoard(mode: Mode) {
  const own = await startOperations(mode);
  const { cookie } = await signIn(own.api);

  async function call(path: string, init: RequestInit = {}) {
    const response = await own.api.call(`/admin/queues/api${path}`, {
      ...init,
      headers: { Cookie: cookie, Origin: own.api.url, 'Content-Type': 'application/json' },
    });
    const text = await response.text();
    return { status: response.status, body: (text === '' ? {} : JSON.parse(text)) as Record<string, unknown> };
  }

  return {
    own,
    call,
    press: (path: string, queue = own.queue) => call(`/queues/${queue}/${path}`, { method: 'PUT', body: '{}' }),
    async look(active: string, status = 'latest'): Promise<BoardQueue> {
      const { body } = await call(`/queues?activeQueue=${active}&status=${status}&page=1&jobsPerPage=50`);
      const found = (body['queues'] as BoardQueue[] | undefined)?.find(({ name }) => name === active);
      if (found === undefined) throw new Error(`${active} is not on the board: ${JSON.stringify(body)}`);
      return found;
    },
    async stateOf({ id }: SeededJob) {
      const { rows } = await own.testDatabase.pool.query<{ state: string; generation: number; letter: string | null }>(
        `SELECT j.state, j.generation, d.state AS letter FROM jobs j LEFT JOIN dead_letters d ON d."jobId" = j.id WHERE j.id = $1`,
        [id],
      );
      return rows[0];
    },
    async deadJob(): Promise<SeededJob> {
      const job = await seedJob(own.testDatabase, { state: 'dead' });
      await own.fail(job);
      return job;
    },
  };
}
