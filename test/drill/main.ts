import { randomUUID } from 'node:crypto';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { checks, type Drill } from './checks.ts';
import { plainSite, site, Stack } from './stack.ts';

interface Row {
  readonly name: string;
  readonly seconds: number;
  readonly seen: string;
  readonly isOk: boolean;
}

const rows: Row[] = [];

async function row(name: string, run: () => Promise<string>): Promise<boolean> {
  process.stderr.write(`${name} …\n`);
  const startedAt = performance.now();
  const seconds = () => Number(((performance.now() - startedAt) / 1_000).toFixed(1));
  try {
    rows.push({ name, seen: await run(), seconds: seconds(), isOk: true });
    return true;
  } catch (thrown) {
    rows.push({
      name,
      seen: thrown instanceof Error ? thrown.message : String(thrown),
      seconds: seconds(),
      isOk: false,
    });
    return false;
  }
}

async function up(stack: Stack): Promise<string> {
  await stack.compose('up', '--detach', '--wait', '--wait-timeout', '180');
  const services = (await stack.compose('ps', '--format', '{{.Service}}')).split('\n');
  return `${services.length} containers healthy`;
}

async function prepare(stack: Stack): Promise<Drill> {
  const id = `drill-${randomUUID()}`;
  const token = await stack.compose('exec', '-T', 'api', 'synap', 'token', '--user', id);
  return { stack, access: { url: site, ca: await stack.certificateAuthority() }, user: { id, token } };
}

async function runAll(stack: Stack, isKept: boolean): Promise<void> {
  // What an interrupted drill left.
  await stack.compose('down', '--volumes');
  const isUp =
    (await row('build', () => stack.compose('build', '--quiet').then(() => 'one image for every role'))) &&
    (await row('up', () => up(stack)));
  if (!isUp) return;
  const drill = await prepare(stack);
  for (const { name, run } of checks) {
    if (isKept && name === 'stop') continue;
    await row(name, () => run(drill));
  }
}

function table(): string {
  const width = Math.max(...rows.map(({ name }) => name.length));
  const lines = rows.map(
    ({ name, seconds, seen, isOk }) =>
      `${isOk ? 'ok    ' : 'FAILED'}  ${name.padEnd(width)}  ${seconds.toFixed(1).padStart(6)} s  ${seen}`,
  );
  return `${lines.join('\n')}\n`;
}

const { values } = parseArgs({ options: { keep: { type: 'boolean', default: false } } });
const stack = await Stack.create();
try {
  await runAll(stack, values.keep);
} finally {
  const hasFailed = rows.some(({ isOk }) => !isOk);
  if (hasFailed) {
    const file = path.join(tmpdir(), 'synap-drill.log');
    await stack.saveLogs(file).catch(() => undefined);
    process.stderr.write(`The containers' logs are in ${file}\n`);
  }
  if (values.keep) process.stderr.write(`Kept: ${site} and ${plainSite}, settings in ${stack.environmentFile}\n`);
  else await row('down', () => stack.remove().then(() => 'containers, networks and volumes are gone'));
  process.stdout.write(`\n${table()}`);
  process.exitCode = hasFailed ? 1 : 0;
}
