/** How each contender of the measure is set up, for the report. */
export const notes: readonly string[] = [
  'A backlog is stored before the clock starts and then worked off; the rate is that of the middle 80 % of the jobs, by when their end was stored.',
];
