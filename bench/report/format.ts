/** Three significant digits, thousands apart; more where they are before the point. */
export function formatNumber(value: number): string {
  if (!Number.isFinite(value)) return '–';
  const size = Math.abs(value);
  if (size >= 100) return Math.round(value).toLocaleString('en-US');
  if (size === 0) return '0';
  const digits = size >= 10 ? 1 : size >= 1 ? 2 : Math.min(6, 1 - Math.floor(Math.log10(size)) + 1);
  return String(Number(value.toFixed(digits)));
}

export function formatWithUnit(value: number, unit: string): string {
  if (unit === '') return formatNumber(value);
  return unit.startsWith('/') || unit === '%' ? `${formatNumber(value)}${unit}` : `${formatNumber(value)} ${unit}`;
}

/** `1:02:03`, `2:03` */
export function formatDuration(ms: number): string {
  const seconds = Math.round(ms / 1_000);
  const hours = Math.floor(seconds / 3_600);
  const minutes = Math.floor(seconds / 60) % 60;
  const rest = String(seconds % 60).padStart(2, '0');
  return hours === 0 ? `${minutes}:${rest}` : `${hours}:${String(minutes).padStart(2, '0')}:${rest}`;
}

/** A table of Markdown as oxfmt writes it, so that a generated document passes the formatter. */
export function formatTable(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const cells = [head, ...rows].map((row) =>
    row.map((cell) => (typeof cell === 'number' ? formatNumber(cell) : cell).replaceAll('|', '\\|')),
  );
  const widths = head.map((_, column) => Math.max(3, ...cells.map((row) => width(row[column] ?? ''))));
  const line = (row: readonly string[]): string =>
    `| ${widths.map((columnWidth, column) => pad(row[column] ?? '', columnWidth)).join(' | ')} |`;
  const rule = widths.map((columnWidth) => '-'.repeat(columnWidth));
  return [line(cells[0] ?? []), line(rule), ...cells.slice(1).map((row) => line(row))].join('\n');
}

const width = (text: string): number => Array.from(text).length;
const pad = (text: string, to: number): string => text + ' '.repeat(Math.max(0, to - width(text)));
