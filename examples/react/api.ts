/** What an example asks of Synap beside its hooks: a demo user's token, and files. */

export interface Session {
  readonly userId: string;
  /** A token that still lasts a while; your own page asks your own backend for it. */
  token(): Promise<string>;
  /** @param onProgress hears a fraction, 0 to 1, which `fetch` cannot tell. @returns the file's id */
  upload(file: File, onProgress: (fraction: number) => void): Promise<string>;
  /** Saves a file of the user. */
  open(url: string, name: string): Promise<void>;
}

const renewBeforeMs = 5 * 60_000;

export function demoSession(userId: string): Session {
  let known: { readonly token: string; readonly endsAt: number } | undefined;
  const token = async () => {
    if (known === undefined || known.endsAt - renewBeforeMs < Date.now()) known = await demoToken(userId);
    return known.token;
  };
  return {
    userId,
    token,
    upload: async (file, onProgress) => upload(await token(), file, onProgress),
    open: async (url, name) => {
      const answer = await fetch(url, { headers: { Authorization: `Bearer ${await token()}` } });
      if (!answer.ok) throw await refusal(answer.json());
      const address = URL.createObjectURL(await answer.blob());
      Object.assign(document.createElement('a'), { href: address, download: name }).click();
      setTimeout(() => URL.revokeObjectURL(address), 10_000);
    },
  };
}

async function demoToken(userId: string): Promise<{ token: string; endsAt: number }> {
  const body = JSON.stringify({ userId });
  const answer = await fetch('/v1/dev/token', {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body,
  });
  if (!answer.ok) throw await refusal(answer.json());
  const { token, expiresInSeconds } = (await answer.json()) as { token: string; expiresInSeconds: number };
  return { token, endsAt: Date.now() + expiresInSeconds * 1_000 };
}

function upload(token: string, file: File, onProgress: (fraction: number) => void): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const call = new XMLHttpRequest();
  call.open('POST', '/v1/files');
  call.setRequestHeader('Authorization', `Bearer ${token}`);
  call.responseType = 'json';
  call.upload.addEventListener('progress', ({ loaded, total }) => onProgress(total === 0 ? 1 : loaded / total));
  call.addEventListener('error', () =>
    reject(new Error('Synap cannot be reached. Check the connection and try again.')),
  );
  call.addEventListener('load', () => {
    if (call.status < 300) resolve((call.response as { id: string }).id);
    else refusal(Promise.resolve(call.response)).then(reject, reject);
  });
  const form = new FormData();
  form.append('file', file);
  call.send(form);
  return promise;
}

/** A problem (RFC 9457) in its own words. */
async function refusal(body: Promise<unknown>): Promise<Error> {
  const problem = (await body.catch(() => null)) as { detail?: string; title?: string } | null;
  return new Error(problem?.detail ?? problem?.title ?? 'Synap refused this and did not say why.');
}

export const reasonOf = (thrown: unknown): string =>
  thrown instanceof TypeError
    ? 'Synap cannot be reached. Check the connection and try again.'
    : thrown instanceof Error
      ? thrown.message
      : String(thrown);
