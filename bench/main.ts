import { parseArgs } from 'node:util';
import type { Measure } from './measure.ts';
import { Place } from './place.ts';
import { Random } from './random.ts';

const measures: readonly Measure[] = [];

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    seed: { type: 'string', default: '1' },
    quick: { type: 'boolean', default: false },
  },
});
const wanted = values.only?.split(',');
const log = (line: string): void => {
  process.stdout.write(`${line}\n`);
};
const place = await Place.open();
try {
  for (const measure of measures) {
    if (wanted !== undefined && !wanted.includes(measure.name)) continue;
    const isQuick = values.quick;
    const random = new Random(Number(values.seed));
    const pick = <T>(full: T, quick: T): T => (isQuick ? quick : full);
    log(JSON.stringify(await measure.run({ place, random, isQuick, pick, log }), undefined, 2));
  }
} finally {
  await place.close();
}
