-- Functions that run as the owner trust nothing that their caller chooses: the schema stands in them, their search_path is
-- fixed, and nobody may call them but the roles that need to. Trigger functions run as whoever changes the table, and serve
-- that table only. What the storing role may drop is decided by facts that it cannot write.

CREATE TABLE retention (
    only_row    boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    keep_days   integer NOT NULL CHECK (keep_days >= 0),
    recorded_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE retention IS 'How many days before today are kept, as the owner has recorded it: drop_result_day refuses younger days. Only the owner writes here.';

ALTER TABLE maintenance ADD COLUMN succeeded_at timestamptz;
COMMENT ON COLUMN maintenance.succeeded_at IS 'When a consumer last did all of the housekeeping that was due without an error.';

DO $do$
DECLARE
    here text := current_schema();
    offsets text := format('%I.partition_offset', here);
BEGIN
    -- Before, these two ran as the owner and wrote to the schema of the table that fired them: whoever hung one of them on a
    -- temporary table had a temporary offset_jump written to by the owner, and its triggers run.
    EXECUTE format($create$
        CREATE OR REPLACE FUNCTION note_offset_jump() RETURNS trigger
        LANGUAGE plpgsql SECURITY INVOKER SET search_path = pg_catalog, pg_temp
        AS $$
        DECLARE
            went_to bigint;
        BEGIN
            IF TG_RELID <> %2$L::regclass OR TG_WHEN <> 'AFTER' OR TG_LEVEL <> 'ROW' OR TG_OP NOT IN ('UPDATE', 'DELETE')
               OR TG_NARGS <> 1 THEN
                RAISE EXCEPTION 'note_offset_jump serves the rows of %% only', %2$L USING ERRCODE = 'wrong_object_type';
            END IF;
            IF TG_OP = 'UPDATE' THEN
                went_to := NEW.next_offset;
            END IF;
            INSERT INTO %1$I.offset_jump (topic, partition, from_offset, to_offset, reason)
            VALUES (OLD.topic, OLD.partition, OLD.next_offset, went_to, TG_ARGV[0]);
            RETURN NULL;
        END
        $$
    $create$, here, offsets);

    EXECUTE format($create$
        CREATE OR REPLACE FUNCTION note_offsets_gone() RETURNS trigger
        LANGUAGE plpgsql SECURITY INVOKER SET search_path = pg_catalog, pg_temp
        AS $$
        BEGIN
            IF TG_RELID <> %2$L::regclass OR TG_WHEN <> 'BEFORE' OR TG_LEVEL <> 'STATEMENT' OR TG_OP <> 'TRUNCATE' THEN
                RAISE EXCEPTION 'note_offsets_gone serves TRUNCATE of %% only', %2$L USING ERRCODE = 'wrong_object_type';
            END IF;
            INSERT INTO %1$I.offset_jump (topic, partition, from_offset, reason)
            SELECT o.topic, o.partition, o.next_offset, 'unexplained' FROM %1$I.partition_offset o;
            RETURN NULL;
        END
        $$
    $create$, here, offsets);

    -- Whatever became of the partition before: dropped, detached or about to be detached by hand. Where it is attached,
    -- nothing is done.
    EXECUTE format($create$
        CREATE OR REPLACE FUNCTION make_result_day(of_day date) RETURNS void
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
        AS $$
        DECLARE
            partition_name text := 'result_' || to_char(of_day, 'YYYYMMDD');
            is_detaching boolean;
        BEGIN
            -- Storing makes no day beyond the day after tomorrow.
            IF of_day IS NULL OR of_day NOT BETWEEN '2000-01-01' AND (clock_timestamp() AT TIME ZONE 'UTC')::date + 7 THEN
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
    $create$, here);

    -- The rows of a day that is to be dropped are compared with what the audit remembers of it, here and not by the caller,
    -- who may write there. Its locks on the whole table last for as long as dropping takes, and are waited for 0.1 s only:
    -- whoever stores queues up behind the wait.
    EXECUTE format($create$
        CREATE OR REPLACE FUNCTION drop_result_day(of_day date) RETURNS void
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '100ms'
        AS $$
        DECLARE
            today date := (clock_timestamp() AT TIME ZONE 'UTC')::date;
            partition_name text;
            is_detaching boolean;
            keep_days integer;
            unremembered bigint;
        BEGIN
            IF current_setting('transaction_isolation') <> 'read committed' THEN
                -- An older snapshot does not show all rows.
                RAISE EXCEPTION 'days are dropped in READ COMMITTED transactions only' USING ERRCODE = 'invalid_transaction_state';
            END IF;
            IF of_day IS NULL OR of_day NOT BETWEEN '2000-01-01' AND today THEN
                RAISE EXCEPTION 'no day to drop: %%', of_day USING ERRCODE = 'invalid_parameter_value';
            END IF;
            SELECT r.keep_days INTO keep_days FROM %1$I.retention r;
            IF keep_days IS NULL THEN
                RAISE EXCEPTION 'the owner has recorded no retention: run isitup-consumer setup-database'
                    USING ERRCODE = 'object_not_in_prerequisite_state';
            END IF;
            IF today - of_day <= keep_days THEN
                RAISE EXCEPTION 'the day %% is kept: the owner has recorded a retention of %% days', of_day, keep_days
                    USING ERRCODE = 'object_not_in_prerequisite_state';
            END IF;
            -- What the audit does not remember yet stays, whoever asks.
            IF EXISTS (SELECT FROM %1$I.result_day d WHERE d.day = of_day)
               OR NOT EXISTS (SELECT FROM %1$I.audit_day a WHERE a.day = of_day) THEN
                RAISE EXCEPTION 'the day %% is not closed', of_day USING ERRCODE = 'object_not_in_prerequisite_state';
            END IF;
            partition_name := 'result_' || to_char(of_day, 'YYYYMMDD');
            IF to_regclass(format('%1$I.%%I', partition_name)) IS NULL THEN
                RETURN;
            END IF;
            SELECT i.inhdetachpending INTO is_detaching FROM pg_inherits i
            WHERE i.inhrelid = to_regclass(format('%1$I.%%I', partition_name));
            IF FOUND THEN
                -- Behind a long reader the comparison would be for nothing. An error of the block gives the lock back.
                BEGIN
                    EXECUTE 'LOCK TABLE ONLY %1$I.result IN ACCESS EXCLUSIVE MODE';
                    RAISE EXCEPTION USING ERRCODE = 'ISI01';
                EXCEPTION WHEN SQLSTATE 'ISI01' THEN
                    NULL;
                END;
            END IF;
            EXECUTE format('LOCK TABLE %1$I.%%I IN SHARE MODE', partition_name);
            EXECUTE format('SELECT count(*) FROM %1$I.%%I r WHERE NOT EXISTS (
                                SELECT FROM %1$I.audit_sum s
                                WHERE s.day = $1 AND s.producer_id = r.producer_id AND s.seqs @> r.seq)', partition_name)
            INTO unremembered USING of_day;
            IF unremembered > 0 THEN
                RAISE EXCEPTION 'the day %% has %% rows whose numbers are not summed up', of_day, unremembered
                    USING ERRCODE = 'object_not_in_prerequisite_state';
            END IF;
            IF is_detaching IS NOT NULL THEN
                -- A transaction cannot detach CONCURRENTLY.
                EXECUTE format('ALTER TABLE %1$I.result DETACH PARTITION %1$I.%%I %%s', partition_name,
                               CASE WHEN is_detaching THEN 'FINALIZE' ELSE '' END);
            END IF;
            EXECUTE format('DROP TABLE %1$I.%%I', partition_name);
        END
        $$
    $create$, here);
END
$do$;
COMMENT ON FUNCTION make_result_day IS 'Makes sure that the partition of a day''s results is there, as the owner.';
COMMENT ON FUNCTION drop_result_day IS 'Drops the partition of a closed day beyond the recorded retention, as the owner.';

-- They run as the owner since a reader of the views may read no table. Their bodies were bound when they were made.
ALTER FUNCTION uptime_between SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION day_numbers SET search_path = pg_catalog, pg_temp;

REVOKE ALL ON FUNCTION note_offset_jump, note_offsets_gone, make_result_day, drop_result_day, uptime_between, day_numbers,
    slots_in, count_of, came_after FROM PUBLIC;

-- The roles that releases before have made for people to grant get the least rights, as those of setup-database.
DO $$
DECLARE
    here regnamespace := current_schema()::regnamespace;
    of_table record;
BEGIN
    FOR of_table IN
        SELECT c.oid::regclass AS name, r.rolname AS role FROM pg_class c
        JOIN pg_roles r ON r.rolname IN ('isitup_reader', 'isitup_ingest')
        WHERE c.relnamespace = here AND c.relkind IN ('r', 'p', 'v') AND NOT c.relispartition
          AND pg_has_role(c.relowner, 'USAGE')
          AND has_table_privilege(r.oid, c.oid, 'SELECT, INSERT, UPDATE, DELETE')
    LOOP
        IF of_table.role = 'isitup_ingest' THEN
            EXECUTE format('REVOKE ALL ON %s FROM isitup_ingest; GRANT SELECT ON %1$s TO isitup_ingest', of_table.name);
        ELSE
            EXECUTE format('REVOKE ALL ON %s FROM isitup_reader', of_table.name);
        END IF;
    END LOOP;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'isitup_reader') THEN
        GRANT SELECT ON check_result, latest_status, uptime, audit TO isitup_reader;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'isitup_ingest') THEN
        GRANT INSERT, UPDATE ON site, site_version, site_status, incident, gap, producer, partition_offset, offset_jump
            TO isitup_ingest;
        GRANT INSERT, UPDATE, DELETE ON result_day, dirty_hour, consumer, rejected TO isitup_ingest;
        GRANT INSERT, DELETE ON uptime_hour, audit_day, producer_event TO isitup_ingest;
        GRANT INSERT ON certificate, result, audit_sum TO isitup_ingest;
        GRANT UPDATE ON maintenance TO isitup_ingest;
        GRANT SELECT ON retention TO isitup_ingest;
    END IF;
END
$$;

-- Who stores, and who reads the views that call functions, goes on.
DO $$
DECLARE
    granted record;
BEGIN
    FOR granted IN
        SELECT DISTINCT a.grantee,
               CASE c.relname WHEN 'result' THEN 'make_result_day, drop_result_day, uptime_between, day_numbers, count_of, came_after'
                              WHEN 'uptime' THEN 'uptime_between'
                              ELSE 'day_numbers, count_of' END AS functions
        FROM pg_class c, aclexplode(c.relacl) a
        WHERE c.relnamespace = current_schema()::regnamespace AND c.relname IN ('result', 'uptime', 'audit')
          AND a.grantee <> c.relowner
          AND a.privilege_type = CASE c.relname WHEN 'result' THEN 'INSERT' ELSE 'SELECT' END
    LOOP
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %s', granted.functions,
                       CASE granted.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(granted.grantee)) END);
    END LOOP;
END
$$;
