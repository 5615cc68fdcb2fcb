-- Which event a notification tells of, and when it reached a device and its user. No index on any of them: writing them is a HOT
-- update, for which every page keeps some room.
ALTER TABLE "notifications" ADD COLUMN "eventId" UUID, ADD COLUMN "deliveredAt" TIMESTAMPTZ(3), ADD COLUMN "seenAt" TIMESTAMPTZ(3);
ALTER TABLE "notifications" SET (fillfactor = 90);

-- When retention by count took the last entry of a request's room: its row stays as long as notifications are kept, and says that something was there.
ALTER TABLE "rooms" ADD COLUMN "emptiedAt" TIMESTAMPTZ(3);
CREATE INDEX "rooms_emptiedAt_idx" ON "rooms"("emptiedAt") WHERE "emptiedAt" IS NOT NULL;
