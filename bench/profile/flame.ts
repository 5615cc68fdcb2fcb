import path from 'node:path';
import { formatNumber } from '../report/format.ts';
import { escapeXml, round, svgDocument, text, textWidth } from '../report/svg.ts';
import type { Frame } from './cpuprofile.ts';

const width = 1_200;
const rowHeight = 17;
const top = 62;
const margin = 10;
/** What is narrower than this many pixels is not drawn. */
const leastWidth = 1.2;

const kinds = [
  { name: 'Synap', colour: 'var(--c0)', is: (owner: string) => owner.startsWith('src/') || owner === 'the handlers' },
  { name: 'node', colour: 'var(--c2)', is: (owner: string) => owner === 'node' },
  { name: 'engine', colour: 'var(--c6)', is: (owner: string) => /^(engine|system calls.*|)$/.test(owner) },
  { name: 'garbage collector', colour: 'var(--c5)', is: (owner: string) => owner === 'garbage collector' },
  { name: 'packages', colour: 'var(--c4)', is: () => true },
] as const;

const style = `
  .frame { stroke: var(--page); stroke-width: 0.6 }
  .in { font-size: 11px; fill: #ffffff }
  @media (prefers-color-scheme: dark) { .in { fill: #10141a } }
`;

interface Placed {
  readonly frame: Frame;
  readonly depth: number;
  readonly x: number;
  readonly width: number;
}

/** Callers above, what they called below; as wide as the processor time in it. Each frame's title says its share. */
export function drawFlame(title: string, root: Frame): string {
  const placed: Placed[] = [];
  place(root, 0, margin, width - 2 * margin, placed);
  const depth = Math.max(...placed.map((frame) => frame.depth));
  const height = top + (depth + 1) * rowHeight + margin;
  return svgDocument(
    { width, height },
    title,
    [
      text(margin, 24, title, { class: 'title' }),
      ...drawKey(),
      ...placed.map((frame) => drawFrame(frame, root.totalUs)),
    ],
    style,
  );
}

function place(frame: Frame, depth: number, x: number, room: number, placed: Placed[]): void {
  placed.push({ frame, depth, x, width: room });
  let at = x;
  for (const child of frame.children) {
    const childRoom = (room * child.totalUs) / frame.totalUs;
    if (childRoom >= leastWidth) place(child, depth + 1, at, childRoom, placed);
    at += childRoom;
  }
}

function drawFrame({ frame, depth, x, width: room }: Placed, totalUs: number): string {
  const y = top + depth * rowHeight;
  const kind = kinds.find(({ is }) => is(frame.owner));
  const share = `${formatNumber((frame.totalUs / totalUs) * 100)} %, itself ${formatNumber((frame.selfUs / totalUs) * 100)} %`;
  const title = `<title>${escapeXml(`${frame.name} ${frame.place}: ${share}`)}</title>`;
  const rect = `<rect class="frame" x="${round(x)}" y="${y}" width="${round(room)}" height="${rowHeight}" style="fill:${kind?.colour ?? 'var(--c6)'}"/>`;
  const fits = Math.floor((room - 6) / textWidth('m'));
  const whole = frame.name === '(anonymous)' && frame.place !== '' ? path.basename(frame.place) : frame.name;
  const name = whole.length <= fits ? whole : `${whole.slice(0, Math.max(0, fits - 1))}…`;
  const label = fits < 3 ? '' : text(x + 3, y + 12.5, name, { class: 'in' });
  return `<g>${title}${rect}${label}</g>`;
}

function drawKey(): string[] {
  let x = margin;
  return kinds.map(({ name, colour }) => {
    const at = x;
    x += textWidth(name) + 34;
    return `<rect x="${at}" y="37" width="11" height="11" rx="2" style="fill:${colour}"/>${text(at + 16, 47, name)}`;
  });
}
