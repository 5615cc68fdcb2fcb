import type { Device, PlannedRoom } from '../plan.ts';
import type { Heard } from '../readers/record.ts';
import type { Facts } from './facts.ts';

const aroundMs = 4_000;

/** What a device went through around a moment, a line each: its cuts, what its client said, what was committed and applied. */
export function historyOf({ cuts, heard, rooms }: Facts, device: Device, at: number, room?: PlannedRoom): string {
  const lines = [
    ...cuts
      .filter((cut) => cut.device === device.index)
      .map((cut) => ({
        at: cut.at,
        text: `cut (silent for ${cut.silentMs} ms before, offline for ${cut.offlineMs} ms after)`,
      })),
    ...heard.filter((line) => line.device === device.index).map((line) => ({ at: line.at, text: describe(line) })),
    ...(room === undefined ? [] : (rooms.get(room.key)?.entries ?? [])).map(({ seq, committedAt }) => ({
      at: committedAt,
      text: `committed ${seq}`,
    })),
  ];
  return lines
    .filter((line) => Math.abs(line.at - at) <= aroundMs && line.text !== '')
    .toSorted((a, b) => a.at - b.at)
    .map((line) => `\n        ${new Date(line.at).toISOString().slice(11, 23)} ${line.text}`)
    .join('');
}

function describe(line: Heard): string {
  switch (line.what) {
    case 'applied':
      return `applied ${line.seq} of ${line.room}`;
    case 'state':
      return line.state;
    case 'reset':
      return `reset of ${line.room}: ${line.reason}`;
    case 'error':
      return `error: ${line.message}`;
    case 'told':
      return '';
  }
}
