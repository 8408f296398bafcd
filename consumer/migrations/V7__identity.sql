-- What messages say can neither collide, nor freeze what is known, nor be mistaken for a missing partition.

-- The identity of a configuration. The digest of V1 joined texts, so a group that held the separator collided with another
-- text or with none, and MD5 collides at will. Each text goes in with its length, a missing group unlike any text, and the
-- hash is SHA-256. A digest, because three texts of the largest size do not fit into an index entry. Functions of
-- PostgreSQL's own, all immutable: decode makes bytes of a text whose backslashes are doubled.
ALTER TABLE site_version DROP COLUMN digest;
ALTER TABLE site_version
    ADD COLUMN digest bytea NOT NULL GENERATED ALWAYS AS (sha256(decode(replace(
        length(url)::text || ':' || url || length(config_hash)::text || ':' || config_hash
        || coalesce(length("group")::text || ':' || "group", '-'), E'\\', E'\\\\'), 'escape'))) STORED,
    ADD UNIQUE (site_id, digest);

-- Which of two producers' results is the later one: by its end, but at most by when it was stored. A clock that is ahead
-- would otherwise be the latest until all others have caught up.
ALTER TABLE site_status ADD COLUMN ordered_at timestamptz;
COMMENT ON COLUMN site_status.ordered_at IS 'finished_at, but no later than when the result was stored; decides which of two producers'' results is the later. Null where a consumer of an older release wrote last.';

-- Makes the partition of a day where it is missing, whatever became of the one before: dropped, detached or about to be
-- detached by hand. Does nothing where it is attached.
DO $do$
BEGIN
    EXECUTE format($make$
        CREATE OR REPLACE FUNCTION make_result_day(of_day date) RETURNS void
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
        AS $$
        DECLARE
            partition_name text := 'result_' || to_char(of_day, 'YYYYMMDD');
            is_detaching boolean;
        BEGIN
            IF of_day IS NULL OR of_day NOT BETWEEN '2000-01-01' AND '9999-12-30' THEN
                RAISE EXCEPTION 'no day to make: %%', of_day USING ERRCODE = 'invalid_parameter_value';
            END IF;
            SELECT i.inhdetachpending INTO is_detaching FROM pg_inherits i
            WHERE i.inhrelid = to_regclass(format('%1$I.%%I', partition_name))
              AND i.inhparent = to_regclass('%1$I.result');
            IF FOUND AND NOT is_detaching THEN
                RETURN;
            END IF;
            IF FOUND THEN
                EXECUTE format('ALTER TABLE %1$I.result DETACH PARTITION %1$I.%%I FINALIZE', partition_name);
            END IF;
            -- Made by itself, then attached, so that nobody waits.
            EXECUTE format('CREATE TABLE IF NOT EXISTS %1$I.%%I (LIKE %1$I.result INCLUDING DEFAULTS INCLUDING CONSTRAINTS)',
                           partition_name);
            EXECUTE format('ALTER TABLE %1$I.result ATTACH PARTITION %1$I.%%I FOR VALUES FROM (%%L) TO (%%L)', partition_name,
                           to_char(of_day, 'YYYY-MM-DD') || ' 00:00:00+00',
                           to_char(of_day + 1, 'YYYY-MM-DD') || ' 00:00:00+00');
        END
        $$
    $make$, current_schema());
END
$do$;
COMMENT ON FUNCTION make_result_day IS 'Makes sure that the partition of a day''s results is there, as the owner.';
