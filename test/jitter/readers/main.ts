import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { readPlainly } from './plain.ts';
import type { Heard, Progress, Reader, ReaderDevice, ReadersSpec } from './record.ts';
import { readWithSynap } from './synap.ts';

// Some of the devices of a run. The supervisor sends what they are, then `begin`, `progress` as often as it likes, and `end`.
process.once('disconnect', () => process.exit(1));
const [{ devices, log: file }] = (await once(process, 'message')) as [ReadersSpec];
const log = createWriteStream(file);

function start(device: ReaderDevice): Reader {
  const write = (entry: object): void => {
    const line = { device: device.index, ...entry, at: performance.timeOrigin + performance.now() } as Heard;
    log.write(`${JSON.stringify(line)}\n`);
  };
  return device.kind === 'synap' ? readWithSynap(device, write) : readPlainly(device, write);
}

const readers = new Map(devices.map((device) => [device.index, start(device)]));

function progress(): Progress {
  return {
    connected: [...readers.values()].filter(({ isConnected }) => isConnected).length,
    heads: Object.fromEntries(Array.from(readers, ([index, reader]) => [index, reader.heads()])),
  };
}

process.on('message', (message) => {
  if (message === 'begin') for (const reader of readers.values()) reader.begin();
  if (message === 'progress') process.send?.(progress());
  if (message === 'end') {
    for (const reader of readers.values()) reader.close();
    log.end(() => process.exit(0));
  }
});
process.send?.('started');
