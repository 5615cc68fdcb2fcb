/** What a measured step writes into: Synap's and the peers' alike. */
export const effectsTable = 'CREATE TABLE bench_effects (id TEXT PRIMARY KEY, n INTEGER NOT NULL)';
