-- Offsets never move by another hand unnoticed. Whoever moves one as the releases do, moves it under the lease, which
-- the same statement prolongs; or backwards in the manner of replay, which ends the lease and its epoch. Any other move
-- is noted by the database itself, so that it makes no difference which release of the consumer runs beside.

CREATE TABLE offset_jump (
    jump_id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    topic       text NOT NULL,
    partition   integer NOT NULL,
    from_offset bigint NOT NULL,
    to_offset   bigint,
    reason      text NOT NULL CHECK (reason IN ('replay', 'new_topic', 'truncated', 'unexplained')),
    at          timestamptz NOT NULL DEFAULT clock_timestamp(),
    moved_by    text NOT NULL DEFAULT session_user,
    accepted_at timestamptz
);
CREATE INDEX offset_jump_open ON offset_jump (topic, jump_id) WHERE reason = 'unexplained' AND accepted_at IS NULL;
COMMENT ON TABLE offset_jump IS 'Moves of offsets beside reading. An unexplained one is a fault until a person accepts it by audit --accept-offset-jumps.';
COMMENT ON COLUMN offset_jump.to_offset IS 'Null where the whole row of the partition was removed.';
COMMENT ON COLUMN offset_jump.moved_by IS 'The role that did it.';

-- As the owner, so that a role that may move offsets but not write here is noted all the same.
CREATE FUNCTION note_offset_jump() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    went_to bigint;
BEGIN
    IF TG_OP = 'UPDATE' THEN
        went_to := NEW.next_offset;
    END IF;
    EXECUTE format('INSERT INTO %I.offset_jump (topic, partition, from_offset, to_offset, reason) VALUES ($1, $2, $3, $4, $5)',
                   TG_TABLE_SCHEMA)
    USING OLD.topic, OLD.partition, OLD.next_offset, went_to, TG_ARGV[0];
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION note_offset_jump IS 'Notes a move of an offset beside reading.';

CREATE FUNCTION note_offsets_gone() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    EXECUTE format('INSERT INTO %1$I.offset_jump (topic, partition, from_offset, reason)
                    SELECT topic, partition, next_offset, ''unexplained'' FROM %1$I.partition_offset', TG_TABLE_SCHEMA);
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION note_offsets_gone IS 'Notes that all offsets are being removed.';

CREATE TRIGGER offset_replayed AFTER UPDATE OF next_offset ON partition_offset
FOR EACH ROW WHEN (
    NEW.next_offset < OLD.next_offset AND NEW.owner IS NULL AND NEW.epoch = OLD.epoch + 1
) EXECUTE FUNCTION note_offset_jump('replay');

CREATE TRIGGER offset_jumped AFTER UPDATE OF topic, partition, next_offset ON partition_offset
FOR EACH ROW WHEN (
    (NEW.topic, NEW.partition) IS DISTINCT FROM (OLD.topic, OLD.partition)
    OR NEW.next_offset <> OLD.next_offset
       AND (NEW.owner IS NULL OR NEW.owner IS DISTINCT FROM OLD.owner OR NEW.epoch <> OLD.epoch
            OR NEW.expires_at IS NOT DISTINCT FROM OLD.expires_at)
       AND (NEW.owner IS NOT NULL OR NEW.epoch <> OLD.epoch + 1 OR NEW.next_offset > OLD.next_offset)
) EXECUTE FUNCTION note_offset_jump('unexplained');

CREATE TRIGGER offset_gone AFTER DELETE ON partition_offset
FOR EACH ROW EXECUTE FUNCTION note_offset_jump('unexplained');

CREATE TRIGGER offsets_gone BEFORE TRUNCATE ON partition_offset
FOR EACH STATEMENT EXECUTE FUNCTION note_offsets_gone();

-- The grants of V3, for the new table.
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'isitup_reader') THEN
        GRANT SELECT ON offset_jump TO isitup_reader;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'isitup_ingest') THEN
        GRANT SELECT, INSERT, UPDATE, DELETE ON offset_jump TO isitup_ingest;
    END IF;
END
$$;
