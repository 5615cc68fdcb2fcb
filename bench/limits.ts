/**
 * Aims that this build misses for a reason that was measured, by the figure's id. A figure that misses its aim and is named here
 * stands in the report as a measured limit with this reason; one that reaches its aim needs no line.
 *
 * Reasons name what was measured: the tables of usage and of costs beside the figure, CPU profiles of the process that is full
 * (`--cpu-prof`, at the figure's own load) and `pg_stat_statements`.
 */

const accepts =
  'The api is the process that is full (usage: nine tenths of a core); bare Express fills a core too, with 65 µs a request. An accept ' +
  'takes about 200: Express and the answer itself a third; the ticket that goes to Redis at once (BullMQ, ioredis, msgpackr and their ' +
  'writes) a quarter; the collector, which finds 66 KB of garbage a request, 9 to 11 %; token, validation, limits, batch and statement ' +
  'a seventh; the line in the log 6 %. No one of these brings it near: without the queue’s share it would be 0.35. It grows with api ' +
  'processes and cores, and a hundred events in one request cost a tenth.';

const jobsNoOp =
  'The peer’s job does nothing and is ended by hundreds in one statement, so it commits once for hundreds of jobs. A job here has a ' +
  'transactional step, which is a transaction of its own: two round trips and one commit that no other job may share. Its two ' +
  'statements alone take Postgres 125 µs (pg_stat_statements); all of the peer’s job takes less than half of that.';

const memory =
  'The aim leaves 50 MB above a bare worker’s 70. The process has 130 to 140 MB when it is ready and idle (the measure of starts): ' +
  'code, of which Prisma’s client is 40 MB in an api, 35 to 45 MB alive in the heap, and three times 16 MB of young generation. With ' +
  'one of 4 MB it has 104 to 111, and accepts a fifth less under full load: NODE_YOUNG_HEAP_MB is the choice.';

const growth =
  'The slope is of tenths of a megabyte a minute and still falling when the ten minutes end. What lives after a collection (figures ' +
  'below it) does not grow by what one event would leave: bytes, for code that is compiled further, not objects. 600,000 accepts at ' +
  'full speed left 0.4 MB, half of it in the first fifth.';

const latency =
  'At 500 a second an event takes 3 ms of processor over a dozen processes (costs by process), three quarters of the two cores, ' +
  'and the generator some of the rest: whatever becomes ready waits for a core, fifteen times from one process to the next. Half of it is the ' +
  'price of waking up for one or two events at a time: at full load the same accept costs the api 200 µs instead of 600 to 800. The ' +
  'hand-made way has five such turns and nothing to commit; here four commits follow one another (accept, claim, step, end), each a sync of the ' +
  'disk. At 100 a second, where cores are free, p50 is within 7 ms of the peer’s.';

export const limits: Readonly<Record<string, string>> = {
  'accepts/single-64': accepts,
  'accepts/single-512': accepts,
  'accepts/batch-100':
    'Postgres itself takes 2.1 times as long for a hundred events with their jobs and outbox rows (three tables, their indexes, 4.5 ms) as ' +
    'for the raw rows in one table: 0.47 × is what remains if the api took nothing, and it takes six tenths of a core of the two. ' +
    'Arrays in the place of JSON would save 0.7 of the 4.5 ms.',
  'jobs/dbos':
    'The two cores are full: 1.6 to 1.7 ms of processor a job (usage), of which the worker 0.8 to 0.9 and Postgres 0.7. Four times DBOS ' +
    'would leave 0.88 ms for everything. Postgres spends 0.38 ms in statements (pg_stat_statements: end with event, notification and two ' +
    'room entries 0.2, the step’s record and fence 0.09, claim 0.04, the handler’s own row 0.04) and as much in protocol, commit and ' +
    'process switches; the worker a third of its time in the writes of the step’s two round trips. DBOS’ step does not commit together ' +
    'with its record, and emits and notifies nothing.',
  'jobs/graphile-worker': jobsNoOp,
  'jobs/pg-boss': jobsNoOp,
  'end-to-end/500-p50': latency,
  'end-to-end/500-p99': latency,
  'deliveries/unicast':
    'Each notification is kept in Redis, in the script that publishes it, for who comes back: 17 µs of Redis and 14 of the publisher that ' +
    'the peer does not spend, beside 75 for its whole delivery. Clients that take bursts, as synap/client does, get more (shown below it), and ' +
    'in rooms several times as much.',
  'memory/api': memory,
  'memory/worker': memory,
  'memory/api-growth': growth,
  'memory/worker-growth': growth,
};
