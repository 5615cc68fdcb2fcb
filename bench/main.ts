import { parseArgs } from 'node:util';
import type { Measure } from './measure.ts';
import { acceptsBatch } from './measures/accepts-batch.ts';
import { acceptsSingle } from './measures/accepts-single.ts';
import { connects } from './measures/connects.ts';
import { deliveries } from './measures/deliveries.ts';
import { endToEnd } from './measures/end-to-end.ts';
import { jobs } from './measures/jobs/jobs.ts';
import { profile } from './measures/profile.ts';
import { reconnect } from './measures/reconnect.ts';
import { singleNode } from './measures/single-node.ts';
import { start } from './measures/start.ts';
import { rewriteReport, runBench } from './run.ts';
import { filledMeasure } from './soak/filled.ts';
import { memory } from './soak/memory.ts';

// In the order in which they run and stand in the report.
const measures: readonly Measure[] = [
  acceptsSingle,
  acceptsBatch,
  jobs,
  endToEnd,
  singleNode,
  deliveries,
  connects,
  reconnect,
  start,
  profile,
];

/** Millions of rows, ten minutes of steady load: `--soak`. */
const soakMeasures: readonly Measure[] = [filledMeasure, memory];

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    seed: { type: 'string', default: '1' },
    quick: { type: 'boolean', default: false },
    update: { type: 'boolean', default: false },
    soak: { type: 'boolean', default: false },
    out: { type: 'string' },
    rewrite: { type: 'boolean', default: false },
  },
});

const kind = { isQuick: values.quick, isSoak: values.soak };
process.exitCode = values.rewrite
  ? await rewriteReport(kind)
  : await runBench(values.soak ? soakMeasures : measures, {
      ...kind,
      only: values.only?.split(','),
      seed: Number(values.seed),
      isUpdate: values.update,
      out: values.out,
    });
