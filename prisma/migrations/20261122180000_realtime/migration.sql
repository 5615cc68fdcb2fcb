-- Which event a notification tells of, and when it reached a device and its user. No index on any of them: writing them is a HOT
-- update, for which every page keeps some room.
ALTER TABLE "notifications" ADD COLUMN "eventId" UUID, ADD COLUMN "deliveredAt" TIMESTAMPTZ(3), ADD COLUMN "seenAt" TIMESTAMPTZ(3);
ALTER TABLE "notifications" SET (fillfactor = 90);
