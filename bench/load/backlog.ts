import type { Synap } from '../synap.ts';

export interface Backlog {
  readonly type: string;
  /** Rounded up to whole batches. */
  readonly count: number;
  /** Each batch is of another user. */
  readonly users: number;
}

/** Small, so that a backlog of some thousands has many users: jobs of one user wait for each other at its room. */
const perBatch = 20;
const atATime = 4;

/** Accepts a backlog as clients would, by the batch route. @returns how many events it has. */
export async function acceptBacklog(synap: Synap, { type, count, users }: Backlog): Promise<number> {
  const { url } = synap.one('api');
  const tokens = await Promise.all(Array.from({ length: users }, (_, user) => synap.mint(`user-${user}`)));
  const batches = Math.ceil(count / perBatch);
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < batches) {
      const batch = next++;
      const events = Array.from({ length: perBatch }, (_, i) => ({ type, data: { n: batch * perBatch + i } }));
      await post(`${url}/v1/events/batch`, tokens[batch % users] ?? '', { events });
    }
  };
  await Promise.all(Array.from({ length: atATime }, lane));
  return batches * perBatch;
}

async function post(url: string, token: string, body: { readonly events: readonly object[] }): Promise<void> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  const { items } = (await response.json()) as { readonly items?: readonly { readonly status: number }[] };
  const refused = items?.find(({ status }) => status !== 202);
  if (items?.length !== body.events.length || refused !== undefined)
    throw new Error(`a batch was not accepted: ${response.status} ${JSON.stringify(refused)}`);
}
