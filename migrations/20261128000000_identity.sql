-- The identity of the data: caches outside the database hold results of one identity only. `migrate --new-identity` draws
-- another one, for a database that is a copy.
ALTER TABLE cinegraph.installation ADD COLUMN IF NOT EXISTS identity uuid NOT NULL DEFAULT gen_random_uuid();

-- What tells this server from one with a copy of its files: the cluster, and the timeline, which a promotion changes.
-- NULL is what the role may not read, or what the service that runs the server has removed; no error of these functions
-- may keep the data versions from being read. A standby writes no timeline of its own: it shows the one that it receives.
CREATE OR REPLACE FUNCTION cinegraph.server_identity(OUT system text, OUT is_standby boolean, OUT timeline integer)
LANGUAGE plpgsql AS $$
BEGIN
    is_standby := pg_is_in_recovery();
    BEGIN
        SELECT system_identifier::text INTO system FROM pg_control_system();
    EXCEPTION WHEN OTHERS THEN
        system := NULL;
    END;
    BEGIN
        IF is_standby THEN
            SELECT received_tli INTO timeline FROM pg_stat_wal_receiver;
        ELSE
            timeline := ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::integer;
        END IF;
    EXCEPTION WHEN OTHERS THEN
        timeline := NULL;
    END;
END
$$;
