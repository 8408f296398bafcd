-- The tables. Their schema is chosen at run time: everything is created in the first schema of search_path.
-- What people and programs read are the views of V2; the tables may change, the views keep their names.

CREATE TABLE site (
    site_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name    text NOT NULL UNIQUE,
    url     text NOT NULL,
    "group" text
);
COMMENT ON TABLE site IS 'Each site that was ever checked, with its latest URL and group.';

CREATE TABLE site_version (
    version_id  integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    site_id     integer NOT NULL REFERENCES site,
    url         text NOT NULL,
    "group"     text,
    config_hash text NOT NULL,
    interval_us bigint CHECK (interval_us > 0),
    digest      uuid NOT NULL GENERATED ALWAYS AS (
        md5(url || E'\x1f' || config_hash || E'\x1f' || coalesce("group", E'\x1e'))::uuid
    ) STORED,
    UNIQUE (site_id, digest)
);
COMMENT ON TABLE site_version IS 'How a site was configured when it was checked: results name it instead of repeating it.';
COMMENT ON COLUMN site_version.interval_us IS 'The shortest step between two of its slots, in microseconds; null until two are known.';

-- No foreign keys here: checking them costs as much as the insert itself, and only the consumer writes.
CREATE TABLE result (
    scheduled_at           timestamptz NOT NULL,
    seq                    bigint NOT NULL,
    started_at             timestamptz NOT NULL,
    finished_at            timestamptz NOT NULL,
    certificate_expires_at timestamptz,
    dns_us                 bigint,
    connect_us             bigint,
    tls_us                 bigint,
    first_byte_us          bigint,
    body_us                bigint,
    total_us               bigint NOT NULL,
    body_bytes             bigint,
    producer_id            uuid NOT NULL,
    site_id                integer NOT NULL,
    version_id             integer NOT NULL,
    status                 integer,
    redirects              integer NOT NULL,
    body_matched           boolean,
    location               text NOT NULL,
    failure_kind           text,
    failure_detail         text,
    http_version           text,
    remote_addr            text,
    final_url              text,
    PRIMARY KEY (scheduled_at, producer_id, seq),
    CHECK ((failure_kind IS NULL) = (failure_detail IS NULL))
) PARTITION BY RANGE (scheduled_at);
CREATE INDEX result_site ON result (site_id, scheduled_at);
COMMENT ON TABLE result IS 'One row for each check, by day. Up is what has no failure_kind.';

CREATE TABLE result_day (
    day date PRIMARY KEY
);
COMMENT ON TABLE result_day IS 'The days (UTC) that have a partition of result. The ingest looks here; a day that retention takes leaves here first.';

CREATE TABLE site_status (
    site_id                integer NOT NULL,
    location               text NOT NULL,
    version_id             integer NOT NULL,
    producer_id            uuid NOT NULL,
    seq                    bigint NOT NULL,
    first_scheduled_at     timestamptz NOT NULL,
    scheduled_at           timestamptz NOT NULL,
    finished_at            timestamptz NOT NULL,
    since                  timestamptz NOT NULL,
    certificate_expires_at timestamptz,
    total_us               bigint NOT NULL,
    status                 integer,
    failure_kind           text,
    failure_detail         text,
    PRIMARY KEY (site_id, location)
) WITH (fillfactor = 50);
COMMENT ON TABLE site_status IS 'The latest result of each site at each location; an older event never overwrites a newer one.';
COMMENT ON COLUMN site_status.since IS 'When the site was first seen in its present state (up or down).';

CREATE TABLE incident (
    incident_id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    site_id        integer NOT NULL REFERENCES site,
    location       text NOT NULL,
    opened_at      timestamptz NOT NULL,
    closed_at      timestamptz,
    failure_kind   text NOT NULL,
    failure_detail text NOT NULL,
    CHECK (closed_at >= opened_at)
);
CREATE UNIQUE INDEX incident_open ON incident (site_id, location) WHERE closed_at IS NULL;
CREATE INDEX incident_opened ON incident (opened_at);
COMMENT ON TABLE incident IS 'A time for which a site was down at a location; the failure is that of its first check.';

CREATE TABLE producer (
    producer_id   uuid PRIMARY KEY,
    location      text NOT NULL,
    first_seen_at timestamptz NOT NULL DEFAULT now(),
    reported_seq  bigint,
    reported_at   timestamptz,
    state         text,
    site_count    bigint,
    config_hash   text,
    version       text
);
COMMENT ON TABLE producer IS 'Each producer ever heard of, with its latest word about itself.';

CREATE TABLE producer_event (
    producer_id uuid NOT NULL,
    seq         bigint NOT NULL,
    type        text NOT NULL,
    location    text NOT NULL,
    at          timestamptz NOT NULL,
    state       text,
    site_count  bigint,
    config_hash text,
    version     text,
    step_us     bigint,
    PRIMARY KEY (producer_id, seq),
    CHECK (CASE type WHEN 'producer' THEN state IS NOT NULL WHEN 'clock_step' THEN step_us IS NOT NULL ELSE false END)
);
CREATE INDEX producer_event_at ON producer_event (at);
COMMENT ON TABLE producer_event IS 'What producers said of themselves (type producer) and of steps of their clocks (type clock_step).';

CREATE TABLE gap (
    gap_id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    producer_id  uuid,
    seq          bigint,
    location     text,
    reason       text NOT NULL,
    first_seq    bigint,
    last_seq     bigint,
    "from"       timestamptz,
    "to"         timestamptz,
    sites        text[],
    topic        text,
    partition    integer,
    first_offset bigint,
    last_offset  bigint,
    accepted_at  timestamptz,
    recorded_at  timestamptz NOT NULL DEFAULT now(),
    UNIQUE (producer_id, seq),
    CHECK (first_seq >= 1 AND first_seq <= last_seq),
    CHECK ("from" <= "to")
);
CREATE INDEX gap_span ON gap ("to", "from") WHERE "to" IS NOT NULL;
COMMENT ON TABLE gap IS 'What was not checked or not kept, and why. Rows with a seq came as events; rows with a topic were written when Kafka no longer had records that were not read yet; the rest a person declared by audit --accept-truncation.';
COMMENT ON COLUMN gap.accepted_at IS 'When a person declared the numbers lost by this truncation.';

CREATE TABLE rejected (
    rejected_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    topic       text NOT NULL,
    partition   integer NOT NULL,
    "offset"    bigint NOT NULL,
    raw         bytea NOT NULL,
    reason      text NOT NULL,
    rejected_at timestamptz NOT NULL DEFAULT now(),
    producer_id uuid,
    seq         bigint,
    doubled     boolean NOT NULL DEFAULT false,
    digest      bytea NOT NULL GENERATED ALWAYS AS (sha256(raw)) STORED,
    UNIQUE (topic, partition, "offset", digest)
);
CREATE INDEX rejected_doubled ON rejected (producer_id, seq) WHERE doubled;
COMMENT ON TABLE rejected IS 'Messages that could not be stored, kept whole.';
COMMENT ON COLUMN rejected.doubled IS 'Whether its number was taken by another payload already.';

CREATE TABLE partition_offset (
    topic       text NOT NULL,
    partition   integer NOT NULL,
    next_offset bigint NOT NULL,
    anchor      bytea,
    owner       uuid,
    epoch       bigint NOT NULL DEFAULT 0,
    expires_at  timestamptz,
    PRIMARY KEY (topic, partition)
) WITH (fillfactor = 20);
COMMENT ON TABLE partition_offset IS 'Where reading goes on, and which consumer process may move it until when. Owner is null when free; the epoch grows with each take-over.';
COMMENT ON COLUMN partition_offset.anchor IS 'SHA-256 of the record before next_offset: another topic under the same name does not have it.';

CREATE TABLE consumer (
    owner      uuid NOT NULL,
    topic      text NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (topic, owner)
);
COMMENT ON TABLE consumer IS 'The consumer processes that live: partitions are shared out among them.';

CREATE TABLE uptime_hour (
    site_id  integer NOT NULL,
    location text NOT NULL,
    hour     timestamptz NOT NULL,
    up       bigint NOT NULL,
    down     bigint NOT NULL,
    unknown  bigint NOT NULL,
    PRIMARY KEY (hour, site_id, location)
);
COMMENT ON TABLE uptime_hour IS 'Slots of each past hour by what became of them. Computed anew from the results whenever some arrive late.';

CREATE TABLE dirty_hour (
    hour      timestamptz NOT NULL,
    partition integer NOT NULL,
    marks     bigint NOT NULL DEFAULT 1,
    marked_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (hour, partition)
) WITH (fillfactor = 20);
COMMENT ON TABLE dirty_hour IS 'Hours that got rows since they were last summed up, by topic partition so that consumers do not wait for each other. A mark is removed only with the count that was read before summing.';

CREATE TABLE audit_day (
    day       date PRIMARY KEY,
    summed_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE audit_day IS 'Days (UTC) whose numbers are summed up in audit_sum. One with a row in dirty_hour is open again.';

CREATE TABLE audit_sum (
    day         date NOT NULL REFERENCES audit_day ON DELETE CASCADE,
    producer_id uuid NOT NULL,
    seqs        int8multirange NOT NULL,
    doubled     int8multirange NOT NULL,
    PRIMARY KEY (day, producer_id)
);
COMMENT ON TABLE audit_sum IS 'The numbers of a day''s results and producer events; kept for ever, also when retention has dropped the rows.';

CREATE TABLE maintenance (
    only_row     boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    owner        uuid,
    expires_at   timestamptz,
    rolled_until timestamptz
);
INSERT INTO maintenance DEFAULT VALUES;
COMMENT ON TABLE maintenance IS 'Who does the housekeeping until when, and the hour up to which every hour was summed or marked; null until there are results.';
