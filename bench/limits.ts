import type { Limit, Limits } from './report/judge.ts';

/**
 * Aims that this build misses for a reason that was measured, by the figure's id. A figure that misses its aim and is named here
 * stands in the report as a measured limit with this reason, as long as it is no worse than the limit says; one that reaches its aim
 * needs no line.
 *
 * Reasons name what was measured: the report's tables of usage and of costs, or a CPU profile (`--cpu-prof`) of the process that is full.
 */

const accepts =
  'The api is the process that is full (usage: nine tenths of a core), with about three times the 60 µs that bare Express takes for a ' +
  'request. A CPU profile of it at this load: node’s HTTP and streams 18 %, BullMQ with ioredis and msgpackr 16 %, writes to sockets 15 %, ' +
  'Synap’s own code 15 %, V8’s runtime 12 %, the collector 9 %, the log 4 %, Express 3 %, the rest in parts of 1 or 2 %: no part that ' +
  'could be left out brings it near. It grows with api processes and cores, and a hundred events in one request cost a tenth.';

const jobsNoOp =
  'The peer’s job does nothing and is ended by hundreds in one statement: one commit for hundreds of jobs, 25 to 55 µs of processor for ' +
  'each, all its processes together (usage). A job here has a transactional step, which is a transaction of its own: two round trips and ' +
  'one commit that no other job may share. The statements of that step alone take Postgres longer than the peer’s whole job (statements, ' +
  'as Postgres times them).';

const memory =
  'The aim leaves 50 MB above a bare worker. The process has more than that when it is ready and idle (resident memory when ready, in the ' +
  'measure of starts): code, of which Prisma’s client is 40 MB in an api; 35 to 45 MB that are alive in its heap (below); and three times ' +
  '16 MB of young generation, for throughput. With one of 4 MB an idle api has 104 MB and a worker 111: NODE_YOUNG_HEAP_MB is the choice.';

const growth =
  'Resident memory still rises by a step now and then when the ten minutes end, because the collector keeps what it may need. What is ' +
  'alive after a collection does not grow by what an event would leave behind (bytes an event, below): no object stays.';

const latency =
  'At 500 a second an event takes 3 ms of processor (usage), which with the generator is three quarters of the two cores and more: ' +
  'whatever becomes ready waits for a core, once for each process that an event passes on its way. Most of that is the price of waking up ' +
  'for one or two events at a time: at full load an accept costs the api a quarter of what it costs at this rate. And three commits follow ' +
  'one another (accept, claim, end), each a sync of the disk, where the hand-made way has none. At 100 a second, where cores are free, p50 ' +
  'is within 7 ms of the peer’s.';

const missed = (noWorseThan: number, reason: string): Limit => ({ reason, noWorseThan });

export const limits: Limits = {
  'accepts/single-64': missed(0.18, accepts),
  'accepts/single-512': missed(0.22, accepts),
  'accepts/single-p99-at-half-load': missed(
    80,
    'Half of what 64 connections carry is another load on every run, and api, Postgres, Redis and the generator share two cores: the ' +
      'median of the rounds strays between 30 and 55 ms.',
  ),
  'accepts/batch-100': missed(
    0.3,
    'Each event goes into three tables with their indexes (events, jobs, outbox) where the peer writes one: Postgres takes two to three ' +
      'times as long for an event, and the api about as much again (usage).',
  ),
  'jobs/dbos': missed(
    1.3,
    'The two cores are full while jobs are worked off (usage is a mean over the start of the processes too). Postgres and the worker share ' +
      'the time of a job about equally: statements, as Postgres times them, and as much again in protocol, commits and switches of ' +
      'process; in the worker a third is the writes of the step’s two round trips (CPU profile). DBOS’ step, as set up here, does not commit ' +
      'together with its record, and emits and notifies nothing.',
  ),
  'jobs/graphile-worker': missed(0.018, jobsNoOp),
  'jobs/pg-boss': missed(0.025, jobsNoOp),
  'end-to-end/500-p50': missed(60, latency),
  'end-to-end/500-p99': missed(200, latency),
  'deliveries/unicast': missed(
    0.55,
    'Each notification is kept in Redis, in the script that publishes it, for who comes back: time of Redis and of the publisher that the ' +
      'peer does not spend (usage). Clients that take bursts, as synap/client does, get little more there and in rooms several ' +
      'times as much.',
  ),
  'connects/rate': missed(
    0.75,
    'A connection takes 540 µs of the peer and 70 more here (usage): the claims of its token are checked by the rules of every other way in, ' +
      'places of its user and its address are counted, limits and the end of its token are watched, and its user is said to be present. ' +
      'A quick run after another comes to 0.85 to 1.04.',
  ),
  'connects/memory': missed(
    1.3,
    'Two kilobytes of a connection are the limits that are kept for it, the places that it gives back, and what answers its requests.',
  ),
  'memory/api': missed(170, memory),
  'memory/worker': missed(130, memory),
  'memory/api-growth': missed(0.2, growth),
  'memory/worker-growth': missed(0.3, growth),
};
