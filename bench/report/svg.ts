/** Colours that colour-blind eyes tell apart, for a light and a dark page; the drawing follows the reader's. */
const palette = [
  ['#1f6fd1', '#5aa2f2'],
  ['#d9600f', '#f08a45'],
  ['#13866a', '#3fbf9b'],
  ['#8a4bc4', '#b98be6'],
  ['#b88700', '#e0b53c'],
  ['#c43060', '#ef7499'],
  ['#5b6672', '#98a4b1'],
] as const;

export const colourCount = palette.length;

const style = `
  svg { font: 12px system-ui, -apple-system, 'Segoe UI', sans-serif; background: var(--page) }
  :root { --page: #ffffff; --ink: #1b1f24; --soft: #5b6672; --grid: #e3e7ec; ${palette.map(([light], index) => `--c${index}: ${light}`).join('; ')} }
  @media (prefers-color-scheme: dark) {
    :root { --page: #14181d; --ink: #e8ecf1; --soft: #98a4b1; --grid: #2b323b; ${palette.map(([, dark], index) => `--c${index}: ${dark}`).join('; ')} }
  }
  text { fill: var(--ink) }
  .soft { fill: var(--soft) }
  .title { font-size: 15px; font-weight: 600 }
  .grid { stroke: var(--grid); stroke-width: 1 }
  .axis { stroke: var(--soft); stroke-width: 1 }
  .curve { fill: none; stroke-width: 2; stroke-linejoin: round; stroke-linecap: round }
  .halo { paint-order: stroke; stroke: var(--page); stroke-width: 4px; stroke-linejoin: round }
`;

export function svgDocument(
  size: { readonly width: number; readonly height: number },
  title: string,
  parts: readonly string[],
  ownStyle = '',
): string {
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${size.width} ${size.height}" width="${size.width}" height="${size.height}" role="img" aria-label="${escapeXml(title)}">`,
    `<style>${style}${ownStyle}</style>`,
    `<rect width="${size.width}" height="${size.height}" fill="var(--page)"/>`,
    ...parts,
    '</svg>',
    '',
  ].join('\n');
}

export interface TextOptions {
  readonly anchor?: 'start' | 'middle' | 'end';
  readonly class?: string;
  readonly fill?: string;
  readonly turn?: number;
}

export function text(x: number, y: number, content: string, options: TextOptions = {}): string {
  const attributes = [
    `x="${round(x)}" y="${round(y)}"`,
    options.anchor === undefined ? '' : `text-anchor="${options.anchor}"`,
    options.class === undefined ? '' : `class="${options.class}"`,
    options.fill === undefined ? '' : `style="fill:${options.fill}"`,
    options.turn === undefined ? '' : `transform="rotate(${options.turn} ${round(x)} ${round(y)})"`,
  ].filter((attribute) => attribute !== '');
  return `<text ${attributes.join(' ')}>${escapeXml(content)}</text>`;
}

export const line = (x1: number, y1: number, x2: number, y2: number, className: string): string =>
  `<line x1="${round(x1)}" y1="${round(y1)}" x2="${round(x2)}" y2="${round(y2)}" class="${className}"/>`;

export const round = (value: number): number => Math.round(value * 10) / 10;

export const escapeXml = (content: string): string =>
  content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');

/** Of this font at 12 px, near enough to keep labels apart. */
export const textWidth = (content: string): number => content.length * 6.6;
