export interface Slope {
  /** Per unit of x. */
  readonly slope: number;
  /** Half the width of the 95 % confidence interval. */
  readonly margin: number;
}

/** 97.5 % of Student's t lie below, by degrees of freedom; beyond the list, the normal distribution's is near enough. */
const studentsT = [12.71, 4.3, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23, 2.2, 2.18, 2.16, 2.14, 2.13, 2.12];
const normal = 2.1;

/** Least squares. */
export function slopeOf(points: readonly (readonly [x: number, y: number])[]): Slope {
  const count = points.length;
  const meanX = sum(points.map(([x]) => x)) / count;
  const meanY = sum(points.map(([, y]) => y)) / count;
  const spread = sum(points.map(([x]) => (x - meanX) ** 2));
  const slope = sum(points.map(([x, y]) => (x - meanX) * (y - meanY))) / spread;
  const residual = sum(points.map(([x, y]) => (y - meanY - slope * (x - meanX)) ** 2));
  const error = Math.sqrt(residual / (count - 2) / spread);
  return { slope, margin: (studentsT[count - 3] ?? normal) * error };
}

/**
 * Means of blocks: memory rises until its garbage is collected, so that neighbours in time are alike and counting each as news
 * would make the confidence look better than it is.
 */
export function blockMeans(
  points: readonly (readonly [x: number, y: number])[],
  blockSize: number,
): (readonly [x: number, y: number])[] {
  const blocks: (readonly [x: number, y: number])[] = [];
  for (let from = 0; from + blockSize <= points.length; from += blockSize) {
    const block = points.slice(from, from + blockSize);
    blocks.push([sum(block.map(([x]) => x)) / blockSize, sum(block.map(([, y]) => y)) / blockSize]);
  }
  return blocks;
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
