-- Jobs wait in tables that are Procrastinate's own, in a schema of their own. The runner puts the
-- library's migrations where the line says so: they never change once they are published.

CREATE SCHEMA queue;

SET LOCAL search_path = queue;
-- include: procrastinate to 03.04.00_50
SET LOCAL search_path TO DEFAULT;

GRANT USAGE ON SCHEMA queue TO tollkeeper_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA queue TO tollkeeper_app;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA queue TO tollkeeper_app;
