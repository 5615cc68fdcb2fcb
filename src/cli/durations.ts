import { InvalidArgumentError } from 'commander';

const units = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** `500ms`, `30s`, `5m`, `1h`, `7d`; a bare number is milliseconds. @returns milliseconds */
export function parseDuration(text: string): number {
  const match = /^(\d{1,12})(ms|s|m|h|d)?$/.exec(text.trim());
  if (match === null) throw new InvalidArgumentError('Write 500ms, 30s, 5m, 1h or 7d.');
  return Number(match[1]) * units[(match[2] ?? 'ms') as keyof typeof units];
}

/** `84 ms`, `2.1 s` */
export function showDuration(ms: number): string {
  return ms < 1_000 ? `${Math.max(1, Math.round(ms))} ms` : `${(ms / 1_000).toFixed(1)} s`;
}

const steps = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['min', 60_000],
  ['s', 1_000],
] as const;

/** `3 min ago`; `now` for less than a second, and for clocks that differ. */
export function showAge(at: string): string {
  const ms = Date.now() - Date.parse(at);
  const step = steps.find(([, size]) => ms >= size);
  return step === undefined ? 'now' : `${Math.floor(ms / step[1])} ${step[0]} ago`;
}
