import { afterEach, beforeEach, expect, test } from '@jest/globals';
import path from 'node:path';
import { Program } from './program.ts';

let program: Program;
beforeEach(async () => {
  const entry = path.join(import.meta.dirname, 'program-probe.ts');
  program = await Program.start(entry, { name: 'probe', env: { GIVEN: 'yes' } });
});
afterEach(() => program.stop());

test('each question gets its own answer, also where one waits for what is said later', async () => {
  const waiting = program.ask<number>('wait');
  expect(await Promise.all([program.ask('double', 2), program.ask('double', 21)])).toEqual([4, 42]);
  program.credit(5);
  expect(await waiting).toBe(5);
});

test('it says how far it is', async () => {
  const counts: number[] = [];
  program.onProgress = (count) => counts.push(count);
  await program.ask('work');
  expect(counts).toEqual([7]);
});

test('what it throws, and what it does not know, is who asked’s error', async () => {
  await expect(program.ask('fail')).rejects.toThrow(/^probe: Error: no disk\n +at .*program-probe\.ts/);
  await expect(program.ask('faill')).rejects.toThrow('probe: Error: it is asked for "faill", which it does not know');
});

test('who asks one that ends, or has ended, is told so and does not wait', async () => {
  const waiting = program.ask('wait');
  await expect(program.ask('end')).rejects.toThrow('probe ended with 3');
  await expect(waiting).rejects.toThrow('probe ended with 3');
  await expect(program.ask('double', 2)).rejects.toThrow('probe ended with 3');
});

test('it has the environment that it is given, of production, and nothing of the benchmark’s own', async () => {
  const names = await program.ask<string[]>('environment');
  expect(names.filter((name) => name !== 'NODE_CHANNEL_FD' && name !== 'NODE_CHANNEL_SERIALIZATION_MODE')).toEqual([
    'GIVEN',
    'MALLOC_ARENA_MAX',
    'NODE_ENV',
    'PATH',
  ]);
});
