/** docker-compose.prod.yml: NODE_HEAP_MB and NODE_YOUNG_HEAP_MB. */
const heapMb = 256;
const youngHeapMb = 16;
/** Of Node, as docker/Dockerfile and docker-compose.prod.yml have them; peers get the same. */
export const productionFlags: readonly string[] = [
  '--enable-source-maps',
  `--max-old-space-size=${heapMb}`,
  `--max-semi-space-size=${youngHeapMb}`,
];
/** docker/Dockerfile. */
export const productionEnvironment = { NODE_ENV: 'production', MALLOC_ARENA_MAX: '2' } as const;
