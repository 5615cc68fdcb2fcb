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
    "lastPosition" BIGINT NOT NULL DEFAULT 0,
    "head" BIGINT NOT NULL DEFAULT 1,

    CONSTRAINT "lanes_pkey" PRIMARY KEY ("key")
);

CREATE TABLE "schedules" (
    "name" TEXT NOT NULL,
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

-- The next of a lane, and the lanes that have somebody waiting.
CREATE INDEX "jobs_lane_idx" ON "jobs"("lane", "position") WHERE "lane" IS NOT NULL AND "finishedAt" IS NULL;
CREATE INDEX "lanes_waiting_idx" ON "lanes"("key") WHERE "lastPosition" > "head";
ALTER TABLE "lanes" SET (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);

-- Fair release of a backlog: the next user of a queue, and that user's oldest row. Rows whose time is still to come are left out,
-- or a million of them would be read past to find the next user with something due.
CREATE INDEX "outbox_fair_idx" ON "outbox"("queue", "priority", "userId", "claimedUntil") WHERE "runAt" <= "claimedUntil";
-- Delays that a queue could have ahead of their time.
CREATE INDEX "outbox_delayed_idx" ON "outbox"("queue", "claimedUntil") WHERE "runAt" > "claimedUntil";
