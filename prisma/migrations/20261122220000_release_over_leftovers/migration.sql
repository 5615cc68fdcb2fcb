-- A job can be released while the outbox still has a row of it: it was released before, died, was replayed or is the head again, and
-- the process that had dispatched that row died before it took the row out. The release failed on it with `outbox_pkey`, and so did
-- that of every lane looked at together with it, until the dispatcher had taken the row out. It takes the row over now, as every
-- other statement that dispatches again does. Otherwise the function is what it was; its callers need not know.
CREATE OR REPLACE FUNCTION "release_lanes"("wanted" TEXT[], "skipping" TEXT[], "lease" INTERVAL, "nearby" INTERVAL)
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
        ON CONFLICT ("jobId") DO UPDATE SET generation = excluded.generation, "runAt" = excluded."runAt", "claimedUntil" = excluded."claimedUntil"
    )
    SELECT r.id, r.queue, r."userId", r.priority, r.generation, r."runAt"::TIMESTAMPTZ, r."requestId", e."correlationId"
    FROM released r JOIN events e ON e.id = r.id;
END $$;
