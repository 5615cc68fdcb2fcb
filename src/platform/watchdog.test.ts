import { afterEach, expect, test } from '@jest/globals';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { watchChild } from '../../test/support/children.js';
import { Collected, within } from '../../test/support/signals.js';
import { systemClock } from './clock.js';

const timeoutMs = 1_000;
const children: ChildProcess[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

/** A process under a watchdog that says `up`, and then does what `then` says. */
function start(then: string, flags: readonly string[] = []) {
  const script = `
    import { startWatchdog } from './dist/platform/watchdog.js';
    startWatchdog(${timeoutMs}, console);
    const block = (ms) => { const end = performance.now() + ms; while (performance.now() < end); };
    setInterval(() => undefined, 1_000);
    setTimeout(() => { console.log('up'); ${then} }, 200);`;
  const child = spawn(process.execPath, [...flags, '--input-type=module', '-e', script], {
    env: { PATH: process.env['PATH'] ?? '' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  watchChild(child, 'a process under a watchdog');
  children.push(child);
  const lines = new Collected<string>();
  for (const input of [child.stdout, child.stderr]) createInterface({ input }).on('line', lines.add);
  return { child, lines, gone: once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]> };
}

const pause = (ms: number) => new Promise<void>((resolve) => void systemClock.after(ms, resolve));

test('a process whose event loop is blocked is ended, and says why', async () => {
  const { lines, gone } = start('block(60_000);');
  const [code, signal] = await within(gone, 'the watchdog');
  expect({ code, signal }).toEqual({ code: null, signal: 'SIGKILL' });
  const line = lines.items.find((text) => text.includes('watchdog'));
  expect(JSON.parse(line ?? '')).toMatchObject({
    level: 60,
    timeoutMs,
    msg: expect.stringContaining('the event loop was blocked'),
  });
});

test('a process that is busy and yields goes on', async () => {
  const { lines, gone } = start(`
    let rounds = 0;
    const work = () => { block(${timeoutMs / 4}); if (++rounds === 10) { console.log('done'); process.exit(0); } else setImmediate(work); };
    work();`);
  expect(await within(gone, 'its end')).toEqual([0, null]);
  expect(lines.items).toEqual(['up', 'done']);
});

test('a process that was stopped and continued goes on', async () => {
  const { child, lines, gone } = start(`process.on('SIGUSR2', () => { console.log('alive'); process.exit(0); });`);
  await lines.first((line) => line === 'up', 'it to be up');
  child.kill('SIGSTOP');
  await pause(timeoutMs * 3);
  child.kill('SIGCONT');
  await pause(timeoutMs * 1.5);
  child.kill('SIGUSR2');
  expect(await within(gone, 'its end')).toEqual([0, null]);
  expect(lines.items).toEqual(['up', 'alive']);
});

test('a process with a debugger attached may stand still', async () => {
  const { gone } = start(`block(${timeoutMs * 3}); process.exit(0);`, ['--inspect=127.0.0.1:0']);
  expect(await within(gone, 'its end')).toEqual([0, null]);
});
