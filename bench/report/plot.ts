import type { Plot, Series } from '../measure.ts';
import { scaleOf, type Scale } from './axes.ts';
import { formatNumber } from './format.ts';
import { colourCount, line, round, svgDocument, text, textWidth } from './svg.ts';

const width = 760;
const height = 420;
const top = 64;
const bottom = 64;
const left = 76;
const labelGap = 15;

interface Frame {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

/** A plot as an SVG that reads by itself: its title, its axes' labels and units, each series named where it ends. */
export function drawPlot(plot: Plot): string {
  const drawn = plot.kind === 'line' ? drawLines(plot) : drawBars(plot);
  return svgDocument({ width, height }, plot.title, [text(left - 56, 30, plot.title, { class: 'title' }), ...drawn]);
}

/** Synap is always the first colour, also where a peer was named before it. */
export function colourOf(series: readonly Series[], index: number): string {
  const isOurs = (name: string): boolean => /^synap/i.test(name);
  const order = [...series].toSorted((a, b) => Number(isOurs(b.name)) - Number(isOurs(a.name)));
  const place = series[index] === undefined ? index : order.indexOf(series[index]);
  return `var(--c${place % colourCount})`;
}

function drawLines(plot: Plot): string[] {
  const longest = Math.max(0, ...plot.series.map(({ name }) => textWidth(name)));
  const frame = { left, right: width - Math.min(240, longest + 20), top, bottom: height - bottom };
  const points = plot.series.flatMap((series) => series.points);
  const x = scaleOf(plot.x, xs(points));
  const y = scaleOf(plot.y, ys(points));
  const toX = (value: number): number => frame.left + spanned(x.place(value)) * (frame.right - frame.left);
  const toY = (value: number): number => frame.bottom - spanned(y.place(value)) * (frame.bottom - frame.top);
  const ends = plot.series.map((series, index) => {
    const last = series.points.at(-1);
    return { index, name: series.name, at: last === undefined ? frame.bottom : toY(last[1]) };
  });
  return [
    ...drawGrid(plot, frame, y, toY),
    ...x.ticks.flatMap(({ at, label }) => [
      line(toX(at), frame.bottom, toX(at), frame.bottom + 4, 'axis'),
      text(toX(at), frame.bottom + 18, label, { anchor: 'middle', class: 'soft' }),
    ]),
    ...plot.series.map((series, index) => drawCurve(series, colourOf(plot.series, index), toX, toY)),
    ...spread(ends, frame).map(({ index, name, at }) =>
      text(frame.right + 8, at + 4, name, { fill: colourOf(plot.series, index), class: 'halo' }),
    ),
  ];
}

function drawCurve(series: Series, colour: string, toX: (x: number) => number, toY: (y: number) => number): string {
  const points = series.points.map(([x, y]) => `${round(toX(x))},${round(toY(y))}`);
  if (points.length <= 12) {
    const dots = series.points.map(
      ([x, y]) => `<circle cx="${round(toX(x))}" cy="${round(toY(y))}" r="3" style="fill:${colour}"/>`,
    );
    return `<polyline class="curve" style="stroke:${colour}" points="${points.join(' ')}"/>${dots.join('')}`;
  }
  return `<polyline class="curve" style="stroke:${colour}" points="${points.join(' ')}"/>`;
}

interface End {
  readonly index: number;
  readonly name: string;
  readonly at: number;
}

/** Labels at the curves' ends, moved apart where they would lie on each other. */
export function spread(ends: readonly End[], frame: Pick<Frame, 'top' | 'bottom'>): End[] {
  const placed: End[] = [];
  for (const end of ends.toSorted((a, b) => a.at - b.at)) {
    const above = placed.at(-1);
    placed.push({ ...end, at: above === undefined ? end.at : Math.max(end.at, above.at + labelGap) });
  }
  const over = (placed.at(-1)?.at ?? 0) - frame.bottom;
  if (over <= 0) return placed;
  let below = frame.bottom + labelGap;
  return placed.toReversed().map((end) => {
    below = Math.min(end.at, below - labelGap);
    return { ...end, at: below };
  });
}

function drawBars(plot: Plot): string[] {
  const hasKey = plot.series.length > 1;
  const frame = { left, right: width - 24, top: hasKey ? top + 22 : top, bottom: height - bottom };
  const categories = plot.x.categories ?? plot.series[0]?.points.map(([x]) => String(x)) ?? [];
  const y = scaleOf(plot.y, ys(plot.series.flatMap((series) => series.points)));
  const toY = (value: number): number => frame.bottom - spanned(y.place(value)) * (frame.bottom - frame.top);
  const slot = (frame.right - frame.left) / Math.max(1, categories.length);
  const barWidth = Math.min(64, (slot * 0.76) / plot.series.length);
  const bars = plot.series.flatMap((series, index) =>
    series.points.map(([category, value]) => {
      const middle = frame.left + (category + 0.5) * slot + (index - (plot.series.length - 1) / 2) * barWidth;
      // One series: its bars are the contenders, and Synap's is told from the others by its colour.
      const ownName = categories[category] ?? '';
      const colour = hasKey ? colourOf(plot.series, index) : /^synap/i.test(ownName) ? 'var(--c0)' : 'var(--c6)';
      const at = toY(value);
      const bar = `<rect x="${round(middle - barWidth / 2 + 1)}" y="${round(at)}" width="${round(barWidth - 2)}" height="${round(Math.max(0, frame.bottom - at))}" rx="2" style="fill:${colour}"/>`;
      return `${bar}${text(middle, at - 5, formatNumber(value), { anchor: 'middle', class: 'halo' })}`;
    }),
  );
  return [
    ...drawGrid(plot, frame, y, toY),
    ...bars,
    ...categories.flatMap((category, index) =>
      wrap(category, slot).map((row, rowIndex) =>
        text(frame.left + (index + 0.5) * slot, frame.bottom + 18 + rowIndex * 14, row, { anchor: 'middle' }),
      ),
    ),
    ...(hasKey ? drawKey(plot) : []),
  ];
}

function drawKey(plot: Plot): string[] {
  let x = left;
  return plot.series.flatMap(({ name }, index) => {
    const at = x;
    x += textWidth(name) + 34;
    return [
      `<rect x="${at}" y="${top - 15}" width="11" height="11" rx="2" style="fill:${colourOf(plot.series, index)}"/>`,
      text(at + 16, top - 5, name),
    ];
  });
}

/** The words of a label on as many lines as its place is wide. */
export function wrap(label: string, room: number): string[] {
  const rows: string[] = [];
  for (const word of label.split(' ')) {
    const last = rows.at(-1);
    if (last !== undefined && textWidth(`${last} ${word}`) <= room - 8) rows[rows.length - 1] = `${last} ${word}`;
    else rows.push(word);
  }
  return rows.slice(0, 3);
}

function drawGrid(plot: Plot, frame: Frame, y: Scale, toY: (value: number) => number): string[] {
  return [
    ...y.ticks.flatMap(({ at, label }) => [
      line(frame.left, toY(at), frame.right, toY(at), 'grid'),
      text(frame.left - 8, toY(at) + 4, label, { anchor: 'end', class: 'soft' }),
    ]),
    line(frame.left, frame.bottom, frame.right, frame.bottom, 'axis'),
    text(left - 56, (frame.top + frame.bottom) / 2, plot.y.label, { anchor: 'middle', class: 'soft', turn: -90 }),
    text((frame.left + frame.right) / 2, height - 14, plot.x.label, { anchor: 'middle', class: 'soft' }),
  ];
}

const xs = (points: Series['points']): number[] => points.map(([x]) => x);
const ys = (points: Series['points']): number[] => points.map(([, y]) => y);
/** What lies outside of a scale is drawn at its edge; 0 on a log axis is one. */
const spanned = (place: number): number => (Number.isFinite(place) ? Math.min(1, Math.max(0, place)) : 0);
