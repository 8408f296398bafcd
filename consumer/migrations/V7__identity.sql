-- What messages say can neither collide nor freeze what is known.

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
