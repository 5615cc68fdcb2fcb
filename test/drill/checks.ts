import { randomBytes, randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { throughChromium } from './browser.ts';
import { type Access, call, Listener, postNote } from './client.ts';
import { type LoadResult, underLoad } from './load.ts';
import { plainSite, type Stack } from './stack.ts';

export interface Drill {
  readonly stack: Stack;
  readonly access: Access;
  readonly user: { readonly id: string; readonly token: string };
}

/** What was seen, in words; throwing is a failure. */
export interface Check {
  readonly name: string;
  run(drill: Drill): Promise<string>;
}

function expect(isTrue: boolean, otherwise: string): void {
  if (!isTrue) throw new Error(otherwise);
}

async function door({ access }: Drill): Promise<string> {
  const redirect = await fetch(`${plainSite}/health`, { redirect: 'manual' });
  expect(redirect.status === 308, `HTTP answered ${redirect.status}, not a redirect to HTTPS`);
  const health = await call(access, '/health');
  expect(health.status === 200, `/health answered ${health.status}`);
  const inside = await Promise.all(['/metrics', '/ready'].map(async (path) => (await call(access, path)).status));
  expect(
    inside.every((status) => status === 404),
    `/metrics and /ready answered ${inside.join(', ')}`,
  );
  return 'HTTP 308 to HTTPS; /health 200; /metrics and /ready 404';
}

async function published({ stack }: Drill): Promise<string> {
  const open = (await stack.compose('ps', '--format', '{{.Service}} {{.Ports}}'))
    .split('\n')
    .filter((line) => /->/.test(line));
  const services = new Set(open.map((line) => line.split(' ')[0]));
  expect([...services].join() === 'proxy', `ports are published by ${[...services].join(', ')}`);
  return 'only the proxy has published ports';
}

function overTransport(transports: string[]) {
  return async ({ access, user }: Drill): Promise<string> => {
    const listener = new Listener(access, user.token, user.id, transports);
    try {
      await listener.connected();
      const startedAt = performance.now();
      const { requestId } = await postNote(access, user.token, 'From the drill');
      await listener.completed(requestId, 15_000);
      const tookMs = Math.round(performance.now() - startedAt);
      return `202, then note.creation.completed over ${listener.socket.io.engine.transport.name} after ${tookMs} ms`;
    } finally {
      listener.close();
    }
  };
}

/** Polling sessions fail at once where two requests of one land on two replicas. */
async function manyPollers({ access, user }: Drill): Promise<string> {
  const listeners = Array.from({ length: 20 }, () => new Listener(access, user.token, user.id, ['polling']));
  try {
    await Promise.all(listeners.map((listener) => listener.connected()));
    const { requestId } = await postNote(access, user.token, 'To many');
    await Promise.all(listeners.map((listener) => listener.completed(requestId, 15_000)));
    const lost = listeners.reduce((sum, { reconnects }) => sum + reconnects, 0);
    expect(lost === 0, `${lost} sessions were lost`);
    return '20 sessions, all heard, none lost';
  } finally {
    for (const listener of listeners) listener.close();
  }
}

async function chromium({ access, user }: Drill): Promise<string> {
  const { ms, transport } = await throughChromium(access, user.token);
  return `page of the site, note.creation.completed over ${transport} after ${ms} ms`;
}

async function files({ access, user }: Drill): Promise<string> {
  const upload = (bytes: number) =>
    call(access, '/v1/files', {
      method: 'POST',
      headers: {
        Authorization: `Bearer ${user.token}`,
        'Content-Type': 'application/octet-stream',
        'X-File-Name': 'drill.bin',
      },
      body: randomBytes(bytes),
    });
  const stored = await upload(49 * 1024 * 1024);
  expect(stored.status === 201, `an upload of 49 MB was answered ${stored.status} ${stored.body}`);
  const { id } = JSON.parse(stored.body) as { id: string };
  const read = await call(access, `/v1/files/${id}`, { headers: { Authorization: `Bearer ${user.token}` } });
  expect(read.status === 200, `reading it back was answered ${read.status}`);
  const larger = await upload(50 * 1024 * 1024 + 1);
  expect(larger.status === 413, `an upload of 50 MB and a byte was answered ${larger.status}`);
  return '49 MB 201 and read back, 50 MB + 1 byte 413';
}

async function operator({ access, stack }: Drill): Promise<string> {
  const [name, password] = await Promise.all([stack.setting('OPERATOR_NAME'), stack.setting('OPERATOR_PASSWORD')]);
  const headers = { 'Content-Type': 'application/x-www-form-urlencoded' };
  const anonymous = await call(access, '/admin/queues', { headers: { Accept: 'text/html' } });
  expect(anonymous.status === 303, `without a session /admin/queues answered ${anonymous.status}`);
  const body = new URLSearchParams({ name, password }).toString();
  const signedIn = await call(access, '/admin/sign-in', { method: 'POST', headers, body });
  expect(signedIn.status === 303, `signing in was answered ${signedIn.status}`);
  const board = await call(access, '/admin/queues/api/queues', { headers: { Cookie: signedIn.cookie ?? '' } });
  const { queues } = JSON.parse(board.body) as { queues: unknown[] };
  return `signed in, ${queues.length} queues on the board`;
}

async function commandLine({ stack }: Drill): Promise<string> {
  const doctor = JSON.parse(await stack.compose('exec', '-T', 'api', 'synap', 'doctor', '--json')) as { ok: boolean };
  expect(doctor.ok, 'synap doctor found faults');
  const data = JSON.stringify({ title: 'From the command line', content: 'Hello' });
  await stack.compose(
    'exec',
    '-T',
    'api',
    'synap',
    'send',
    'note.creation.requested',
    data,
    '--user',
    `cli-${randomUUID()}`,
  );
  return 'synap doctor ok; synap send accepted';
}

async function migrateAgain({ stack }: Drill): Promise<string> {
  return (await stack.compose('run', '--rm', '-T', 'migrate')).replaceAll('\n', ' ');
}

/** Kills the program of one replica, and waits under load until it is back. */
function killed(service: string) {
  return async (drill: Drill): Promise<string> => {
    const { stack } = drill;
    const before = await stack.restarts(service);
    return report(
      await underLoad(drill.access, drill.user, async () => {
        await stack.killProgram(service);
        await until(async () => (await stack.restarts(service)) > before && (await stack.isHealthy(service)), 90_000);
      }),
    );
  };
}

/** Every container of Synap anew, in halves. */
async function upgraded({ access, user, stack }: Drill): Promise<string> {
  const load = await underLoad(access, user, () => stack.upgrade());
  const seen = report(load);
  expect(load.retried === 0, `an upgrade must not be noticed: ${seen}`);
  return seen;
}

/** What `docker compose up` does to a change: both replicas at once are stopped and made anew. */
async function recreated({ access, user, stack }: Drill): Promise<string> {
  return report(
    await underLoad(access, user, async () => {
      await stack.compose('up', '--detach', '--wait', '--no-deps', '--force-recreate', 'api');
    }),
  );
}

function report(load: LoadResult): string {
  const { posted, retried, refusals, slowestMs, announced, gaps, reconnects, lastAnnouncedMs } = load;
  for (const refusal of refusals) process.stderr.write(`  refused: ${refusal}\n`);
  expect(announced === posted, `${posted} accepted, only ${announced} announced to all`);
  expect(gaps === 0, `${gaps} gaps`);
  const codes = [...new Set(refusals.map((refusal) => refusal.split(' ')[0]))].join(', ');
  const accepted = retried === 0 ? 'all at the first try' : `${retried} after a retry (${codes})`;
  const heard = `${announced} announced to 4 pages, ${lastAnnouncedMs} ms after the last; ${reconnects} reconnects`;
  return `${posted} posted, ${accepted}, slowest ${slowestMs} ms; ${heard}`;
}

async function until(isSo: () => Promise<boolean>, withinMs: number): Promise<void> {
  const deadline = performance.now() + withinMs;
  while (!(await isSo())) {
    if (performance.now() > deadline) throw new Error(`not within ${withinMs} ms`);
    await delay(500);
  }
}

async function memory({ stack }: Drill): Promise<string> {
  const lines = (await stack.docker('stats', '--no-stream', '--format', '{{.Name}} {{.MemUsage}}')).split('\n');
  const used = lines.filter((line) => line.startsWith(stack.container('', 1).split('--')[0] ?? '')).map(short);
  return used.toSorted().join(', ');
}

const short = (line: string): string =>
  line
    .replace(/^synap-drill-/, '')
    .replace(/ \/.*/, '')
    .replace('MiB', ' MB');

async function stopped({ stack }: Drill): Promise<string> {
  await stack.compose('stop', '--timeout', '40');
  const unclean = Object.entries(await stack.exitCodes()).filter(([, code]) => code !== 0);
  expect(unclean.length === 0, `ended with a code: ${unclean.map(([name, code]) => `${name} ${code}`).join(', ')}`);
  return 'every container ended by itself with 0';
}

export const checks: readonly Check[] = [
  { name: 'the door', run: door },
  { name: 'published ports', run: published },
  { name: 'socket.io-client, websocket', run: overTransport(['websocket']) },
  { name: 'socket.io-client, polling', run: overTransport(['polling']) },
  { name: 'socket.io-client, its defaults', run: overTransport(['polling', 'websocket']) },
  { name: 'many pollers', run: manyPollers },
  { name: 'Chromium', run: chromium },
  { name: 'files', run: files },
  { name: 'operator', run: operator },
  { name: 'command line in the stack', run: commandLine },
  { name: 'migrate again', run: migrateAgain },
  { name: 'api 1 killed', run: killed('api') },
  { name: 'worker 1 killed', run: killed('worker') },
  { name: 'realtime 1 killed', run: killed('realtime') },
  { name: 'dispatcher killed', run: killed('dispatcher') },
  { name: 'bin/production-upgrade', run: upgraded },
  { name: 'compose up replaces both api', run: recreated },
  { name: 'memory', run: memory },
  { name: 'stop', run: stopped },
];
