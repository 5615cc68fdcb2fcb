CREATE TYPE "event_source" AS ENUM ('api', 'automation', 'system');

CREATE TYPE "job_state" AS ENUM ('scheduled', 'queued', 'running', 'completed', 'dead', 'cancelled');

CREATE TYPE "notification_status" AS ENUM ('success', 'error', 'pending');

CREATE TYPE "dead_letter_state" AS ENUM ('open', 'replayed', 'discarded');

CREATE TYPE "message_role" AS ENUM ('user', 'assistant');

CREATE TABLE "events" (
    "id" UUID NOT NULL,
    "type" TEXT NOT NULL,
    "aggregateId" TEXT NOT NULL,
    "aggregateType" TEXT NOT NULL,
    "userId" TEXT NOT NULL,
    "data" JSONB NOT NULL,
    "timestamp" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "version" SMALLINT NOT NULL DEFAULT 1,
    "source" "event_source" NOT NULL,
    "causationId" UUID,
    "correlationId" TEXT NOT NULL,
    "requestId" TEXT NOT NULL,

    CONSTRAINT "events_pkey" PRIMARY KEY ("id")
);

CREATE TABLE "jobs" (
    "id" UUID NOT NULL,
    "queue" TEXT NOT NULL,
    "userId" TEXT NOT NULL,
    "requestId" TEXT NOT NULL,
    "isRoot" BOOLEAN NOT NULL,
    "state" "job_state" NOT NULL,
    "priority" SMALLINT NOT NULL,
    "generation" INTEGER NOT NULL DEFAULT 1,
    "fence" INTEGER NOT NULL DEFAULT 0,
    "crashes" SMALLINT NOT NULL DEFAULT 0,
    "failures" SMALLINT NOT NULL DEFAULT 0,
    "workerId" UUID,
    "runAt" TIMESTAMPTZ(3) NOT NULL,
    "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "startedAt" TIMESTAMPTZ(3),
    "finishedAt" TIMESTAMPTZ(3),
    "progress" JSONB,
    "lastError" JSONB,
    "result" JSONB,

    CONSTRAINT "jobs_pkey" PRIMARY KEY ("id")
);

CREATE TABLE "workers" (
    "id" UUID NOT NULL,
    "hostname" TEXT NOT NULL,
    "pid" INTEGER NOT NULL,
    "startedAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "heartbeatAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "workers_pkey" PRIMARY KEY ("id")
);

CREATE TABLE "outbox" (
    "jobId" UUID NOT NULL,
    "queue" TEXT NOT NULL,
    "userId" TEXT NOT NULL,
    "priority" SMALLINT NOT NULL,
    "generation" INTEGER NOT NULL,
    "runAt" TIMESTAMPTZ(3) NOT NULL,
    "claimedUntil" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "outbox_pkey" PRIMARY KEY ("jobId")
);

CREATE TABLE "steps" (
    "jobId" UUID NOT NULL,
    "name" TEXT NOT NULL,
    "output" JSONB,
    "fence" INTEGER NOT NULL,
    "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "steps_pkey" PRIMARY KEY ("jobId","name")
);

CREATE TABLE "idempotency_keys" (
    "userId" TEXT NOT NULL,
    "key" TEXT NOT NULL,
    "requestHash" TEXT NOT NULL,
    "eventId" UUID NOT NULL,
    "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "idempotency_keys_pkey" PRIMARY KEY ("userId","key")
);

CREATE TABLE "notifications" (
    "id" UUID NOT NULL,
    "type" TEXT NOT NULL,
    "userId" TEXT NOT NULL,
    "requestId" TEXT,
    "status" "notification_status" NOT NULL,
    "data" JSONB NOT NULL,
    "error" JSONB,
    "timestamp" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "notifications_pkey" PRIMARY KEY ("id")
);

CREATE TABLE "rooms" (
    "key" TEXT NOT NULL,
    "epoch" UUID NOT NULL,
    "lastSeq" BIGINT NOT NULL DEFAULT 0,
    "publishedSeq" BIGINT NOT NULL DEFAULT 0,

    CONSTRAINT "rooms_pkey" PRIMARY KEY ("key")
);

CREATE TABLE "room_entries" (
    "room" TEXT NOT NULL,
    "seq" BIGINT NOT NULL,
    "notificationId" UUID NOT NULL,

    CONSTRAINT "room_entries_pkey" PRIMARY KEY ("room","seq")
);

CREATE TABLE "dead_letters" (
    "jobId" UUID NOT NULL,
    "queue" TEXT NOT NULL,
    "userId" TEXT NOT NULL,
    "state" "dead_letter_state" NOT NULL DEFAULT 'open',
    "generation" INTEGER NOT NULL,
    "attempts" INTEGER NOT NULL,
    "fingerprint" TEXT NOT NULL,
    "error" JSONB NOT NULL,
    "history" JSONB NOT NULL DEFAULT '[]',
    "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "resolvedAt" TIMESTAMPTZ(3),

    CONSTRAINT "dead_letters_pkey" PRIMARY KEY ("jobId")
);

CREATE TABLE "api_keys" (
    "id" UUID NOT NULL,
    "name" TEXT NOT NULL,
    "hash" TEXT NOT NULL,
    "scopes" TEXT[],
    "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "revokedAt" TIMESTAMPTZ(3),

    CONSTRAINT "api_keys_pkey" PRIMARY KEY ("id")
);

CREATE TABLE "audit_log" (
    "id" UUID NOT NULL,
    "at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "actor" TEXT NOT NULL,
    "action" TEXT NOT NULL,
    "target" TEXT,
    "details" JSONB,

    CONSTRAINT "audit_log_pkey" PRIMARY KEY ("id")
);

CREATE TABLE "queue_settings" (
    "queue" TEXT NOT NULL,
    "isPaused" BOOLEAN NOT NULL DEFAULT false,
    "updatedAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedBy" TEXT NOT NULL,

    CONSTRAINT "queue_settings_pkey" PRIMARY KEY ("queue")
);

CREATE TABLE "files" (
    "id" UUID NOT NULL,
    "userId" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "contentType" TEXT NOT NULL,
    "size" BIGINT NOT NULL,
    "sha256" TEXT NOT NULL,
    "path" TEXT NOT NULL,
    "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "files_pkey" PRIMARY KEY ("id")
);

CREATE TABLE "notes" (
    "userId" TEXT NOT NULL,
    "id" TEXT NOT NULL,
    "title" TEXT NOT NULL,
    "content" TEXT NOT NULL,
    "excerpt" TEXT NOT NULL,
    "contentLength" INTEGER NOT NULL,
    "tags" TEXT[],
    "fileId" UUID NOT NULL,
    "filePath" TEXT NOT NULL,
    "fileUrl" TEXT NOT NULL,
    "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "notes_pkey" PRIMARY KEY ("userId","id")
);

CREATE TABLE "projects" (
    "userId" TEXT NOT NULL,
    "id" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "description" TEXT,
    "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "projects_pkey" PRIMARY KEY ("userId","id")
);

CREATE TABLE "tasks" (
    "userId" TEXT NOT NULL,
    "id" TEXT NOT NULL,
    "title" TEXT NOT NULL,
    "description" TEXT,
    "dueDate" TIMESTAMPTZ(3),
    "projectId" TEXT,
    "completedAt" TIMESTAMPTZ(3),
    "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "tasks_pkey" PRIMARY KEY ("userId","id")
);

CREATE TABLE "conversation_threads" (
    "userId" TEXT NOT NULL,
    "id" TEXT NOT NULL,
    "title" TEXT NOT NULL,
    "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "conversation_threads_pkey" PRIMARY KEY ("userId","id")
);

CREATE TABLE "conversation_messages" (
    "userId" TEXT NOT NULL,
    "id" UUID NOT NULL,
    "threadId" TEXT NOT NULL,
    "role" "message_role" NOT NULL,
    "content" TEXT NOT NULL,
    "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "conversation_messages_pkey" PRIMARY KEY ("userId","id")
);

CREATE INDEX "events_userId_correlationId_id_idx" ON "events"("userId", "correlationId", "id");

CREATE INDEX "events_causationId_idx" ON "events"("causationId") WHERE "causationId" IS NOT NULL;

CREATE INDEX "jobs_userId_requestId_idx" ON "jobs"("userId", "requestId") WHERE "isRoot";

CREATE INDEX "outbox_queue_claimedUntil_idx" ON "outbox"("queue", "claimedUntil");

CREATE INDEX "idempotency_keys_createdAt_idx" ON "idempotency_keys"("createdAt");

CREATE INDEX "dead_letters_state_createdAt_idx" ON "dead_letters"("state", "createdAt");

CREATE INDEX "dead_letters_fingerprint_idx" ON "dead_letters"("fingerprint");

CREATE UNIQUE INDEX "api_keys_hash_key" ON "api_keys"("hash");

CREATE INDEX "audit_log_at_idx" ON "audit_log"("at");

CREATE INDEX "files_userId_id_idx" ON "files"("userId", "id");

CREATE INDEX "notes_userId_createdAt_id_idx" ON "notes"("userId", "createdAt", "id");

CREATE INDEX "projects_userId_createdAt_id_idx" ON "projects"("userId", "createdAt", "id");

CREATE INDEX "tasks_userId_createdAt_id_idx" ON "tasks"("userId", "createdAt", "id");

CREATE INDEX "conversation_threads_userId_createdAt_id_idx" ON "conversation_threads"("userId", "createdAt", "id");

CREATE INDEX "conversation_messages_userId_threadId_createdAt_id_idx" ON "conversation_messages"("userId", "threadId", "createdAt", "id");



-- What Prisma's schema language cannot say.

-- Unfinished jobs, for the reconciler. The predicate is a column that claiming does not touch, so a claim stays a HOT
-- update; on "state" every claim would write an entry into each index.
CREATE INDEX "jobs_unfinished_idx" ON "jobs"("id") WHERE "finishedAt" IS NULL;
ALTER TABLE "jobs" ADD CONSTRAINT "jobs_finished_check"
    CHECK (("finishedAt" IS NOT NULL) = ("state" IN ('completed', 'dead', 'cancelled')));

-- Rows that are updated or deleted soon after their insert: room on the page for the next version, and a vacuum that
-- follows closely, or their indexes fill with dead entries that every dispatch then reads past.
ALTER TABLE "jobs" SET (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);
ALTER TABLE "rooms" SET (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);
ALTER TABLE "workers" SET (fillfactor = 50);
ALTER TABLE "outbox" SET (
    fillfactor = 70,
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 2000,
    autovacuum_vacuum_cost_delay = 0,
    autovacuum_analyze_scale_factor = 0,
    autovacuum_analyze_threshold = 10000
);
