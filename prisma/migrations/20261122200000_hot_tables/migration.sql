-- Storage parameters of the tables that everything writes. Each statement takes a SHARE UPDATE EXCLUSIVE lock for a moment: reads and
-- writes go on, only a vacuum of that table is waited for. Nothing is rewritten: pages that exist keep their fill, new ones have it.

-- A notification is written again when it reached a device, mostly within a second or two, while its page is the one that is filled.
-- With 90 % no more than a fifth of these updates found room beside the old row (HOT); with 50 % all do. A notification then
-- writes 469 bytes of WAL instead of 777, leaves no dead entry in the index, and takes as much of the table as before, because no update goes to another
-- page. Those that never reach a device leave their pages half empty until retention takes them.
ALTER TABLE "notifications" SET (fillfactor = 50);

-- Retention deletes a steady stream out of tables that grow to tens of millions of rows. By the default, a fifth of the table, its space
-- comes back in one vacuum of hours; by these, in small ones, and statistics follow the newest rows.
ALTER TABLE "notifications" SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);
ALTER TABLE "room_entries" SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);
ALTER TABLE "steps" SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);
ALTER TABLE "idempotency_keys" SET (autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05);
ALTER TABLE "jobs" SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);

-- Append-only: a vacuum after inserts marks pages as visible to all and frozen, in small portions instead of two million rows at once.
ALTER TABLE "events" SET (autovacuum_vacuum_insert_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);
