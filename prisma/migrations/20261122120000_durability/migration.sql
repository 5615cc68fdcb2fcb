CREATE TYPE "bulk_state" AS ENUM ('running', 'completed', 'cancelled');

ALTER TABLE "jobs"
    ADD COLUMN "correction" JSONB,
    ADD COLUMN "lane" TEXT,
    ADD COLUMN "position" BIGINT,
    ADD COLUMN "isReleased" BOOLEAN NOT NULL DEFAULT true;

ALTER TABLE "dead_letters" ADD COLUMN "replays" INTEGER NOT NULL DEFAULT 0;

ALTER TABLE "queue_settings"
    ADD COLUMN "concurrency" INTEGER,
    ADD COLUMN "rateMax" INTEGER,
    ADD COLUMN "rateWindowMs" INTEGER;

CREATE TABLE "failed_attempts" (
    "jobId" UUID NOT NULL,
    "attempt" INTEGER NOT NULL,
    "workerId" UUID,
    "startedAt" TIMESTAMPTZ(3),
    "failedAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "error" JSONB NOT NULL,

    CONSTRAINT "failed_attempts_pkey" PRIMARY KEY ("jobId","attempt")
);

CREATE TABLE "lanes" (
    "key" TEXT NOT NULL,
    "lastPosition" BIGINT NOT NULL,
    "head" UUID NOT NULL,

    CONSTRAINT "lanes_pkey" PRIMARY KEY ("key")
);

CREATE TABLE "lane_ends" (
    "id" BIGSERIAL NOT NULL,
    "lane" TEXT NOT NULL,
    "endedAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "lane_ends_pkey" PRIMARY KEY ("id")
);

CREATE TABLE "schedules" (
    "name" TEXT NOT NULL,
    "definition" TEXT NOT NULL,
    "seed" UUID NOT NULL DEFAULT gen_random_uuid(),
    "lastTickAt" TIMESTAMPTZ(3) NOT NULL,
    "updatedAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "schedules_pkey" PRIMARY KEY ("name")
);

CREATE TABLE "queue_generations" (
    "queue" TEXT NOT NULL,
    "generation" TEXT NOT NULL,
    "seenAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "queue_generations_pkey" PRIMARY KEY ("queue")
);

CREATE TABLE "bulk_operations" (
    "id" UUID NOT NULL,
    "action" TEXT NOT NULL,
    "actor" TEXT NOT NULL,
    "filter" JSONB NOT NULL,
    "options" JSONB NOT NULL,
    "ratePerSecond" INTEGER NOT NULL,
    "state" "bulk_state" NOT NULL DEFAULT 'running',
    "total" INTEGER NOT NULL,
    "done" INTEGER NOT NULL DEFAULT 0,
    "skipped" INTEGER NOT NULL DEFAULT 0,
    "cursor" UUID,
    "lastError" TEXT,
    "dueAt" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "finishedAt" TIMESTAMPTZ(3),

    CONSTRAINT "bulk_operations_pkey" PRIMARY KEY ("id")
);

CREATE INDEX "bulk_operations_state_idx" ON "bulk_operations"("state");

-- What Prisma's schema language cannot say.

-- The next of a lane.
CREATE INDEX "jobs_lane_idx" ON "jobs"("lane", "position") WHERE "lane" IS NOT NULL AND "finishedAt" IS NULL;
CREATE INDEX "lane_ends_lane_idx" ON "lane_ends"("lane");
ALTER TABLE "lanes" SET (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);
ALTER TABLE "lane_ends" SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0);

-- Fair release of a backlog: the next user of a queue, and that user's oldest row. Rows whose time is still to come are left out,
-- or a million of them would be read past to find the next user with something due.
CREATE INDEX "outbox_fair_idx" ON "outbox"("queue", "priority", "userId", "claimedUntil") WHERE "runAt" <= "claimedUntil";
-- Delays that a queue could have ahead of their time.
CREATE INDEX "outbox_delayed_idx" ON "outbox"("queue", "claimedUntil") WHERE "runAt" > "claimedUntil";

-- Moves each of these lanes on, if its head has ended: the next unfinished job becomes the head, is released and gets its
-- outbox row; a lane without one is deleted. Answers what was released. A dead head whose dead letter is open holds its
-- lane, except in a queue of `skipping`.
--
-- Two statements, because one would not see a job that was accepted between its snapshot and its lock: the job saw a head
-- before it and waits, and nobody would ever release it. In a function, because a client that froze between two statements
-- of its own would hold up everybody who accepts for these lanes. A next job that somebody has locked (a cancellation) is
-- not waited for: that transaction holds other locks, and what it leaves in lane_ends brings this back.
CREATE FUNCTION "release_lanes"("wanted" TEXT[], "skipping" TEXT[], "lease" INTERVAL, "nearby" INTERVAL)
RETURNS TABLE ("jobId" UUID, "queue" TEXT, "userId" TEXT, "priority" SMALLINT, "generation" INTEGER, "runAt" TIMESTAMPTZ, "requestId" TEXT, "correlationId" TEXT)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    locked TEXT[];
BEGIN
    locked := ARRAY(SELECT key FROM lanes WHERE key = ANY(wanted) ORDER BY key FOR UPDATE);
    RETURN QUERY
    WITH ended AS MATERIALIZED (
        SELECT l.key FROM lanes l
        WHERE l.key = ANY(locked) AND NOT EXISTS (
            SELECT FROM jobs j WHERE j.id = l.head
                AND (j."finishedAt" IS NULL OR (j.state = 'dead' AND j.queue <> ALL(skipping)
                    AND EXISTS (SELECT FROM dead_letters d WHERE d."jobId" = j.id AND d.state = 'open'))))
    ),
    following AS MATERIALIZED (
        SELECT e.key, n.id FROM ended e LEFT JOIN LATERAL (
            SELECT j.id FROM jobs j WHERE j.lane = e.key AND j."finishedAt" IS NULL ORDER BY j.position LIMIT 1
        ) n ON true
    ),
    taken AS MATERIALIZED (
        SELECT j.id FROM jobs j JOIN following f ON f.id = j.id WHERE j."finishedAt" IS NULL FOR UPDATE OF j SKIP LOCKED
    ),
    moved AS (
        UPDATE lanes l SET head = f.id FROM following f JOIN taken t ON t.id = f.id WHERE l.key = f.key
    ),
    emptied AS (
        DELETE FROM lanes l USING following f WHERE l.key = f.key AND f.id IS NULL
    ),
    heard AS (
        DELETE FROM lane_ends n WHERE n.lane = ANY(wanted)
            AND (n.lane = ANY(locked) OR NOT EXISTS (SELECT FROM lanes l WHERE l.key = n.lane))
            AND n.lane NOT IN (SELECT f.key FROM following f WHERE f.id IS NOT NULL AND f.id NOT IN (SELECT id FROM taken))
    ),
    released AS (
        UPDATE jobs j SET "isReleased" = true FROM taken t WHERE j.id = t.id
        RETURNING j.id, j.queue, j."userId", j.priority, j.generation, j."runAt", j."requestId"
    ),
    dispatched AS (
        INSERT INTO outbox ("jobId", queue, "userId", priority, generation, "runAt", "claimedUntil")
        SELECT id, queue, "userId", priority, generation, "runAt", GREATEST(now() + lease, "runAt" - nearby) FROM released
    )
    SELECT r.id, r.queue, r."userId", r.priority, r.generation, r."runAt"::TIMESTAMPTZ, r."requestId", e."correlationId"
    FROM released r JOIN events e ON e.id = r.id;
END $$;
