-- Storing takes no ownership any more: who stores makes and drops the partitions of days by two functions that run as the
-- owner and do nothing else. And who reads needs the views only.

DO $do$
BEGIN
    -- As the owner, so the schema stands in them and nothing is looked up by a path that the caller sets.
    EXECUTE format($make$
        CREATE FUNCTION make_result_day(of_day date) RETURNS void
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
        AS $$
        DECLARE
            partition_name text := 'result_' || to_char(of_day, 'YYYYMMDD');
        BEGIN
            IF of_day IS NULL OR of_day NOT BETWEEN '2000-01-01' AND '9999-12-30' THEN
                RAISE EXCEPTION 'no day to make: %%', of_day USING ERRCODE = 'invalid_parameter_value';
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

    EXECUTE format($drop$
        CREATE FUNCTION drop_result_day(of_day date) RETURNS void
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '2s'
        AS $$
        DECLARE
            partition_name text := 'result_' || to_char(of_day, 'YYYYMMDD');
            is_detaching boolean;
        BEGIN
            -- What the audit does not remember yet stays, whoever asks.
            IF EXISTS (SELECT FROM %1$I.result_day d WHERE d.day = of_day)
               OR NOT EXISTS (SELECT FROM %1$I.audit_day a WHERE a.day = of_day) THEN
                RAISE EXCEPTION 'the day %% is not closed', of_day USING ERRCODE = 'object_not_in_prerequisite_state';
            END IF;
            SELECT i.inhdetachpending INTO is_detaching FROM pg_inherits i
            WHERE i.inhrelid = to_regclass(format('%1$I.%%I', partition_name));
            IF FOUND THEN
                -- A transaction cannot detach CONCURRENTLY. So it takes its lock within two seconds, or another time.
                EXECUTE format('ALTER TABLE %1$I.result DETACH PARTITION %1$I.%%I %%s', partition_name,
                               CASE WHEN is_detaching THEN 'FINALIZE' ELSE '' END);
            END IF;
            EXECUTE format('DROP TABLE IF EXISTS %1$I.%%I', partition_name);
        END
        $$
    $drop$, current_schema());
END
$do$;
COMMENT ON FUNCTION make_result_day IS 'Makes the partition of a day''s results, as the owner.';
COMMENT ON FUNCTION drop_result_day IS 'Drops the partition of a closed day, as the owner.';
REVOKE ALL ON FUNCTION make_result_day, drop_result_day FROM PUBLIC;

-- The functions behind the views read tables that a reader of the views may not.
ALTER FUNCTION uptime_between SECURITY DEFINER;
ALTER FUNCTION day_numbers SECURITY DEFINER;

DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'isitup_ingest') THEN
        GRANT EXECUTE ON FUNCTION make_result_day, drop_result_day TO isitup_ingest;
        -- What ran in this schema is the owner's to say.
        REVOKE INSERT, UPDATE, DELETE ON refinery_schema_history FROM isitup_ingest;
    END IF;
END
$$;
