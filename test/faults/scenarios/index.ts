import type { Scenario } from '../scenario.ts';
import { killPoints } from './kill-points.ts';
import { load } from './load.ts';
import { network } from './network.ts';
import { operators } from './operators.ts';
import { poison } from './poison.ts';
import { postgres } from './postgres.ts';
import { processes } from './processes.ts';
import { redis } from './redis.ts';
import { time } from './time.ts';

export const scenarios: readonly Scenario[] = [
  ...killPoints,
  ...processes,
  ...redis,
  ...network,
  ...postgres,
  ...time,
  ...load,
  ...poison,
  ...operators,
];
