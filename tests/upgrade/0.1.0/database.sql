SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
CREATE SCHEMA the_pipeline;
CREATE FUNCTION the_pipeline.came_after(row_xmin xid, snapshot pg_snapshot) RETURNS boolean
    LANGUAGE sql STABLE
    RETURN (SELECT (NOT pg_visible_in_snapshot((((n.whole - CASE WHEN (n.whole > n.present) THEN '4294967296'::bigint ELSE (0)::bigint END))::text)::xid8, came_after.snapshot)) FROM (SELECT p.present, (((p.present / '4294967296'::bigint) * '4294967296'::bigint) + ((came_after.row_xmin)::text)::bigint) AS whole FROM (SELECT ((pg_snapshot_xmax(pg_current_snapshot()))::text)::bigint AS present) p) n);
CREATE FUNCTION the_pipeline.count_of(numbers int8multirange) RETURNS bigint
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (SELECT (COALESCE(sum((upper(r.r) - lower(r.r))), (0)::numeric))::bigint AS "coalesce" FROM unnest(count_of.numbers) r(r));
CREATE TABLE the_pipeline.producer_event (
    producer_id uuid NOT NULL,
    seq bigint NOT NULL,
    type text NOT NULL,
    location text NOT NULL,
    at timestamp with time zone NOT NULL,
    state text,
    site_count bigint,
    config_hash text,
    version text,
    step_us bigint,
    CONSTRAINT producer_event_check CHECK (
CASE type
    WHEN 'producer'::text THEN (state IS NOT NULL)
    WHEN 'clock_step'::text THEN (step_us IS NOT NULL)
    ELSE false
END)
);
CREATE TABLE the_pipeline.result (
    scheduled_at timestamp with time zone NOT NULL,
    seq bigint NOT NULL,
    started_at timestamp with time zone NOT NULL,
    finished_at timestamp with time zone NOT NULL,
    certificate_expires_at timestamp with time zone,
    dns_us bigint,
    connect_us bigint,
    tls_us bigint,
    first_byte_us bigint,
    body_us bigint,
    total_us bigint NOT NULL,
    body_bytes bigint,
    producer_id uuid NOT NULL,
    site_id integer NOT NULL,
    version_id integer NOT NULL,
    status integer,
    redirects integer NOT NULL,
    body_matched boolean,
    location text NOT NULL,
    failure_kind text,
    failure_detail text,
    http_version text,
    remote_addr text,
    final_url text,
    queue_us bigint,
    certificate_id integer,
    confirmation integer,
    maintenance boolean,
    confirmed boolean,
    prober_fault text,
    extra jsonb,
    CONSTRAINT result_check CHECK (((failure_kind IS NULL) = (failure_detail IS NULL)))
)
PARTITION BY RANGE (scheduled_at);
CREATE FUNCTION the_pipeline.day_numbers(of_day date) RETURNS TABLE(producer_id uuid, seqs int8multirange, doubled int8multirange)
    LANGUAGE sql STABLE
    BEGIN ATOMIC
 WITH number AS (
          SELECT r.producer_id,
             r.seq
            FROM the_pipeline.result r
           WHERE ((r.scheduled_at >= ((day_numbers.of_day)::timestamp without time zone AT TIME ZONE 'UTC'::text)) AND (r.scheduled_at < (((day_numbers.of_day + 1))::timestamp without time zone AT TIME ZONE 'UTC'::text)))
         UNION ALL
          SELECT e.producer_id,
             e.seq
            FROM the_pipeline.producer_event e
           WHERE ((e.at >= ((day_numbers.of_day)::timestamp without time zone AT TIME ZONE 'UTC'::text)) AND (e.at < (((day_numbers.of_day + 1))::timestamp without time zone AT TIME ZONE 'UTC'::text)))
         ), ranked AS (
          SELECT n.producer_id,
             n.seq,
             (n.seq - dense_rank() OVER w) AS island,
             (n.seq = lag(n.seq) OVER w) AS again
            FROM number n
           WINDOW w AS (PARTITION BY n.producer_id ORDER BY n.seq)
         ), island AS (
          SELECT k.producer_id,
             int8range(min(k.seq), (max(k.seq) + 1)) AS seqs
            FROM ranked k
           GROUP BY k.producer_id, k.island
         ), again AS (
          SELECT k.producer_id,
             range_agg(int8range(k.seq, (k.seq + 1))) AS seqs
            FROM ranked k
           WHERE k.again
           GROUP BY k.producer_id
         )
  SELECT i.producer_id,
     range_agg(i.seqs) AS range_agg,
     COALESCE(( SELECT a.seqs
            FROM again a
           WHERE (a.producer_id = i.producer_id)), '{}'::int8multirange) AS "coalesce"
    FROM island i
   GROUP BY i.producer_id;
END;
CREATE FUNCTION the_pipeline.note_offset_jump() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
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
$_$;
CREATE FUNCTION the_pipeline.note_offsets_gone() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
BEGIN
    EXECUTE format('INSERT INTO %1$I.offset_jump (topic, partition, from_offset, reason)
                    SELECT topic, partition, next_offset, ''unexplained'' FROM %1$I.partition_offset', TG_TABLE_SCHEMA);
    RETURN NULL;
END
$_$;
CREATE FUNCTION the_pipeline.slots_in(span interval, interval_us bigint) RETURNS bigint
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN ((interval_us > 0) AND (span > '00:00:00'::interval)) THEN (floor(((EXTRACT(epoch FROM span) * (1000000)::numeric) / (interval_us)::numeric)))::bigint ELSE (0)::bigint END;
CREATE TABLE the_pipeline.gap (
    gap_id bigint NOT NULL,
    producer_id uuid,
    seq bigint,
    location text,
    reason text NOT NULL,
    first_seq bigint,
    last_seq bigint,
    "from" timestamp with time zone,
    "to" timestamp with time zone,
    sites text[],
    topic text,
    partition integer,
    first_offset bigint,
    last_offset bigint,
    accepted_at timestamp with time zone,
    recorded_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT gap_check CHECK (((first_seq >= 1) AND (first_seq <= last_seq))),
    CONSTRAINT gap_check1 CHECK (("from" <= "to"))
);
CREATE TABLE the_pipeline.producer (
    producer_id uuid NOT NULL,
    location text NOT NULL,
    first_seen_at timestamp with time zone DEFAULT now() NOT NULL,
    reported_seq bigint,
    reported_at timestamp with time zone,
    state text,
    site_count bigint,
    config_hash text,
    version text
);
CREATE TABLE the_pipeline.site (
    site_id integer NOT NULL,
    name text NOT NULL,
    url text NOT NULL,
    "group" text
);
CREATE TABLE the_pipeline.site_status (
    site_id integer NOT NULL,
    location text NOT NULL,
    version_id integer NOT NULL,
    producer_id uuid NOT NULL,
    seq bigint NOT NULL,
    first_scheduled_at timestamp with time zone NOT NULL,
    scheduled_at timestamp with time zone NOT NULL,
    finished_at timestamp with time zone NOT NULL,
    since timestamp with time zone NOT NULL,
    certificate_expires_at timestamp with time zone,
    total_us bigint NOT NULL,
    status integer,
    failure_kind text,
    failure_detail text,
    prober_fault text,
    maintenance boolean DEFAULT false NOT NULL,
    confirmed boolean,
    is_down boolean
)
WITH (fillfactor='50');
CREATE TABLE the_pipeline.site_version (
    version_id integer NOT NULL,
    site_id integer NOT NULL,
    url text NOT NULL,
    "group" text,
    config_hash text NOT NULL,
    interval_us bigint,
    digest uuid GENERATED ALWAYS AS ((md5(((((url || ''::text) || config_hash) || ''::text) || COALESCE("group", ''::text))))::uuid) STORED NOT NULL,
    CONSTRAINT site_version_interval_us_check CHECK ((interval_us > 0))
);
CREATE VIEW the_pipeline.watched_site AS
 SELECT t.site_id,
    t.location,
    v.interval_us,
    t.scheduled_at AS last_slot,
    t.first_scheduled_at AS watched_from,
        CASE
            WHEN (p.reported_at > ((word.at + ('00:00:00.000001'::interval * ((2 * COALESCE(v.interval_us, (0)::bigint)))::double precision)) + '00:01:00'::interval)) THEN (word.at + '00:00:00.000001'::interval)
            ELSE 'infinity'::timestamp with time zone
        END AS watched_until
   FROM ((((the_pipeline.site_status t
     JOIN the_pipeline.site s USING (site_id))
     JOIN the_pipeline.site_version v USING (version_id))
     LEFT JOIN the_pipeline.producer p USING (producer_id))
     CROSS JOIN LATERAL ( SELECT GREATEST(t.scheduled_at, max(g."to")) AS at
           FROM the_pipeline.gap g
          WHERE ((g.producer_id = t.producer_id) AND (g."to" > t.scheduled_at) AND ((g.sites IS NULL) OR (s.name = ANY (g.sites))))) word);
CREATE FUNCTION the_pipeline.uptime_between(from_time timestamp with time zone, until_time timestamp with time zone) RETURNS TABLE(site_id integer, location text, up bigint, down bigint, unknown bigint, maintenance bigint)
    LANGUAGE sql STABLE
    BEGIN ATOMIC
 WITH slot AS (
          SELECT r.site_id,
             r.location,
             r.scheduled_at,
             max(r.version_id) AS version_id,
             max(
                 CASE
                     WHEN r.maintenance THEN 1
                     WHEN (r.failure_kind IS NULL) THEN 2
                     WHEN (r.prober_fault IS NOT NULL) THEN 0
                     WHEN (NOT r.confirmed) THEN 2
                     ELSE 3
                 END) AS verdict
            FROM the_pipeline.result r
           WHERE ((r.scheduled_at >= uptime_between.from_time) AND (r.scheduled_at < uptime_between.until_time) AND (r.confirmation IS NULL))
           GROUP BY r.site_id, r.location, r.scheduled_at
         ), step AS (
          SELECT l.site_id,
             l.location,
             l.scheduled_at,
             l.verdict,
             v.interval_us,
             lag(l.scheduled_at) OVER w AS slot_before,
             lag(v.interval_us) OVER w AS interval_before,
             (lead(l.scheduled_at) OVER w IS NULL) AS is_last
            FROM (slot l
              JOIN the_pipeline.site_version v USING (version_id))
           WINDOW w AS (PARTITION BY l.site_id, l.location ORDER BY l.scheduled_at)
         ), seen AS (
          SELECT s_1.site_id,
             s_1.location,
             count(*) FILTER (WHERE (s_1.verdict = 3)) AS down,
             count(*) FILTER (WHERE (s_1.verdict = 2)) AS up,
             count(*) FILTER (WHERE (s_1.verdict = 1)) AS maintenance,
             count(*) FILTER (WHERE (s_1.verdict = 0)) AS undecided,
             COALESCE(sum(the_pipeline.slots_in(((s_1.scheduled_at - s_1.slot_before) - '00:00:00.000001'::interval), GREATEST(s_1.interval_us, s_1.interval_before))), (0)::numeric) AS missed,
             min(s_1.scheduled_at) AS first_slot,
             max(s_1.scheduled_at) AS last_slot,
             max(s_1.interval_us) FILTER (WHERE (s_1.slot_before IS NULL)) AS first_interval,
             max(s_1.interval_us) FILTER (WHERE s_1.is_last) AS last_interval
            FROM step s_1
           GROUP BY s_1.site_id, s_1.location
         ), watched AS (
          SELECT w_1.site_id,
             w_1.location,
             w_1.interval_us,
             w_1.last_slot,
             GREATEST(uptime_between.from_time, w_1.watched_from) AS starts,
             LEAST(uptime_between.until_time, w_1.watched_until, (now() - '00:01:00'::interval)) AS ends
            FROM the_pipeline.watched_site w_1
           WHERE ((w_1.watched_from < uptime_between.until_time) AND (w_1.watched_until > uptime_between.from_time))
         )
  SELECT w.site_id,
     w.location,
     COALESCE(s.up, (0)::bigint) AS "coalesce",
     COALESCE(s.down, (0)::bigint) AS "coalesce",
         CASE
             WHEN (s.site_id IS NOT NULL) THEN (((s.undecided + (s.missed)::bigint) + the_pipeline.slots_in((s.first_slot - w.starts), s.first_interval)) + the_pipeline.slots_in(((w.ends - s.last_slot) - '00:00:00.000001'::interval), s.last_interval))
             WHEN (w.ends <= w.starts) THEN (0)::bigint
             WHEN (w.last_slot >= w.ends) THEN (the_pipeline.slots_in((w.last_slot - w.starts), w.interval_us) - the_pipeline.slots_in((w.last_slot - w.ends), w.interval_us))
             ELSE (the_pipeline.slots_in(((w.ends - w.last_slot) - '00:00:00.000001'::interval), w.interval_us) - the_pipeline.slots_in(((w.starts - w.last_slot) - '00:00:00.000001'::interval), w.interval_us))
         END AS "case",
     COALESCE(s.maintenance, (0)::bigint) AS "coalesce"
    FROM (watched w
      LEFT JOIN seen s USING (site_id, location));
END;
CREATE TABLE the_pipeline.audit_day (
    day date NOT NULL,
    summed_at timestamp with time zone DEFAULT now() NOT NULL
);
CREATE TABLE the_pipeline.audit_sum (
    day date NOT NULL,
    producer_id uuid NOT NULL,
    seqs int8multirange NOT NULL,
    doubled int8multirange NOT NULL
);
CREATE TABLE the_pipeline.dirty_hour (
    hour timestamp with time zone NOT NULL,
    partition integer NOT NULL,
    marks bigint DEFAULT 1 NOT NULL,
    marked_at timestamp with time zone DEFAULT now() NOT NULL
)
WITH (fillfactor='20');
CREATE TABLE the_pipeline.rejected (
    rejected_id bigint NOT NULL,
    topic text NOT NULL,
    partition integer NOT NULL,
    "offset" bigint NOT NULL,
    raw bytea NOT NULL,
    reason text NOT NULL,
    rejected_at timestamp with time zone DEFAULT now() NOT NULL,
    producer_id uuid,
    seq bigint,
    doubled boolean DEFAULT false NOT NULL,
    digest bytea GENERATED ALWAYS AS (sha256(raw)) STORED NOT NULL
);
CREATE TABLE the_pipeline.result_day (
    day date NOT NULL
);
CREATE VIEW the_pipeline.summed_day AS
 SELECT a.day
   FROM the_pipeline.audit_day a
  WHERE (NOT (EXISTS ( SELECT
           FROM the_pipeline.dirty_hour d
          WHERE ((d.hour >= ((a.day)::timestamp without time zone AT TIME ZONE 'UTC'::text)) AND (d.hour < (((a.day + 1))::timestamp without time zone AT TIME ZONE 'UTC'::text))))));
CREATE VIEW the_pipeline.audit_ranges AS
 WITH day_sum AS (
         SELECT s.producer_id,
            s.seqs,
            s.doubled
           FROM (the_pipeline.audit_sum s
             JOIN the_pipeline.summed_day USING (day))
        UNION ALL
         SELECT n.producer_id,
            n.seqs,
            n.doubled
           FROM (((
                         SELECT result_day.day
                           FROM the_pipeline.result_day
                        UNION
                         SELECT audit_day.day
                           FROM the_pipeline.audit_day
                ) EXCEPT
                 SELECT summed_day.day
                   FROM the_pipeline.summed_day) o
             CROSS JOIN LATERAL the_pipeline.day_numbers(o.day) n(producer_id, seqs, doubled))
        ), piece AS (
         SELECT day_sum.producer_id,
            unnest(day_sum.seqs) AS seqs
           FROM day_sum
        UNION ALL
         SELECT gap.producer_id,
            int8range(gap.seq, (gap.seq + 1)) AS int8range
           FROM the_pipeline.gap
          WHERE (gap.seq IS NOT NULL)
        ), edge AS (
         SELECT piece.producer_id,
            lower(piece.seqs) AS at,
            1 AS step
           FROM piece
        UNION ALL
         SELECT piece.producer_id,
            upper(piece.seqs) AS upper,
            '-1'::integer
           FROM piece
        ), depth AS (
         SELECT edge.producer_id,
            edge.at,
            sum(sum(edge.step)) OVER w AS depth,
            lead(edge.at) OVER w AS until
           FROM edge
          GROUP BY edge.producer_id, edge.at
          WINDOW w AS (PARTITION BY edge.producer_id ORDER BY edge.at)
        ), stored AS (
         SELECT depth.producer_id,
            range_agg(int8range(depth.at, depth.until)) FILTER (WHERE (depth.depth > (0)::numeric)) AS seqs,
            range_agg(int8range(depth.at, depth.until)) FILTER (WHERE (depth.depth > (1)::numeric)) AS again
           FROM depth
          WHERE (depth.until IS NOT NULL)
          GROUP BY depth.producer_id
        ), declared AS (
         SELECT gap.producer_id,
            range_agg(int8range(gap.first_seq, (gap.last_seq + 1))) AS seqs
           FROM the_pipeline.gap
          WHERE ((gap.producer_id IS NOT NULL) AND (gap.first_seq IS NOT NULL))
          GROUP BY gap.producer_id
        ), doubled AS (
         SELECT twice.producer_id,
            range_agg(twice.seqs) AS seqs
           FROM ( SELECT day_sum.producer_id,
                    unnest(day_sum.doubled) AS seqs
                   FROM day_sum
                UNION ALL
                 SELECT stored.producer_id,
                    unnest(stored.again) AS unnest
                   FROM stored
                UNION ALL
                 SELECT rejected.producer_id,
                    int8range(rejected.seq, (rejected.seq + 1)) AS int8range
                   FROM the_pipeline.rejected
                  WHERE rejected.doubled) twice
          GROUP BY twice.producer_id
        ), known AS (
         SELECT producer_id,
            COALESCE(s.seqs, '{}'::int8multirange) AS stored,
            COALESCE(d_1.seqs, '{}'::int8multirange) AS declared,
            (GREATEST(upper(s.seqs), upper(d_1.seqs)) - 1) AS last
           FROM (stored s
             FULL JOIN declared d_1 USING (producer_id))
        )
 SELECT k.producer_id,
    k.last,
    k.stored,
    (k.declared - k.stored) AS declared,
    ((int8multirange(int8range((1)::bigint, (k.last + 1))) - k.stored) - k.declared) AS missing,
    COALESCE(d.seqs, '{}'::int8multirange) AS doubled
   FROM (known k
     LEFT JOIN doubled d USING (producer_id));
CREATE VIEW the_pipeline.audit AS
 SELECT audit_ranges.producer_id,
    (1)::bigint AS first,
    audit_ranges.last,
    the_pipeline.count_of(audit_ranges.stored) AS stored,
    the_pipeline.count_of(audit_ranges.declared) AS declared,
    the_pipeline.count_of(audit_ranges.missing) AS missing,
    the_pipeline.count_of(audit_ranges.doubled) AS doubled
   FROM the_pipeline.audit_ranges;
CREATE TABLE the_pipeline.certificate (
    certificate_id integer NOT NULL,
    subject text,
    issuer text,
    digest bytea NOT NULL
);
ALTER TABLE the_pipeline.certificate ALTER COLUMN certificate_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME the_pipeline.certificate_certificate_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE VIEW the_pipeline.check_result AS
 SELECT r.producer_id,
    r.seq,
    r.location,
    s.name AS site,
    v.url,
    v."group",
    r.scheduled_at,
    r.started_at,
    r.finished_at,
        CASE
            WHEN (r.failure_kind IS NULL) THEN 'up'::text
            ELSE 'down'::text
        END AS outcome,
    r.failure_kind,
    r.failure_detail,
    r.status,
    r.body_matched,
    r.body_bytes,
    r.http_version,
    r.remote_addr,
    r.final_url,
    r.redirects,
    r.dns_us,
    r.connect_us,
    r.tls_us,
    r.first_byte_us,
    r.body_us,
    r.total_us,
    r.certificate_expires_at,
    v.config_hash,
    (r.extra -> 'hops'::text) AS hops,
    (r.extra -> 'further_failures'::text) AS further_failures,
    c.subject AS certificate_subject,
    c.issuer AS certificate_issuer,
    COALESCE(((r.extra -> 'insecure'::text))::boolean, false) AS insecure,
    (r.extra ->> 'dns_code'::text) AS dns_code,
    r.queue_us,
    ((r.extra -> 'reference_answered'::text))::boolean AS reference_answered,
    r.prober_fault,
    COALESCE(r.maintenance, false) AS maintenance,
    r.confirmation,
    r.confirmed,
    ((EXTRACT(epoch FROM (r.started_at - r.scheduled_at)) * (1000000)::numeric))::bigint AS lateness_us
   FROM (((the_pipeline.result r
     JOIN the_pipeline.site s USING (site_id))
     JOIN the_pipeline.site_version v USING (version_id))
     LEFT JOIN the_pipeline.certificate c USING (certificate_id));
CREATE TABLE the_pipeline.consumer (
    owner uuid NOT NULL,
    topic text NOT NULL,
    expires_at timestamp with time zone NOT NULL
);
ALTER TABLE the_pipeline.gap ALTER COLUMN gap_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME the_pipeline.gap_gap_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE the_pipeline.incident (
    incident_id bigint NOT NULL,
    site_id integer NOT NULL,
    location text NOT NULL,
    opened_at timestamp with time zone NOT NULL,
    closed_at timestamp with time zone,
    failure_kind text NOT NULL,
    failure_detail text NOT NULL,
    CONSTRAINT incident_check CHECK ((closed_at >= opened_at))
);
ALTER TABLE the_pipeline.incident ALTER COLUMN incident_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME the_pipeline.incident_incident_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE VIEW the_pipeline.latest_status AS
 SELECT s.name AS site,
    t.location,
    v.url,
    v."group",
        CASE
            WHEN (t.failure_kind IS NULL) THEN 'up'::text
            ELSE 'down'::text
        END AS outcome,
    t.failure_kind,
    t.failure_detail,
    t.status,
    t.total_us,
    t.since,
    t.scheduled_at,
    t.finished_at,
    t.certificate_expires_at,
    t.producer_id,
    t.seq,
    t.prober_fault,
    t.maintenance,
    t.confirmed,
        CASE t.is_down
            WHEN true THEN 'down'::text
            WHEN false THEN 'up'::text
            ELSE NULL::text
        END AS state
   FROM ((the_pipeline.site_status t
     JOIN the_pipeline.site s USING (site_id))
     JOIN the_pipeline.site_version v USING (version_id));
CREATE TABLE the_pipeline.maintenance (
    only_row boolean DEFAULT true NOT NULL,
    owner uuid,
    expires_at timestamp with time zone,
    rolled_until timestamp with time zone,
    CONSTRAINT maintenance_only_row_check CHECK (only_row)
);
CREATE TABLE the_pipeline.offset_jump (
    jump_id bigint NOT NULL,
    topic text NOT NULL,
    partition integer NOT NULL,
    from_offset bigint NOT NULL,
    to_offset bigint,
    reason text NOT NULL,
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    moved_by text DEFAULT SESSION_USER NOT NULL,
    accepted_at timestamp with time zone,
    CONSTRAINT offset_jump_reason_check CHECK ((reason = ANY (ARRAY['replay'::text, 'new_topic'::text, 'truncated'::text, 'unexplained'::text])))
);
ALTER TABLE the_pipeline.offset_jump ALTER COLUMN jump_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME the_pipeline.offset_jump_jump_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE VIEW the_pipeline.open_hour AS
 SELECT dirty_hour.hour
   FROM the_pipeline.dirty_hour
UNION
 SELECT generate_series(COALESCE(m.rolled_until, ( SELECT date_trunc('hour'::text, min(t.first_scheduled_at), 'UTC'::text) AS date_trunc
           FROM the_pipeline.site_status t)), date_trunc('hour'::text, now(), 'UTC'::text), '01:00:00'::interval) AS hour
   FROM the_pipeline.maintenance m;
CREATE TABLE the_pipeline.partition_offset (
    topic text NOT NULL,
    partition integer NOT NULL,
    next_offset bigint NOT NULL,
    anchor bytea,
    owner uuid,
    epoch bigint DEFAULT 0 NOT NULL,
    expires_at timestamp with time zone
)
WITH (fillfactor='20');
CREATE TABLE the_pipeline.refinery_schema_history (
    version integer NOT NULL,
    name character varying(255),
    applied_on character varying(255),
    checksum character varying(255)
);
ALTER TABLE the_pipeline.rejected ALTER COLUMN rejected_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME the_pipeline.rejected_rejected_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE the_pipeline.result_20261121 (
    scheduled_at timestamp with time zone NOT NULL,
    seq bigint NOT NULL,
    started_at timestamp with time zone NOT NULL,
    finished_at timestamp with time zone NOT NULL,
    certificate_expires_at timestamp with time zone,
    dns_us bigint,
    connect_us bigint,
    tls_us bigint,
    first_byte_us bigint,
    body_us bigint,
    total_us bigint NOT NULL,
    body_bytes bigint,
    producer_id uuid NOT NULL,
    site_id integer NOT NULL,
    version_id integer NOT NULL,
    status integer,
    redirects integer NOT NULL,
    body_matched boolean,
    location text NOT NULL,
    failure_kind text,
    failure_detail text,
    http_version text,
    remote_addr text,
    final_url text,
    queue_us bigint,
    certificate_id integer,
    confirmation integer,
    maintenance boolean,
    confirmed boolean,
    prober_fault text,
    extra jsonb,
    CONSTRAINT result_check CHECK (((failure_kind IS NULL) = (failure_detail IS NULL)))
);
CREATE TABLE the_pipeline.result_20261122 (
    scheduled_at timestamp with time zone NOT NULL,
    seq bigint NOT NULL,
    started_at timestamp with time zone NOT NULL,
    finished_at timestamp with time zone NOT NULL,
    certificate_expires_at timestamp with time zone,
    dns_us bigint,
    connect_us bigint,
    tls_us bigint,
    first_byte_us bigint,
    body_us bigint,
    total_us bigint NOT NULL,
    body_bytes bigint,
    producer_id uuid NOT NULL,
    site_id integer NOT NULL,
    version_id integer NOT NULL,
    status integer,
    redirects integer NOT NULL,
    body_matched boolean,
    location text NOT NULL,
    failure_kind text,
    failure_detail text,
    http_version text,
    remote_addr text,
    final_url text,
    queue_us bigint,
    certificate_id integer,
    confirmation integer,
    maintenance boolean,
    confirmed boolean,
    prober_fault text,
    extra jsonb,
    CONSTRAINT result_check CHECK (((failure_kind IS NULL) = (failure_detail IS NULL)))
);
CREATE TABLE the_pipeline.result_20261123 (
    scheduled_at timestamp with time zone NOT NULL,
    seq bigint NOT NULL,
    started_at timestamp with time zone NOT NULL,
    finished_at timestamp with time zone NOT NULL,
    certificate_expires_at timestamp with time zone,
    dns_us bigint,
    connect_us bigint,
    tls_us bigint,
    first_byte_us bigint,
    body_us bigint,
    total_us bigint NOT NULL,
    body_bytes bigint,
    producer_id uuid NOT NULL,
    site_id integer NOT NULL,
    version_id integer NOT NULL,
    status integer,
    redirects integer NOT NULL,
    body_matched boolean,
    location text NOT NULL,
    failure_kind text,
    failure_detail text,
    http_version text,
    remote_addr text,
    final_url text,
    queue_us bigint,
    certificate_id integer,
    confirmation integer,
    maintenance boolean,
    confirmed boolean,
    prober_fault text,
    extra jsonb,
    CONSTRAINT result_check CHECK (((failure_kind IS NULL) = (failure_detail IS NULL)))
);
ALTER TABLE the_pipeline.site ALTER COLUMN site_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME the_pipeline.site_site_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
ALTER TABLE the_pipeline.site_version ALTER COLUMN version_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME the_pipeline.site_version_version_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE the_pipeline.uptime_hour (
    site_id integer NOT NULL,
    location text NOT NULL,
    hour timestamp with time zone NOT NULL,
    up bigint NOT NULL,
    down bigint NOT NULL,
    unknown bigint NOT NULL,
    maintenance bigint DEFAULT 0 NOT NULL
);
CREATE VIEW the_pipeline.uptime AS
 SELECT s.name AS site,
    u.location,
    u.hour,
    u.up,
    u.down,
    u.unknown,
    round(((100.0 * (u.up)::numeric) / (NULLIF((u.up + u.down), 0))::numeric), 4) AS uptime_percent,
    u.maintenance
   FROM (( SELECT h.hour,
            h.site_id,
            h.location,
            h.up,
            h.down,
            h.unknown,
            h.maintenance
           FROM the_pipeline.uptime_hour h
          WHERE (NOT (EXISTS ( SELECT
                   FROM the_pipeline.open_hour o
                  WHERE (o.hour = h.hour))))
        UNION ALL
         SELECT o.hour,
            b.site_id,
            b.location,
            b.up,
            b.down,
            b.unknown,
            b.maintenance
           FROM (the_pipeline.open_hour o
             CROSS JOIN LATERAL the_pipeline.uptime_between(o.hour, (o.hour + '01:00:00'::interval)) b(site_id, location, up, down, unknown, maintenance))) u
     JOIN the_pipeline.site s USING (site_id))
  WHERE ((((u.up + u.down) + u.unknown) + u.maintenance) > 0);
ALTER TABLE ONLY the_pipeline.result ATTACH PARTITION the_pipeline.result_20261121 FOR VALUES FROM ('2026-11-21 00:00:00+00') TO ('2026-11-22 00:00:00+00');
ALTER TABLE ONLY the_pipeline.result ATTACH PARTITION the_pipeline.result_20261122 FOR VALUES FROM ('2026-11-22 00:00:00+00') TO ('2026-11-23 00:00:00+00');
ALTER TABLE ONLY the_pipeline.result ATTACH PARTITION the_pipeline.result_20261123 FOR VALUES FROM ('2026-11-23 00:00:00+00') TO ('2026-11-24 00:00:00+00');
INSERT INTO the_pipeline.dirty_hour VALUES
	('2026-11-21 16:00:00+00', 0, 9, '2026-11-21 16:03:14.19103+00'),
	('2026-11-21 16:00:00+00', 2, 9, '2026-11-21 16:03:14.19103+00'),
	('2026-11-21 16:00:00+00', 4, 8, '2026-11-21 16:03:14.19103+00'),
	('2026-11-21 16:00:00+00', 3, 8, '2026-11-21 16:03:14.95671+00'),
	('2026-11-21 16:00:00+00', 5, 6, '2026-11-21 16:03:15.047877+00');
INSERT INTO the_pipeline.gap OVERRIDING SYSTEM VALUE VALUES
	(1, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 12, 'tests', 'overrun', NULL, NULL, '2026-11-21 16:03:01.615512+00', '2026-11-21 16:03:01.615512+00', '{slow}', NULL, NULL, NULL, NULL, NULL, '2026-11-21 16:03:08.619867+00'),
	(2, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 29, 'tests', 'overrun', NULL, NULL, '2026-11-21 16:03:02.115512+00', '2026-11-21 16:03:02.115512+00', '{slow}', NULL, NULL, NULL, NULL, NULL, '2026-11-21 16:03:08.619867+00'),
	(3, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 43, 'tests', 'overrun', NULL, NULL, '2026-11-21 16:03:03.115512+00', '2026-11-21 16:03:03.615512+00', '{slow}', NULL, NULL, NULL, NULL, NULL, '2026-11-21 16:03:08.619867+00'),
	(4, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 60, 'tests', 'overrun', NULL, NULL, '2026-11-21 16:03:04.615512+00', '2026-11-21 16:03:04.615512+00', '{slow}', NULL, NULL, NULL, NULL, NULL, '2026-11-21 16:03:08.619867+00'),
	(5, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 75, 'tests', 'overrun', NULL, NULL, '2026-11-21 16:03:05.115512+00', '2026-11-21 16:03:05.115512+00', '{slow}', NULL, NULL, NULL, NULL, NULL, '2026-11-21 16:03:08.619867+00'),
	(6, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 94, 'tests', 'overrun', NULL, NULL, '2026-11-21 16:03:06.115512+00', '2026-11-21 16:03:06.615512+00', '{slow}', NULL, NULL, NULL, NULL, NULL, '2026-11-21 16:03:08.619867+00'),
	(7, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 109, 'tests', 'overrun', NULL, NULL, '2026-11-21 16:03:07.615512+00', '2026-11-21 16:03:07.615512+00', '{slow}', NULL, NULL, NULL, NULL, NULL, '2026-11-21 16:03:10.238373+00'),
	(8, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 123, 'tests', 'overrun', NULL, NULL, '2026-11-21 16:03:08.115512+00', '2026-11-21 16:03:08.115512+00', '{slow}', NULL, NULL, NULL, NULL, NULL, '2026-11-21 16:03:10.238373+00'),
	(9, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 141, 'tests', 'overrun', NULL, NULL, '2026-11-21 16:03:09.115512+00', '2026-11-21 16:03:09.615512+00', '{slow}', NULL, NULL, NULL, NULL, NULL, '2026-11-21 16:03:12.440659+00'),
	(10, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 144, 'tests', 'producer_down', NULL, NULL, '2026-11-21 16:03:10.094691+00', '2026-11-21 16:03:11.663659+00', NULL, NULL, NULL, NULL, NULL, NULL, '2026-11-21 16:03:12.925741+00'),
	(11, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 160, 'tests', 'overrun', NULL, NULL, '2026-11-21 16:03:12.615512+00', '2026-11-21 16:03:12.615512+00', '{slow}', NULL, NULL, NULL, NULL, NULL, '2026-11-21 16:03:12.925741+00'),
	(12, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 176, 'tests', 'overrun', NULL, NULL, '2026-11-21 16:03:13.115512+00', '2026-11-21 16:03:13.115512+00', '{slow}', NULL, NULL, NULL, NULL, NULL, '2026-11-21 16:03:14.19103+00');
INSERT INTO the_pipeline.incident OVERRIDING SYSTEM VALUE VALUES
	(1, 1, 'tests', '2026-11-21 16:03:01.112992+00', NULL, 'status', 'status 200, expected 404'),
	(2, 2, 'tests', '2026-11-21 16:03:01.352454+00', NULL, 'connect_refused', 'connection refused by 127.0.0.1:1');
INSERT INTO the_pipeline.maintenance VALUES
	(true, NULL, NULL, NULL);
INSERT INTO the_pipeline.partition_offset VALUES
	('the_pipeline', 0, 24, '\xf6bf1b636a01dd69fc9a5839b79a9d80a48607fc2e809539324826eaba14a5fe', NULL, 1, NULL),
	('the_pipeline', 1, 2, '\xb3d510ef04275ca8e698e5b3cbb0ece3949ef9252f0cdc839e9ee347409a2209', NULL, 1, NULL),
	('the_pipeline', 2, 24, '\x1f7917c32063f3f5bc3cc75e5e5302afa74e68e30345364608ef2706bfc50856', NULL, 1, NULL),
	('the_pipeline', 3, 31, '\xca5c26652b3eccf7bc0b41abf8dbd8f0ec4a79e9944e1a11c3561d048492dbfd', NULL, 1, NULL),
	('the_pipeline', 4, 92, '\xf44f1e315bcb355eb7a4d50cddf689a9fc06bb3eccbacf1b1578c5cc02c9f470', NULL, 1, NULL),
	('the_pipeline', 5, 15, '\x390ac3950d4130a94073ab24cf3600e4acf13f3915d9bc7533c724fd721c2ea8', NULL, 1, NULL);
INSERT INTO the_pipeline.producer VALUES
	('d8001b80-affc-4deb-a18f-ff4ac8932ca3', 'tests', '2026-11-21 16:03:08.619867+00', 182, '2026-11-21 16:03:14.938431+00', 'stopping', 6, '0db8647deaaf4e34', '0.1.0');
INSERT INTO the_pipeline.producer_event VALUES
	('d8001b80-affc-4deb-a18f-ff4ac8932ca3', 1, 'producer', 'tests', '2026-11-21 16:03:00.846916+00', 'started', 6, '0db8647deaaf4e34', '0.1.0', NULL),
	('d8001b80-affc-4deb-a18f-ff4ac8932ca3', 145, 'producer', 'tests', '2026-11-21 16:03:11.663659+00', 'started', 6, '0db8647deaaf4e34', '0.1.0', NULL),
	('d8001b80-affc-4deb-a18f-ff4ac8932ca3', 182, 'producer', 'tests', '2026-11-21 16:03:14.938431+00', 'stopping', 6, '0db8647deaaf4e34', '0.1.0', NULL);
INSERT INTO the_pipeline.refinery_schema_history VALUES
	(1, 'tables', '2026-11-21T16:03:00.992193164Z', '17095840046069784475'),
	(2, 'views', '2026-11-21T16:03:00.992207505Z', '1861433639740895564'),
	(3, 'roles', '2026-11-21T16:03:00.992213444Z', '82048660044133263'),
	(4, 'truth', '2026-11-21T16:03:00.992215137Z', '17725285690442015586'),
	(5, 'watching', '2026-11-21T16:03:00.992221266Z', '1609182434676443031');
INSERT INTO the_pipeline.rejected OVERRIDING SYSTEM VALUE VALUES
	(1, 'the_pipeline', 1, 0, '\x6e6f206576656e74', 'not an event: expected ident at line 1 column 2', '2026-11-21 16:03:11.309181+00', NULL, NULL, false, DEFAULT),
	(2, 'the_pipeline', 1, 1, '\xfffe', 'not UTF-8: invalid utf-8 sequence of 1 bytes from index 0', '2026-11-21 16:03:11.309181+00', NULL, NULL, false, DEFAULT);
INSERT INTO the_pipeline.result_20261121 VALUES
	('2026-11-21 16:03:01.09208+00', 2, '2026-11-21 16:03:01.092965+00', '2026-11-21 16:03:01.112992+00', NULL, NULL, 162, NULL, 19268, 105, 20027, 5, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 1, 1, 200, 0, false, 'tests', 'status', 'status 200, expected 404', 'HTTP/1.1', '127.0.0.1:44917', NULL, 212, NULL, NULL, false, NULL, NULL, '{"further_failures": [{"kind": "body_mismatch", "detail": "body without a match for \"nowhere\""}]}'),
	('2026-11-21 16:03:01.115512+00', 24, '2026-11-21 16:03:01.153869+00', '2026-11-21 16:03:02.504388+00', NULL, NULL, 111, NULL, 1350127, 40, 1350519, 7, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 6, 6, 200, 0, NULL, 'tests', NULL, NULL, 'HTTP/1.1', '127.0.0.1:42251', NULL, 34074, NULL, NULL, false, NULL, NULL, NULL),
	('2026-11-21 16:03:01.24029+00', 4, '2026-11-21 16:03:01.288569+00', '2026-11-21 16:03:01.354821+00', NULL, NULL, 3761, NULL, 61021, 26, 66252, 5, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 5, 5, 200, 1, NULL, 'tests', NULL, NULL, 'HTTP/1.1', '127.0.0.1:44917', 'http://127.0.0.1:44917/', 211, NULL, NULL, false, NULL, NULL, '{"hops": [{"url": "http://127.0.0.1:44927/", "status": 302, "timings_us": {"total": 47773, "connect": 74, "first_byte": 47581}, "remote_addr": "127.0.0.1:44927"}, {"url": "http://127.0.0.1:44917/", "status": 200, "timings_us": {"body": 26, "total": 18474, "connect": 3687, "first_byte": 13440}, "remote_addr": "127.0.0.1:44917"}]}'),
	('2026-11-21 16:03:01.262577+00', 3, '2026-11-21 16:03:01.284116+00', '2026-11-21 16:03:01.288839+00', NULL, NULL, 450, NULL, NULL, NULL, 4723, NULL, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 4, 4, NULL, 0, NULL, 'tests', 'connect_refused', 'connection refused by 127.0.0.1:1', NULL, NULL, NULL, 1164, NULL, NULL, true, NULL, NULL, NULL),
	('2026-11-21 16:03:01.315364+00', 6, '2026-11-21 16:03:01.335612+00', '2026-11-21 16:03:01.352454+00', NULL, NULL, 16575, NULL, NULL, NULL, 16842, NULL, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 2, 2, NULL, 0, NULL, 'tests', 'connect_refused', 'connection refused by 127.0.0.1:1', NULL, NULL, NULL, 58, NULL, NULL, false, true, NULL, NULL),
	('2026-11-21 16:03:01.315364+00', 7, '2026-11-21 16:03:01.352508+00', '2026-11-21 16:03:01.354631+00', NULL, NULL, 1993, NULL, NULL, NULL, 2123, NULL, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 2, 2, NULL, 0, NULL, 'tests', 'connect_refused', 'connection refused by 127.0.0.1:1', NULL, NULL, NULL, NULL, NULL, 1, false, NULL, NULL, NULL),
	('2026-11-21 16:03:01.315364+00', 8, '2026-11-21 16:03:01.455997+00', '2026-11-21 16:03:01.456744+00', NULL, NULL, 165, NULL, NULL, NULL, 747, NULL, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 2, 2, NULL, 0, NULL, 'tests', 'connect_refused', 'connection refused by 127.0.0.1:1', NULL, NULL, NULL, NULL, NULL, 2, false, NULL, NULL, NULL),
	('2026-11-21 16:03:01.343049+00', 5, '2026-11-21 16:03:01.354908+00', '2026-11-21 16:03:01.356106+00', NULL, NULL, 166, NULL, 852, 17, 1198, 5, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 3, 3, 200, 0, NULL, 'tests', NULL, NULL, 'HTTP/1.1', '127.0.0.1:44917', NULL, 475, NULL, NULL, false, NULL, NULL, NULL),
	('2026-11-21 16:03:01.59208+00', 9, '2026-11-21 16:03:01.609979+00', '2026-11-21 16:03:01.63248+00', NULL, NULL, 135, NULL, 1024, 40, 22501, 5, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 1, 1, 200, 0, false, 'tests', 'status', 'status 200, expected 404', 'HTTP/1.1', '127.0.0.1:44917', NULL, 999, NULL, NULL, false, NULL, NULL, '{"further_failures": [{"kind": "body_mismatch", "detail": "body without a match for \"nowhere\""}]}'),
	('2026-11-21 16:03:01.74029+00', 10, '2026-11-21 16:03:01.761865+00', '2026-11-21 16:03:01.763608+00', NULL, NULL, 271, NULL, 1120, 23, 1743, 5, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 5, 5, 200, 1, NULL, 'tests', NULL, NULL, 'HTTP/1.1', '127.0.0.1:44917', 'http://127.0.0.1:44917/', 21401, NULL, NULL, false, NULL, NULL, '{"hops": [{"url": "http://127.0.0.1:44927/", "status": 302, "timings_us": {"total": 1324, "connect": 122, "first_byte": 962}, "remote_addr": "127.0.0.1:44927"}, {"url": "http://127.0.0.1:44917/", "status": 200, "timings_us": {"body": 23, "total": 412, "connect": 149, "first_byte": 158}, "remote_addr": "127.0.0.1:44917"}]}'),
	('2026-11-21 16:03:01.762577+00', 11, '2026-11-21 16:03:01.786055+00', '2026-11-21 16:03:01.786427+00', NULL, NULL, 143, NULL, NULL, NULL, 372, NULL, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 4, 4, NULL, 0, NULL, 'tests', 'connect_refused', 'connection refused by 127.0.0.1:1', NULL, NULL, NULL, 49, NULL, NULL, true, NULL, NULL, NULL),
	('2026-11-21 16:03:01.815364+00', 14, '2026-11-21 16:03:01.828716+00', '2026-11-21 16:03:01.829201+00', NULL, NULL, 166, NULL, NULL, NULL, 485, NULL, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 2, 2, NULL, 0, NULL, 'tests', 'connect_refused', 'connection refused by 127.0.0.1:1', NULL, NULL, NULL, 347, NULL, NULL, false, true, NULL, NULL),
	('2026-11-21 16:03:01.815364+00', 15, '2026-11-21 16:03:01.829294+00', '2026-11-21 16:03:01.829673+00', NULL, NULL, 196, NULL, NULL, NULL, 379, NULL, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 2, 2, NULL, 0, NULL, 'tests', 'connect_refused', 'connection refused by 127.0.0.1:1', NULL, NULL, NULL, NULL, NULL, 1, false, NULL, NULL, NULL),
	('2026-11-21 16:03:01.815364+00', 16, '2026-11-21 16:03:01.973461+00', '2026-11-21 16:03:01.973908+00', NULL, NULL, 123, NULL, NULL, NULL, 447, NULL, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 2, 2, NULL, 0, NULL, 'tests', 'connect_refused', 'connection refused by 127.0.0.1:1', NULL, NULL, NULL, NULL, NULL, 2, false, NULL, NULL, NULL),
	('2026-11-21 16:03:01.843049+00', 13, '2026-11-21 16:03:01.854468+00', '2026-11-21 16:03:01.881242+00', NULL, NULL, 148, NULL, 24957, 52, 26774, 5, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 3, 3, 200, 0, NULL, 'tests', NULL, NULL, 'HTTP/1.1', '127.0.0.1:44917', NULL, 10976, NULL, NULL, false, NULL, NULL, NULL),
	('2026-11-21 16:03:02.09208+00', 17, '2026-11-21 16:03:02.09589+00', '2026-11-21 16:03:02.101107+00', NULL, NULL, 96, NULL, 3343, 63, 5217, 5, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 1, 1, 200, 0, false, 'tests', 'status', 'status 200, expected 404', 'HTTP/1.1', '127.0.0.1:44917', NULL, 56, NULL, NULL, false, NULL, NULL, '{"further_failures": [{"kind": "body_mismatch", "detail": "body without a match for \"nowhere\""}]}'),
	('2026-11-21 16:03:02.24029+00', 18, '2026-11-21 16:03:02.254563+00', '2026-11-21 16:03:02.261619+00', NULL, NULL, 1354, NULL, 5356, 21, 7056, 5, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 5, 5, 200, 1, NULL, 'tests', NULL, NULL, 'HTTP/1.1', '127.0.0.1:44917', 'http://127.0.0.1:44917/', 7152, NULL, NULL, false, NULL, NULL, '{"hops": [{"url": "http://127.0.0.1:44927/", "status": 302, "timings_us": {"total": 5566, "connect": 1260, "first_byte": 4078}, "remote_addr": "127.0.0.1:44927"}, {"url": "http://127.0.0.1:44917/", "status": 200, "timings_us": {"body": 21, "total": 1483, "connect": 93, "first_byte": 1277}, "remote_addr": "127.0.0.1:44917"}]}'),
	('2026-11-21 16:03:02.262577+00', 19, '2026-11-21 16:03:02.263942+00', '2026-11-21 16:03:02.265092+00', NULL, NULL, 989, NULL, NULL, NULL, 1150, NULL, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 4, 4, NULL, 0, NULL, 'tests', 'connect_refused', 'connection refused by 127.0.0.1:1', NULL, NULL, NULL, 1204, NULL, NULL, true, NULL, NULL, NULL),
	('2026-11-21 16:03:02.315364+00', 21, '2026-11-21 16:03:02.32108+00', '2026-11-21 16:03:02.322173+00', NULL, NULL, 838, NULL, NULL, NULL, 1093, NULL, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 2, 2, NULL, 0, NULL, 'tests', 'connect_refused', 'connection refused by 127.0.0.1:1', NULL, NULL, NULL, 133, NULL, NULL, false, true, NULL, NULL),
	('2026-11-21 16:03:02.315364+00', 22, '2026-11-21 16:03:02.324061+00', '2026-11-21 16:03:02.337005+00', NULL, NULL, 9071, NULL, NULL, NULL, 12944, NULL, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 2, 2, NULL, 0, NULL, 'tests', 'connect_refused', 'connection refused by 127.0.0.1:1', NULL, NULL, NULL, NULL, NULL, 1, false, NULL, NULL, NULL),
	('2026-11-21 16:03:02.315364+00', 23, '2026-11-21 16:03:02.424412+00', '2026-11-21 16:03:02.425388+00', NULL, NULL, 528, NULL, NULL, NULL, 976, NULL, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 2, 2, NULL, 0, NULL, 'tests', 'connect_refused', 'connection refused by 127.0.0.1:1', NULL, NULL, NULL, NULL, NULL, 2, false, NULL, NULL, NULL),
	('2026-11-21 16:03:02.343049+00', 20, '2026-11-21 16:03:02.343962+00', '2026-11-21 16:03:02.345206+00', NULL, NULL, 297, NULL, 716, 23, 1244, 5, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 3, 3, 200, 0, NULL, 'tests', NULL, NULL, 'HTTP/1.1', '127.0.0.1:44917', NULL, 54, NULL, NULL, false, NULL, NULL, NULL),
	('2026-11-21 16:03:02.59208+00', 25, '2026-11-21 16:03:02.592259+00', '2026-11-21 16:03:02.593482+00', NULL, NULL, 379, NULL, 410, 32, 1223, 5, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 1, 1, 200, 0, false, 'tests', 'status', 'status 200, expected 404', 'HTTP/1.1', '127.0.0.1:44917', NULL, 36, NULL, NULL, false, NULL, NULL, '{"further_failures": [{"kind": "body_mismatch", "detail": "body without a match for \"nowhere\""}]}'),
	('2026-11-21 16:03:02.615512+00', 45, '2026-11-21 16:03:02.622258+00', '2026-11-21 16:03:03.945077+00', NULL, NULL, 86, NULL, 1322443, 45, 1322819, 7, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 6, 6, 200, 0, NULL, 'tests', NULL, NULL, 'HTTP/1.1', '127.0.0.1:42251', NULL, 53, NULL, NULL, false, NULL, NULL, NULL),
	('2026-11-21 16:03:02.74029+00', 26, '2026-11-21 16:03:02.747974+00', '2026-11-21 16:03:02.750444+00', NULL, NULL, 780, NULL, 1342, 20, 2470, 5, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 5, 5, 200, 1, NULL, 'tests', NULL, NULL, 'HTTP/1.1', '127.0.0.1:44917', 'http://127.0.0.1:44917/', 56, NULL, NULL, false, NULL, NULL, '{"hops": [{"url": "http://127.0.0.1:44927/", "status": 302, "timings_us": {"total": 1548, "connect": 146, "first_byte": 1162}, "remote_addr": "127.0.0.1:44927"}, {"url": "http://127.0.0.1:44917/", "status": 200, "timings_us": {"body": 20, "total": 915, "connect": 633, "first_byte": 180}, "remote_addr": "127.0.0.1:44917"}]}'),
	('2026-11-21 16:03:02.762577+00', 27, '2026-11-21 16:03:02.76389+00', '2026-11-21 16:03:02.764279+00', NULL, NULL, 154, NULL, NULL, NULL, 389, NULL, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 4, 4, NULL, 0, NULL, 'tests', 'connect_refused', 'connection refused by 127.0.0.1:1', NULL, NULL, NULL, 34, NULL, NULL, true, NULL, NULL, NULL),
	('2026-11-21 16:03:02.815364+00', 30, '2026-11-21 16:03:02.819264+00', '2026-11-21 16:03:02.81991+00', NULL, NULL, 441, NULL, NULL, NULL, 646, NULL, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 2, 2, NULL, 0, NULL, 'tests', 'connect_refused', 'connection refused by 127.0.0.1:1', NULL, NULL, NULL, 54, NULL, NULL, false, true, NULL, NULL),
	('2026-11-21 16:03:02.815364+00', 31, '2026-11-21 16:03:02.819944+00', '2026-11-21 16:03:02.820047+00', NULL, NULL, 68, NULL, NULL, NULL, 103, NULL, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 2, 2, NULL, 0, NULL, 'tests', 'connect_refused', 'connection refused by 127.0.0.1:1', NULL, NULL, NULL, NULL, NULL, 1, false, NULL, NULL, NULL),
	('2026-11-21 16:03:02.815364+00', 32, '2026-11-21 16:03:02.975788+00', '2026-11-21 16:03:02.976666+00', NULL, NULL, 142, NULL, NULL, NULL, 878, NULL, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 2, 2, NULL, 0, NULL, 'tests', 'connect_refused', 'connection refused by 127.0.0.1:1', NULL, NULL, NULL, NULL, NULL, 2, false, NULL, NULL, NULL),
	('2026-11-21 16:03:02.843049+00', 28, '2026-11-21 16:03:02.844316+00', '2026-11-21 16:03:02.845137+00', NULL, NULL, 250, NULL, 306, 21, 821, 5, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 3, 3, 200, 0, NULL, 'tests', NULL, NULL, 'HTTP/1.1', '127.0.0.1:44917', NULL, 32, NULL, NULL, false, NULL, NULL, NULL),
	('2026-11-21 16:03:03.09208+00', 33, '2026-11-21 16:03:03.095877+00', '2026-11-21 16:03:03.098422+00', NULL, NULL, 152, NULL, 1185, 30, 2545, 5, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 1, 1, 200, 0, false, 'tests', 'status', 'status 200, expected 404', 'HTTP/1.1', '127.0.0.1:44917', NULL, 51, NULL, NULL, false, NULL, NULL, '{"further_failures": [{"kind": "body_mismatch", "detail": "body without a match for \"nowhere\""}]}'),
	('2026-11-21 16:03:03.24029+00', 34, '2026-11-21 16:03:03.24278+00', '2026-11-21 16:03:03.244307+00', NULL, NULL, 728, NULL, 427, 18, 1527, 5, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 5, 5, 200, 1, NULL, 'tests', NULL, NULL, 'HTTP/1.1', '127.0.0.1:44917', 'http://127.0.0.1:44917/', 59, NULL, NULL, false, NULL, NULL, '{"hops": [{"url": "http://127.0.0.1:44927/", "status": 302, "timings_us": {"total": 900, "connect": 415, "first_byte": 261}, "remote_addr": "127.0.0.1:44927"}, {"url": "http://127.0.0.1:44917/", "status": 200, "timings_us": {"body": 18, "total": 572, "connect": 312, "first_byte": 166}, "remote_addr": "127.0.0.1:44917"}]}'),
	('2026-11-21 16:03:03.262577+00', 35, '2026-11-21 16:03:03.298265+00', '2026-11-21 16:03:03.298674+00', NULL, NULL, 138, NULL, NULL, NULL, 409, NULL, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 4, 4, NULL, 0, NULL, 'tests', 'connect_refused', 'connection refused by 127.0.0.1:1', NULL, NULL, NULL, 78, NULL, NULL, true, NULL, NULL, NULL),
	('2026-11-21 16:03:03.315364+00', 37, '2026-11-21 16:03:03.355584+00', '2026-11-21 16:03:03.356303+00', NULL, NULL, 346, NULL, NULL, NULL, 719, NULL, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 2, 2, NULL, 0, NULL, 'tests', 'connect_refused', 'connection refused by 127.0.0.1:1', NULL, NULL, NULL, 23500, NULL, NULL, false, true, NULL, NULL),
	('2026-11-21 16:03:03.315364+00', 38, '2026-11-21 16:03:03.356347+00', '2026-11-21 16:03:03.356577+00', NULL, NULL, 137, NULL, NULL, NULL, 230, NULL, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 2, 2, NULL, 0, NULL, 'tests', 'connect_refused', 'connection refused by 127.0.0.1:1', NULL, NULL, NULL, NULL, NULL, 1, false, NULL, NULL, NULL),
	('2026-11-21 16:03:03.315364+00', 39, '2026-11-21 16:03:03.463224+00', '2026-11-21 16:03:03.464797+00', NULL, NULL, 141, NULL, NULL, NULL, 1573, NULL, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 2, 2, NULL, 0, NULL, 'tests', 'connect_refused', 'connection refused by 127.0.0.1:1', NULL, NULL, NULL, NULL, NULL, 2, false, NULL, NULL, NULL),
	('2026-11-21 16:03:03.343049+00', 36, '2026-11-21 16:03:03.366729+00', '2026-11-21 16:03:03.382494+00', NULL, NULL, 93, NULL, 12659, 34, 15765, 5, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 3, 3, 200, 0, NULL, 'tests', NULL, NULL, 'HTTP/1.1', '127.0.0.1:44917', NULL, 57, NULL, NULL, false, NULL, NULL, NULL),
	('2026-11-21 16:03:03.59208+00', 40, '2026-11-21 16:03:03.619854+00', '2026-11-21 16:03:03.660212+00', NULL, NULL, 122, NULL, 16074, 54, 40358, 5, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 1, 1, 200, 0, false, 'tests', 'status', 'status 200, expected 404', 'HTTP/1.1', '127.0.0.1:44917', NULL, 10075, NULL, NULL, false, NULL, NULL, '{"further_failures": [{"kind": "body_mismatch", "detail": "body without a match for \"nowhere\""}]}'),
	('2026-11-21 16:03:03.74029+00', 42, '2026-11-21 16:03:03.773719+00', '2026-11-21 16:03:03.776401+00', NULL, NULL, 1188, NULL, 1082, 19, 2682, 5, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 5, 5, 200, 1, NULL, 'tests', NULL, NULL, 'HTTP/1.1', '127.0.0.1:44917', 'http://127.0.0.1:44917/', 59, NULL, NULL, false, NULL, NULL, '{"hops": [{"url": "http://127.0.0.1:44927/", "status": 302, "timings_us": {"total": 2171, "connect": 1036, "first_byte": 829}, "remote_addr": "127.0.0.1:44927"}, {"url": "http://127.0.0.1:44917/", "status": 200, "timings_us": {"body": 19, "total": 507, "connect": 151, "first_byte": 252}, "remote_addr": "127.0.0.1:44917"}]}'),
	('2026-11-21 16:03:03.762577+00', 41, '2026-11-21 16:03:03.77383+00', '2026-11-21 16:03:03.774873+00', NULL, NULL, 128, NULL, NULL, NULL, 1043, NULL, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 4, 4, NULL, 0, NULL, 'tests', 'connect_refused', 'connection refused by 127.0.0.1:1', NULL, NULL, NULL, 135, NULL, NULL, true, NULL, NULL, NULL),
	('2026-11-21 16:03:03.815364+00', 46, '2026-11-21 16:03:03.871295+00', '2026-11-21 16:03:03.871628+00', NULL, NULL, 122, NULL, NULL, NULL, 333, NULL, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 2, 2, NULL, 0, NULL, 'tests', 'connect_refused', 'connection refused by 127.0.0.1:1', NULL, NULL, NULL, 189, NULL, NULL, false, true, NULL, NULL),
	('2026-11-21 16:03:03.815364+00', 47, '2026-11-21 16:03:03.871655+00', '2026-11-21 16:03:03.871887+00', NULL, NULL, 198, NULL, NULL, NULL, 232, NULL, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 2, 2, NULL, 0, NULL, 'tests', 'connect_refused', 'connection refused by 127.0.0.1:1', NULL, NULL, NULL, NULL, NULL, 1, false, NULL, NULL, NULL),
	('2026-11-21 16:03:03.815364+00', 48, '2026-11-21 16:03:03.972742+00', '2026-11-21 16:03:03.973347+00', NULL, NULL, 165, NULL, NULL, NULL, 605, NULL, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 2, 2, NULL, 0, NULL, 'tests', 'connect_refused', 'connection refused by 127.0.0.1:1', NULL, NULL, NULL, NULL, NULL, 2, false, NULL, NULL, NULL),
	('2026-11-21 16:03:03.843049+00', 44, '2026-11-21 16:03:03.871854+00', '2026-11-21 16:03:03.872799+00', NULL, NULL, 65, NULL, 504, 17, 945, 5, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 3, 3, 200, 0, NULL, 'tests', NULL, NULL, 'HTTP/1.1', '127.0.0.1:44917', NULL, 718, NULL, NULL, false, NULL, NULL, NULL),
	('2026-11-21 16:03:04.09208+00', 49, '2026-11-21 16:03:04.092422+00', '2026-11-21 16:03:04.097399+00', NULL, NULL, 141, NULL, 4518, 37, 4977, 5, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 1, 1, 200, 0, false, 'tests', 'status', 'status 200, expected 404', 'HTTP/1.1', '127.0.0.1:44917', NULL, 40, NULL, NULL, false, NULL, NULL, '{"further_failures": [{"kind": "body_mismatch", "detail": "body without a match for \"nowhere\""}]}'),
	('2026-11-21 16:03:04.115512+00', 67, '2026-11-21 16:03:04.116843+00', '2026-11-21 16:03:05.422797+00', NULL, NULL, 450, NULL, 1305239, 34, 1305954, 7, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 6, 6, 200, 0, NULL, 'tests', NULL, NULL, 'HTTP/1.1', '127.0.0.1:42251', NULL, 323, NULL, NULL, false, NULL, NULL, NULL),
	('2026-11-21 16:03:04.24029+00', 51, '2026-11-21 16:03:04.268893+00', '2026-11-21 16:03:04.339895+00', NULL, NULL, 10942, NULL, 59012, 21, 71002, 5, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 5, 5, 200, 1, NULL, 'tests', NULL, NULL, 'HTTP/1.1', '127.0.0.1:44917', 'http://127.0.0.1:44917/', 302, NULL, NULL, false, NULL, NULL, '{"hops": [{"url": "http://127.0.0.1:44927/", "status": 302, "timings_us": {"total": 69382, "connect": 10848, "first_byte": 58293}, "remote_addr": "127.0.0.1:44927"}, {"url": "http://127.0.0.1:44917/", "status": 200, "timings_us": {"body": 21, "total": 1612, "connect": 93, "first_byte": 719}, "remote_addr": "127.0.0.1:44917"}]}'),
	('2026-11-21 16:03:04.262577+00', 50, '2026-11-21 16:03:04.275742+00', '2026-11-21 16:03:04.288953+00', NULL, NULL, 327, NULL, NULL, NULL, 13211, NULL, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 4, 4, NULL, 0, NULL, 'tests', 'connect_refused', 'connection refused by 127.0.0.1:1', NULL, NULL, NULL, 7111, NULL, NULL, true, NULL, NULL, NULL),
	('2026-11-21 16:03:04.315364+00', 53, '2026-11-21 16:03:04.332217+00', '2026-11-21 16:03:04.332593+00', NULL, NULL, 141, NULL, NULL, NULL, 376, NULL, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 2, 2, NULL, 0, NULL, 'tests', 'connect_refused', 'connection refused by 127.0.0.1:1', NULL, NULL, NULL, 54, NULL, NULL, false, true, NULL, NULL),
	('2026-11-21 16:03:04.315364+00', 54, '2026-11-21 16:03:04.332624+00', '2026-11-21 16:03:04.336887+00', NULL, NULL, 2615, NULL, NULL, NULL, 4263, NULL, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 2, 2, NULL, 0, NULL, 'tests', 'connect_refused', 'connection refused by 127.0.0.1:1', NULL, NULL, NULL, NULL, NULL, 1, false, NULL, NULL, NULL),
	('2026-11-21 16:03:04.315364+00', 55, '2026-11-21 16:03:04.432731+00', '2026-11-21 16:03:04.433108+00', NULL, NULL, 126, NULL, NULL, NULL, 377, NULL, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 2, 2, NULL, 0, NULL, 'tests', 'connect_refused', 'connection refused by 127.0.0.1:1', NULL, NULL, NULL, NULL, NULL, 2, false, NULL, NULL, NULL),
	('2026-11-21 16:03:04.343049+00', 52, '2026-11-21 16:03:04.37636+00', '2026-11-21 16:03:04.385585+00', NULL, NULL, 588, NULL, 8367, 34, 9225, 5, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 3, 3, 200, 0, NULL, 'tests', NULL, NULL, 'HTTP/1.1', '127.0.0.1:44917', NULL, 38, NULL, NULL, false, NULL, NULL, NULL),
	('2026-11-21 16:03:04.59208+00', 56, '2026-11-21 16:03:04.600399+00', '2026-11-21 16:03:04.601325+00', NULL, NULL, 236, NULL, 408, 25, 926, 5, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 1, 1, 200, 0, false, 'tests', 'status', 'status 200, expected 404', 'HTTP/1.1', '127.0.0.1:44917', NULL, 366, NULL, NULL, false, NULL, NULL, '{"further_failures": [{"kind": "body_mismatch", "detail": "body without a match for \"nowhere\""}]}'),
	('2026-11-21 16:03:04.74029+00', 58, '2026-11-21 16:03:04.780052+00', '2026-11-21 16:03:04.783156+00', NULL, NULL, 167, NULL, 1983, 22, 3104, 5, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 5, 5, 200, 1, NULL, 'tests', NULL, NULL, 'HTTP/1.1', '127.0.0.1:44917', 'http://127.0.0.1:44917/', 108, NULL, NULL, false, NULL, NULL, '{"hops": [{"url": "http://127.0.0.1:44927/", "status": 302, "timings_us": {"total": 1851, "connect": 98, "first_byte": 910}, "remote_addr": "127.0.0.1:44927"}, {"url": "http://127.0.0.1:44917/", "status": 200, "timings_us": {"body": 22, "total": 1249, "connect": 68, "first_byte": 1072}, "remote_addr": "127.0.0.1:44917"}]}'),
	('2026-11-21 16:03:04.762577+00', 57, '2026-11-21 16:03:04.780167+00', '2026-11-21 16:03:04.780547+00', NULL, NULL, 217, NULL, NULL, NULL, 380, NULL, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 4, 4, NULL, 0, NULL, 'tests', 'connect_refused', 'connection refused by 127.0.0.1:1', NULL, NULL, NULL, 192, NULL, NULL, true, NULL, NULL, NULL),
	('2026-11-21 16:03:04.815364+00', 61, '2026-11-21 16:03:04.815589+00', '2026-11-21 16:03:04.820029+00', NULL, NULL, 4054, NULL, NULL, NULL, 4440, NULL, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 2, 2, NULL, 0, NULL, 'tests', 'connect_refused', 'connection refused by 127.0.0.1:1', NULL, NULL, NULL, 60, NULL, NULL, false, true, NULL, NULL),
	('2026-11-21 16:03:04.815364+00', 62, '2026-11-21 16:03:04.820079+00', '2026-11-21 16:03:04.821186+00', NULL, NULL, 683, NULL, NULL, NULL, 1107, NULL, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 2, 2, NULL, 0, NULL, 'tests', 'connect_refused', 'connection refused by 127.0.0.1:1', NULL, NULL, NULL, NULL, NULL, 1, false, NULL, NULL, NULL),
	('2026-11-21 16:03:04.815364+00', 63, '2026-11-21 16:03:04.920443+00', '2026-11-21 16:03:04.924176+00', NULL, NULL, 151, NULL, NULL, NULL, 3733, NULL, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 2, 2, NULL, 0, NULL, 'tests', 'connect_refused', 'connection refused by 127.0.0.1:1', NULL, NULL, NULL, NULL, NULL, 2, false, NULL, NULL, NULL),
	('2026-11-21 16:03:04.843049+00', 59, '2026-11-21 16:03:04.844133+00', '2026-11-21 16:03:04.845028+00', NULL, NULL, 172, NULL, 454, 20, 895, 5, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 3, 3, 200, 0, NULL, 'tests', NULL, NULL, 'HTTP/1.1', '127.0.0.1:44917', NULL, 66, NULL, NULL, false, NULL, NULL, NULL),
	('2026-11-21 16:03:05.09208+00', 64, '2026-11-21 16:03:05.155562+00', '2026-11-21 16:03:05.203154+00', NULL, NULL, 3918, NULL, 43215, 45, 47592, 5, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 1, 1, 200, 0, false, 'tests', 'status', 'status 200, expected 404', 'HTTP/1.1', '127.0.0.1:44917', NULL, 2215, NULL, NULL, false, NULL, NULL, '{"further_failures": [{"kind": "body_mismatch", "detail": "body without a match for \"nowhere\""}]}'),
	('2026-11-21 16:03:05.24029+00', 66, '2026-11-21 16:03:05.241695+00', '2026-11-21 16:03:05.287936+00', NULL, NULL, 1134, NULL, 43803, 55, 46241, 5, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 5, 5, 200, 1, NULL, 'tests', NULL, NULL, 'HTTP/1.1', '127.0.0.1:44917', 'http://127.0.0.1:44917/', 36, NULL, NULL, false, NULL, NULL, '{"hops": [{"url": "http://127.0.0.1:44927/", "status": 302, "timings_us": {"total": 22156, "connect": 1026, "first_byte": 20833}, "remote_addr": "127.0.0.1:44927"}, {"url": "http://127.0.0.1:44917/", "status": 200, "timings_us": {"body": 55, "total": 24076, "connect": 108, "first_byte": 22970}, "remote_addr": "127.0.0.1:44917"}]}'),
	('2026-11-21 16:03:05.262577+00', 65, '2026-11-21 16:03:05.264014+00', '2026-11-21 16:03:05.264604+00', NULL, NULL, 182, NULL, NULL, NULL, 590, NULL, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 4, 4, NULL, 0, NULL, 'tests', 'connect_refused', 'connection refused by 127.0.0.1:1', NULL, NULL, NULL, 27, NULL, NULL, true, NULL, NULL, NULL),
	('2026-11-21 16:03:05.315364+00', 68, '2026-11-21 16:03:05.324935+00', '2026-11-21 16:03:05.325408+00', NULL, NULL, 196, NULL, NULL, NULL, 473, NULL, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 2, 2, NULL, 0, NULL, 'tests', 'connect_refused', 'connection refused by 127.0.0.1:1', NULL, NULL, NULL, 1073, NULL, NULL, false, true, NULL, NULL),
	('2026-11-21 16:03:05.315364+00', 69, '2026-11-21 16:03:05.325443+00', '2026-11-21 16:03:05.362781+00', NULL, NULL, 1285, NULL, NULL, NULL, 37338, NULL, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 2, 2, NULL, 0, NULL, 'tests', 'connect_refused', 'connection refused by 127.0.0.1:1', NULL, NULL, NULL, NULL, NULL, 1, false, NULL, NULL, NULL),
	('2026-11-21 16:03:05.315364+00', 70, '2026-11-21 16:03:05.441926+00', '2026-11-21 16:03:05.442624+00', NULL, NULL, 141, NULL, NULL, NULL, 698, NULL, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 2, 2, NULL, 0, NULL, 'tests', 'connect_refused', 'connection refused by 127.0.0.1:1', NULL, NULL, NULL, NULL, NULL, 2, false, NULL, NULL, NULL),
	('2026-11-21 16:03:05.343049+00', 71, '2026-11-21 16:03:05.367874+00', '2026-11-21 16:03:05.514869+00', NULL, NULL, 128, NULL, 29884, 49, 146995, 5, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 3, 3, 200, 0, NULL, 'tests', NULL, NULL, 'HTTP/1.1', '127.0.0.1:44917', NULL, 5257, NULL, NULL, false, NULL, NULL, NULL),
	('2026-11-21 16:03:05.59208+00', 72, '2026-11-21 16:03:05.600262+00', '2026-11-21 16:03:05.637249+00', NULL, NULL, 150, NULL, 5524, 966, 36987, 5, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 1, 1, 200, 0, false, 'tests', 'status', 'status 200, expected 404', 'HTTP/1.1', '127.0.0.1:44917', NULL, 6261, NULL, NULL, false, NULL, NULL, '{"further_failures": [{"kind": "body_mismatch", "detail": "body without a match for \"nowhere\""}]}'),
	('2026-11-21 16:03:05.615512+00', 95, '2026-11-21 16:03:05.664144+00', '2026-11-21 16:03:07.040132+00', NULL, NULL, 99, NULL, 1375607, 36, 1375988, 7, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 6, 6, 200, 0, NULL, 'tests', NULL, NULL, 'HTTP/1.1', '127.0.0.1:42251', NULL, 235, NULL, NULL, false, NULL, NULL, NULL),
	('2026-11-21 16:03:05.74029+00', 74, '2026-11-21 16:03:05.770359+00', '2026-11-21 16:03:05.83714+00', NULL, NULL, 285, NULL, 54547, 50, 66781, 5, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 5, 5, 200, 1, NULL, 'tests', NULL, NULL, 'HTTP/1.1', '127.0.0.1:44917', 'http://127.0.0.1:44917/', 6157, NULL, NULL, false, NULL, NULL, '{"hops": [{"url": "http://127.0.0.1:44927/", "status": 302, "timings_us": {"total": 18603, "connect": 144, "first_byte": 6975}, "remote_addr": "127.0.0.1:44927"}, {"url": "http://127.0.0.1:44917/", "status": 200, "timings_us": {"body": 50, "total": 48169, "connect": 141, "first_byte": 47572}, "remote_addr": "127.0.0.1:44917"}]}'),
	('2026-11-21 16:03:05.762577+00', 73, '2026-11-21 16:03:05.786861+00', '2026-11-21 16:03:05.7874+00', NULL, NULL, 287, NULL, NULL, NULL, 539, NULL, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 4, 4, NULL, 0, NULL, 'tests', 'connect_refused', 'connection refused by 127.0.0.1:1', NULL, NULL, NULL, 16542, NULL, NULL, true, NULL, NULL, NULL),
	('2026-11-21 16:03:05.815364+00', 77, '2026-11-21 16:03:05.874463+00', '2026-11-21 16:03:05.928513+00', NULL, NULL, 29664, NULL, NULL, NULL, 54050, NULL, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 2, 2, NULL, 0, NULL, 'tests', 'connect_refused', 'connection refused by 127.0.0.1:1', NULL, NULL, NULL, 88, NULL, NULL, false, true, NULL, NULL),
	('2026-11-21 16:03:05.815364+00', 78, '2026-11-21 16:03:05.928557+00', '2026-11-21 16:03:05.943867+00', NULL, NULL, 9315, NULL, NULL, NULL, 15310, NULL, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 2, 2, NULL, 0, NULL, 'tests', 'connect_refused', 'connection refused by 127.0.0.1:1', NULL, NULL, NULL, NULL, NULL, 1, false, NULL, NULL, NULL),
	('2026-11-21 16:03:05.815364+00', 79, '2026-11-21 16:03:06.030403+00', '2026-11-21 16:03:06.099503+00', NULL, NULL, 4417, NULL, NULL, NULL, 69100, NULL, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 2, 2, NULL, 0, NULL, 'tests', 'connect_refused', 'connection refused by 127.0.0.1:1', NULL, NULL, NULL, NULL, NULL, 2, false, NULL, NULL, NULL),
	('2026-11-21 16:03:05.843049+00', 76, '2026-11-21 16:03:05.874569+00', '2026-11-21 16:03:05.943831+00', NULL, NULL, 25697, NULL, 42997, 38, 69262, 5, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 3, 3, 200, 0, NULL, 'tests', NULL, NULL, 'HTTP/1.1', '127.0.0.1:44917', NULL, 172, NULL, NULL, false, NULL, NULL, NULL),
	('2026-11-21 16:03:06.09208+00', 80, '2026-11-21 16:03:06.10132+00', '2026-11-21 16:03:06.125262+00', NULL, NULL, 144, NULL, 23405, 52, 23942, 5, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 1, 1, 200, 0, false, 'tests', 'status', 'status 200, expected 404', 'HTTP/1.1', '127.0.0.1:44917', NULL, 1462, NULL, NULL, false, NULL, NULL, '{"further_failures": [{"kind": "body_mismatch", "detail": "body without a match for \"nowhere\""}]}'),
	('2026-11-21 16:03:06.24029+00', 83, '2026-11-21 16:03:06.256257+00', '2026-11-21 16:03:06.403648+00', NULL, NULL, 210, NULL, 93044, 51, 147391, 5, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 5, 5, 200, 1, NULL, 'tests', NULL, NULL, 'HTTP/1.1', '127.0.0.1:44917', 'http://127.0.0.1:44917/', 1159, NULL, NULL, false, NULL, NULL, '{"hops": [{"url": "http://127.0.0.1:44927/", "status": 302, "timings_us": {"total": 96982, "connect": 142, "first_byte": 42863}, "remote_addr": "127.0.0.1:44927"}, {"url": "http://127.0.0.1:44917/", "status": 200, "timings_us": {"body": 51, "total": 50402, "connect": 67, "first_byte": 50181}, "remote_addr": "127.0.0.1:44917"}]}'),
	('2026-11-21 16:03:06.262577+00', 81, '2026-11-21 16:03:06.292814+00', '2026-11-21 16:03:06.352985+00', NULL, NULL, 165, NULL, NULL, NULL, 60171, NULL, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 4, 4, NULL, 0, NULL, 'tests', 'connect_refused', 'connection refused by 127.0.0.1:1', NULL, NULL, NULL, 58, NULL, NULL, true, NULL, NULL, NULL),
	('2026-11-21 16:03:06.315364+00', 84, '2026-11-21 16:03:06.360994+00', '2026-11-21 16:03:06.361819+00', NULL, NULL, 168, NULL, NULL, NULL, 825, NULL, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 2, 2, NULL, 0, NULL, 'tests', 'connect_refused', 'connection refused by 127.0.0.1:1', NULL, NULL, NULL, 36412, NULL, NULL, false, true, NULL, NULL),
	('2026-11-21 16:03:06.315364+00', 85, '2026-11-21 16:03:06.36186+00', '2026-11-21 16:03:06.365247+00', NULL, NULL, 1303, NULL, NULL, NULL, 3387, NULL, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 2, 2, NULL, 0, NULL, 'tests', 'connect_refused', 'connection refused by 127.0.0.1:1', NULL, NULL, NULL, NULL, NULL, 1, false, NULL, NULL, NULL),
	('2026-11-21 16:03:06.315364+00', 86, '2026-11-21 16:03:06.467537+00', '2026-11-21 16:03:06.478986+00', NULL, NULL, 350, NULL, NULL, NULL, 11449, NULL, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 2, 2, NULL, 0, NULL, 'tests', 'connect_refused', 'connection refused by 127.0.0.1:1', NULL, NULL, NULL, NULL, NULL, 2, false, NULL, NULL, NULL),
	('2026-11-21 16:03:06.343049+00', 82, '2026-11-21 16:03:06.352479+00', '2026-11-21 16:03:06.376855+00', NULL, NULL, 37, NULL, 23312, 34, 24376, 5, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 3, 3, 200, 0, NULL, 'tests', NULL, NULL, 'HTTP/1.1', '127.0.0.1:44917', NULL, 210, NULL, NULL, false, NULL, NULL, NULL),
	('2026-11-21 16:03:06.59208+00', 87, '2026-11-21 16:03:06.626947+00', '2026-11-21 16:03:06.684927+00', NULL, NULL, 100, NULL, 57437, 50, 57980, 5, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 1, 1, 200, 0, false, 'tests', 'status', 'status 200, expected 404', 'HTTP/1.1', '127.0.0.1:44917', NULL, 164, NULL, NULL, false, NULL, NULL, '{"further_failures": [{"kind": "body_mismatch", "detail": "body without a match for \"nowhere\""}]}'),
	('2026-11-21 16:03:06.74029+00', 88, '2026-11-21 16:03:06.74692+00', '2026-11-21 16:03:06.807009+00', NULL, NULL, 241, NULL, 43518, 36, 60089, 5, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 5, 5, 200, 1, NULL, 'tests', NULL, NULL, 'HTTP/1.1', '127.0.0.1:44917', 'http://127.0.0.1:44917/', 2052, NULL, NULL, false, NULL, NULL, '{"hops": [{"url": "http://127.0.0.1:44927/", "status": 302, "timings_us": {"total": 16982, "connect": 146, "first_byte": 1128}, "remote_addr": "127.0.0.1:44927"}, {"url": "http://127.0.0.1:44917/", "status": 200, "timings_us": {"body": 36, "total": 43099, "connect": 94, "first_byte": 42390}, "remote_addr": "127.0.0.1:44917"}]}'),
	('2026-11-21 16:03:06.762577+00', 89, '2026-11-21 16:03:06.807134+00', '2026-11-21 16:03:06.808919+00', NULL, NULL, 164, NULL, NULL, NULL, 1785, NULL, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 4, 4, NULL, 0, NULL, 'tests', 'connect_refused', 'connection refused by 127.0.0.1:1', NULL, NULL, NULL, 603, NULL, NULL, true, NULL, NULL, NULL),
	('2026-11-21 16:03:06.815364+00', 91, '2026-11-21 16:03:06.816019+00', '2026-11-21 16:03:06.816773+00', NULL, NULL, 210, NULL, NULL, NULL, 754, NULL, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 2, 2, NULL, 0, NULL, 'tests', 'connect_refused', 'connection refused by 127.0.0.1:1', NULL, NULL, NULL, 493, NULL, NULL, false, true, NULL, NULL),
	('2026-11-21 16:03:06.815364+00', 92, '2026-11-21 16:03:06.816804+00', '2026-11-21 16:03:06.838904+00', NULL, NULL, 427, NULL, NULL, NULL, 22100, NULL, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 2, 2, NULL, 0, NULL, 'tests', 'connect_refused', 'connection refused by 127.0.0.1:1', NULL, NULL, NULL, NULL, NULL, 1, false, NULL, NULL, NULL),
	('2026-11-21 16:03:06.815364+00', 93, '2026-11-21 16:03:06.916903+00', '2026-11-21 16:03:06.9173+00', NULL, NULL, 140, NULL, NULL, NULL, 397, NULL, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 2, 2, NULL, 0, NULL, 'tests', 'connect_refused', 'connection refused by 127.0.0.1:1', NULL, NULL, NULL, NULL, NULL, 2, false, NULL, NULL, NULL),
	('2026-11-21 16:03:06.843049+00', 90, '2026-11-21 16:03:06.843515+00', '2026-11-21 16:03:06.86671+00', NULL, NULL, 141, NULL, 22736, 45, 23195, 5, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 3, 3, 200, 0, NULL, 'tests', NULL, NULL, 'HTTP/1.1', '127.0.0.1:44917', NULL, 58, NULL, NULL, false, NULL, NULL, NULL),
	('2026-11-21 16:03:07.09208+00', 96, '2026-11-21 16:03:07.097493+00', '2026-11-21 16:03:07.145766+00', NULL, NULL, 7196, NULL, 34499, 49, 48273, 5, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 1, 1, 200, 0, false, 'tests', 'status', 'status 200, expected 404', 'HTTP/1.1', '127.0.0.1:44917', NULL, 546, NULL, NULL, false, NULL, NULL, '{"further_failures": [{"kind": "body_mismatch", "detail": "body without a match for \"nowhere\""}]}'),
	('2026-11-21 16:03:07.315364+00', 100, '2026-11-21 16:03:07.379256+00', '2026-11-21 16:03:07.379541+00', NULL, NULL, 65, NULL, NULL, NULL, 285, NULL, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 2, 2, NULL, 0, NULL, 'tests', 'connect_refused', 'connection refused by 127.0.0.1:1', NULL, NULL, NULL, 308, NULL, NULL, false, true, NULL, NULL),
	('2026-11-21 16:03:07.315364+00', 101, '2026-11-21 16:03:07.379554+00', '2026-11-21 16:03:07.379622+00', NULL, NULL, 40, NULL, NULL, NULL, 68, NULL, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 2, 2, NULL, 0, NULL, 'tests', 'connect_refused', 'connection refused by 127.0.0.1:1', NULL, NULL, NULL, NULL, NULL, 1, false, NULL, NULL, NULL),
	('2026-11-21 16:03:07.315364+00', 102, '2026-11-21 16:03:07.479674+00', '2026-11-21 16:03:07.482972+00', NULL, NULL, 421, NULL, NULL, NULL, 3298, NULL, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 2, 2, NULL, 0, NULL, 'tests', 'connect_refused', 'connection refused by 127.0.0.1:1', NULL, NULL, NULL, NULL, NULL, 2, false, NULL, NULL, NULL),
	('2026-11-21 16:03:07.115512+00', 115, '2026-11-21 16:03:07.118789+00', '2026-11-21 16:03:08.555913+00', NULL, NULL, 23221, NULL, 1409840, 65, 1437124, 7, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 6, 6, 200, 0, NULL, 'tests', NULL, NULL, 'HTTP/1.1', '127.0.0.1:42251', NULL, 1556, NULL, NULL, false, NULL, NULL, NULL),
	('2026-11-21 16:03:07.24029+00', 98, '2026-11-21 16:03:07.378222+00', '2026-11-21 16:03:07.382201+00', NULL, NULL, 168, NULL, 3205, 19, 3979, 5, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 5, 5, 200, 1, NULL, 'tests', NULL, NULL, 'HTTP/1.1', '127.0.0.1:44917', 'http://127.0.0.1:44917/', 17248, NULL, NULL, false, NULL, NULL, '{"hops": [{"url": "http://127.0.0.1:44927/", "status": 302, "timings_us": {"total": 1853, "connect": 97, "first_byte": 1452}, "remote_addr": "127.0.0.1:44927"}, {"url": "http://127.0.0.1:44917/", "status": 200, "timings_us": {"body": 19, "total": 2122, "connect": 70, "first_byte": 1753}, "remote_addr": "127.0.0.1:44917"}]}'),
	('2026-11-21 16:03:07.262577+00', 97, '2026-11-21 16:03:07.37896+00', '2026-11-21 16:03:07.379157+00', NULL, NULL, 84, NULL, NULL, NULL, 197, NULL, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 4, 4, NULL, 0, NULL, 'tests', 'connect_refused', 'connection refused by 127.0.0.1:1', NULL, NULL, NULL, 26, NULL, NULL, true, NULL, NULL, NULL),
	('2026-11-21 16:03:07.343049+00', 99, '2026-11-21 16:03:07.382283+00', '2026-11-21 16:03:07.382656+00', NULL, NULL, 126, NULL, 157, 16, 373, 5, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 3, 3, 200, 0, NULL, 'tests', NULL, NULL, 'HTTP/1.1', '127.0.0.1:44917', NULL, 2634, NULL, NULL, false, NULL, NULL, NULL),
	('2026-11-21 16:03:07.59208+00', 103, '2026-11-21 16:03:07.619574+00', '2026-11-21 16:03:07.661813+00', NULL, NULL, 141, NULL, 41552, 60, 42239, 5, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 1, 1, 200, 0, false, 'tests', 'status', 'status 200, expected 404', 'HTTP/1.1', '127.0.0.1:44917', NULL, 26645, NULL, NULL, false, NULL, NULL, '{"further_failures": [{"kind": "body_mismatch", "detail": "body without a match for \"nowhere\""}]}'),
	('2026-11-21 16:03:07.74029+00', 105, '2026-11-21 16:03:07.780397+00', '2026-11-21 16:03:07.830896+00', NULL, NULL, 298, NULL, 48599, 14, 50499, 5, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 5, 5, 200, 1, NULL, 'tests', NULL, NULL, 'HTTP/1.1', '127.0.0.1:44917', 'http://127.0.0.1:44917/', 131, NULL, NULL, false, NULL, NULL, '{"hops": [{"url": "http://127.0.0.1:44927/", "status": 302, "timings_us": {"total": 48053, "connect": 148, "first_byte": 47651}, "remote_addr": "127.0.0.1:44927"}, {"url": "http://127.0.0.1:44917/", "status": 200, "timings_us": {"body": 14, "total": 2442, "connect": 150, "first_byte": 948}, "remote_addr": "127.0.0.1:44917"}]}'),
	('2026-11-21 16:03:07.762577+00', 104, '2026-11-21 16:03:07.780493+00', '2026-11-21 16:03:07.829064+00', NULL, NULL, 9114, NULL, NULL, NULL, 48571, NULL, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 4, 4, NULL, 0, NULL, 'tests', 'connect_refused', 'connection refused by 127.0.0.1:1', NULL, NULL, NULL, 196, NULL, NULL, true, NULL, NULL, NULL),
	('2026-11-21 16:03:07.815364+00', 106, '2026-11-21 16:03:07.829293+00', '2026-11-21 16:03:07.83043+00', NULL, NULL, 193, NULL, NULL, NULL, 1137, NULL, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 2, 2, NULL, 0, NULL, 'tests', 'connect_refused', 'connection refused by 127.0.0.1:1', NULL, NULL, NULL, 1175, NULL, NULL, false, true, NULL, NULL);
INSERT INTO the_pipeline.result_20261121 VALUES
	('2026-11-21 16:03:07.815364+00', 107, '2026-11-21 16:03:07.830443+00', '2026-11-21 16:03:07.83072+00', NULL, NULL, 69, NULL, NULL, NULL, 277, NULL, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 2, 2, NULL, 0, NULL, 'tests', 'connect_refused', 'connection refused by 127.0.0.1:1', NULL, NULL, NULL, NULL, NULL, 1, false, NULL, NULL, NULL),
	('2026-11-21 16:03:07.815364+00', 108, '2026-11-21 16:03:07.969327+00', '2026-11-21 16:03:07.972965+00', NULL, NULL, 347, NULL, NULL, NULL, 3638, NULL, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 2, 2, NULL, 0, NULL, 'tests', 'connect_refused', 'connection refused by 127.0.0.1:1', NULL, NULL, NULL, NULL, NULL, 2, false, NULL, NULL, NULL),
	('2026-11-21 16:03:07.843049+00', 110, '2026-11-21 16:03:07.883849+00', '2026-11-21 16:03:08.03813+00', NULL, NULL, 2726, NULL, 151290, 39, 154281, 5, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 3, 3, 200, 0, NULL, 'tests', NULL, NULL, 'HTTP/1.1', '127.0.0.1:44917', NULL, 44, NULL, NULL, false, NULL, NULL, NULL),
	('2026-11-21 16:03:08.09208+00', 111, '2026-11-21 16:03:08.106447+00', '2026-11-21 16:03:08.144798+00', NULL, NULL, 1206, NULL, 36841, 44, 38351, 5, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 1, 1, 200, 0, false, 'tests', 'status', 'status 200, expected 404', 'HTTP/1.1', '127.0.0.1:44917', NULL, 104, NULL, NULL, false, NULL, NULL, '{"further_failures": [{"kind": "body_mismatch", "detail": "body without a match for \"nowhere\""}]}'),
	('2026-11-21 16:03:08.24029+00', 112, '2026-11-21 16:03:08.244337+00', '2026-11-21 16:03:08.288007+00', NULL, NULL, 948, NULL, 24937, 46, 43670, 5, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 5, 5, 200, 1, NULL, 'tests', NULL, NULL, 'HTTP/1.1', '127.0.0.1:44917', 'http://127.0.0.1:44917/', 2115, NULL, NULL, false, NULL, NULL, '{"hops": [{"url": "http://127.0.0.1:44927/", "status": 302, "timings_us": {"total": 22374, "connect": 806, "first_byte": 20297}, "remote_addr": "127.0.0.1:44927"}, {"url": "http://127.0.0.1:44917/", "status": 200, "timings_us": {"body": 46, "total": 21287, "connect": 141, "first_byte": 4639}, "remote_addr": "127.0.0.1:44917"}]}'),
	('2026-11-21 16:03:08.262577+00', 113, '2026-11-21 16:03:08.288142+00', '2026-11-21 16:03:08.31219+00', NULL, NULL, 7880, NULL, NULL, NULL, 24048, NULL, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 4, 4, NULL, 0, NULL, 'tests', 'connect_refused', 'connection refused by 127.0.0.1:1', NULL, NULL, NULL, 5187, NULL, NULL, true, NULL, NULL, NULL),
	('2026-11-21 16:03:08.315364+00', 117, '2026-11-21 16:03:08.423788+00', '2026-11-21 16:03:08.453882+00', NULL, NULL, 29827, NULL, NULL, NULL, 30094, NULL, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 2, 2, NULL, 0, NULL, 'tests', 'connect_refused', 'connection refused by 127.0.0.1:1', NULL, NULL, NULL, 3410, NULL, NULL, false, true, NULL, NULL),
	('2026-11-21 16:03:08.315364+00', 118, '2026-11-21 16:03:08.453936+00', '2026-11-21 16:03:08.486477+00', NULL, NULL, 447, NULL, NULL, NULL, 32541, NULL, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 2, 2, NULL, 0, NULL, 'tests', 'connect_refused', 'connection refused by 127.0.0.1:1', NULL, NULL, NULL, NULL, NULL, 1, false, NULL, NULL, NULL),
	('2026-11-21 16:03:08.315364+00', 119, '2026-11-21 16:03:08.560274+00', '2026-11-21 16:03:08.6268+00', NULL, NULL, 11888, NULL, NULL, NULL, 66526, NULL, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 2, 2, NULL, 0, NULL, 'tests', 'connect_refused', 'connection refused by 127.0.0.1:1', NULL, NULL, NULL, NULL, NULL, 2, false, NULL, NULL, NULL),
	('2026-11-21 16:03:08.343049+00', 114, '2026-11-21 16:03:08.42413+00', '2026-11-21 16:03:08.529913+00', NULL, NULL, 2646, NULL, 103012, 33, 105783, 5, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 3, 3, 200, 0, NULL, 'tests', NULL, NULL, 'HTTP/1.1', '127.0.0.1:44917', NULL, 3725, NULL, NULL, false, NULL, NULL, NULL),
	('2026-11-21 16:03:08.59208+00', 116, '2026-11-21 16:03:08.595426+00', '2026-11-21 16:03:08.60738+00', NULL, NULL, 7943, NULL, 3684, 49, 11954, 5, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 1, 1, 200, 0, false, 'tests', 'status', 'status 200, expected 404', 'HTTP/1.1', '127.0.0.1:44917', NULL, 851, NULL, NULL, false, NULL, NULL, '{"further_failures": [{"kind": "body_mismatch", "detail": "body without a match for \"nowhere\""}]}'),
	('2026-11-21 16:03:08.74029+00', 122, '2026-11-21 16:03:08.741758+00', '2026-11-21 16:03:08.885658+00', NULL, NULL, 480, NULL, 66744, 10595, 143900, 5, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 5, 5, 200, 1, NULL, 'tests', NULL, NULL, 'HTTP/1.1', '127.0.0.1:44917', 'http://127.0.0.1:44917/', 57, NULL, NULL, false, NULL, NULL, '{"hops": [{"url": "http://127.0.0.1:44927/", "status": 302, "timings_us": {"total": 51040, "connect": 160, "first_byte": 37804}, "remote_addr": "127.0.0.1:44927"}, {"url": "http://127.0.0.1:44917/", "status": 200, "timings_us": {"body": 10595, "total": 92848, "connect": 319, "first_byte": 28939}, "remote_addr": "127.0.0.1:44917"}]}'),
	('2026-11-21 16:03:08.762577+00', 120, '2026-11-21 16:03:08.780251+00', '2026-11-21 16:03:08.830875+00', NULL, NULL, 31183, NULL, NULL, NULL, 50624, NULL, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 4, 4, NULL, 0, NULL, 'tests', 'connect_refused', 'connection refused by 127.0.0.1:1', NULL, NULL, NULL, 82, NULL, NULL, true, NULL, NULL, NULL),
	('2026-11-21 16:03:08.815364+00', 124, '2026-11-21 16:03:08.831032+00', '2026-11-21 16:03:08.84715+00', NULL, NULL, 1929, NULL, NULL, NULL, 16118, NULL, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 2, 2, NULL, 0, NULL, 'tests', 'connect_refused', 'connection refused by 127.0.0.1:1', NULL, NULL, NULL, 10543, NULL, NULL, false, true, NULL, NULL),
	('2026-11-21 16:03:08.815364+00', 125, '2026-11-21 16:03:08.847197+00', '2026-11-21 16:03:08.945579+00', NULL, NULL, 81146, NULL, NULL, NULL, 98382, NULL, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 2, 2, NULL, 0, NULL, 'tests', 'connect_refused', 'connection refused by 127.0.0.1:1', NULL, NULL, NULL, NULL, NULL, 1, false, NULL, NULL, NULL),
	('2026-11-21 16:03:08.815364+00', 126, '2026-11-21 16:03:08.991814+00', '2026-11-21 16:03:08.993105+00', NULL, NULL, 170, NULL, NULL, NULL, 1291, NULL, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 2, 2, NULL, 0, NULL, 'tests', 'connect_refused', 'connection refused by 127.0.0.1:1', NULL, NULL, NULL, NULL, NULL, 2, false, NULL, NULL, NULL),
	('2026-11-21 16:03:08.843049+00', 121, '2026-11-21 16:03:08.867237+00', '2026-11-21 16:03:08.888804+00', NULL, NULL, 134, NULL, 727, 20, 21567, 5, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 3, 3, 200, 0, NULL, 'tests', NULL, NULL, 'HTTP/1.1', '127.0.0.1:44917', NULL, 8902, NULL, NULL, false, NULL, NULL, NULL),
	('2026-11-21 16:03:09.09208+00', 127, '2026-11-21 16:03:09.142289+00', '2026-11-21 16:03:09.216988+00', NULL, NULL, 134, NULL, 66966, 47, 74699, 5, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 1, 1, 200, 0, false, 'tests', 'status', 'status 200, expected 404', 'HTTP/1.1', '127.0.0.1:44917', NULL, 21179, NULL, NULL, false, NULL, NULL, '{"further_failures": [{"kind": "body_mismatch", "detail": "body without a match for \"nowhere\""}]}'),
	('2026-11-21 16:03:09.24029+00', 130, '2026-11-21 16:03:09.304727+00', '2026-11-21 16:03:09.599658+00', NULL, NULL, 229, NULL, 243614, 23, 294931, 5, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 5, 5, 200, 1, NULL, 'tests', NULL, NULL, 'HTTP/1.1', '127.0.0.1:44917', 'http://127.0.0.1:44917/', 43906, NULL, NULL, false, NULL, NULL, '{"hops": [{"url": "http://127.0.0.1:44927/", "status": 302, "timings_us": {"total": 95635, "connect": 122, "first_byte": 95239}, "remote_addr": "127.0.0.1:44927"}, {"url": "http://127.0.0.1:44917/", "status": 200, "timings_us": {"body": 23, "total": 199290, "connect": 106, "first_byte": 148375}, "remote_addr": "127.0.0.1:44917"}]}'),
	('2026-11-21 16:03:09.262577+00', 128, '2026-11-21 16:03:09.36952+00', '2026-11-21 16:03:09.411146+00', NULL, NULL, 10314, NULL, NULL, NULL, 41626, NULL, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 4, 4, NULL, 0, NULL, 'tests', 'connect_refused', 'connection refused by 127.0.0.1:1', NULL, NULL, NULL, 60042, NULL, NULL, true, NULL, NULL, NULL),
	('2026-11-21 16:03:09.343049+00', 129, '2026-11-21 16:03:09.41514+00', '2026-11-21 16:03:09.451381+00', NULL, NULL, 134, NULL, 33636, 36, 36241, 5, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 3, 3, 200, 0, NULL, 'tests', NULL, NULL, 'HTTP/1.1', '127.0.0.1:44917', NULL, 36163, NULL, NULL, false, NULL, NULL, NULL),
	('2026-11-21 16:03:09.74029+00', 135, '2026-11-21 16:03:09.82489+00', '2026-11-21 16:03:09.828029+00', NULL, NULL, 495, NULL, 487, 19, 3139, 5, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 5, 5, 200, 1, NULL, 'tests', NULL, NULL, 'HTTP/1.1', '127.0.0.1:44917', 'http://127.0.0.1:44917/', 7475, NULL, NULL, false, NULL, NULL, '{"hops": [{"url": "http://127.0.0.1:44927/", "status": 302, "timings_us": {"total": 2684, "connect": 373, "first_byte": 262}, "remote_addr": "127.0.0.1:44927"}, {"url": "http://127.0.0.1:44917/", "status": 200, "timings_us": {"body": 19, "total": 449, "connect": 121, "first_byte": 224}, "remote_addr": "127.0.0.1:44917"}]}'),
	('2026-11-21 16:03:09.762577+00', 136, '2026-11-21 16:03:09.828146+00', '2026-11-21 16:03:09.828282+00', NULL, NULL, 72, NULL, NULL, NULL, 136, NULL, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 4, 4, NULL, 0, NULL, 'tests', 'connect_refused', 'connection refused by 127.0.0.1:1', NULL, NULL, NULL, 8242, NULL, NULL, true, NULL, NULL, NULL),
	('2026-11-21 16:03:08.615512+00', 140, '2026-11-21 16:03:08.621818+00', '2026-11-21 16:03:09.995891+00', NULL, NULL, 4568, NULL, 1369165, 42, 1374073, 7, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 6, 6, 200, 0, NULL, 'tests', NULL, NULL, 'HTTP/1.1', '127.0.0.1:42251', NULL, 55, NULL, NULL, false, NULL, NULL, NULL),
	('2026-11-21 16:03:09.315364+00', 131, '2026-11-21 16:03:09.380306+00', '2026-11-21 16:03:09.599105+00', NULL, NULL, 142694, NULL, NULL, NULL, 218799, NULL, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 2, 2, NULL, 0, NULL, 'tests', 'connect_refused', 'connection refused by 127.0.0.1:1', NULL, NULL, NULL, 46705, NULL, NULL, false, true, NULL, NULL),
	('2026-11-21 16:03:09.315364+00', 133, '2026-11-21 16:03:09.599144+00', '2026-11-21 16:03:09.619877+00', NULL, NULL, 20497, NULL, NULL, NULL, 20733, NULL, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 2, 2, NULL, 0, NULL, 'tests', 'connect_refused', 'connection refused by 127.0.0.1:1', NULL, NULL, NULL, NULL, NULL, 1, false, NULL, NULL, NULL),
	('2026-11-21 16:03:09.315364+00', 134, '2026-11-21 16:03:09.715034+00', '2026-11-21 16:03:09.720765+00', NULL, NULL, 3702, NULL, NULL, NULL, 5731, NULL, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 2, 2, NULL, 0, NULL, 'tests', 'connect_refused', 'connection refused by 127.0.0.1:1', NULL, NULL, NULL, NULL, NULL, 2, false, NULL, NULL, NULL),
	('2026-11-21 16:03:09.59208+00', 132, '2026-11-21 16:03:09.599898+00', '2026-11-21 16:03:09.69585+00', NULL, NULL, 13803, NULL, 79714, 121, 95952, 5, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 1, 1, 200, 0, false, 'tests', 'status', 'status 200, expected 404', 'HTTP/1.1', '127.0.0.1:44917', NULL, 846, NULL, NULL, false, NULL, NULL, '{"further_failures": [{"kind": "body_mismatch", "detail": "body without a match for \"nowhere\""}]}'),
	('2026-11-21 16:03:09.815364+00', 137, '2026-11-21 16:03:09.828312+00', '2026-11-21 16:03:09.828384+00', NULL, NULL, 45, NULL, NULL, NULL, 72, NULL, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 2, 2, NULL, 0, NULL, 'tests', 'connect_refused', 'connection refused by 127.0.0.1:1', NULL, NULL, NULL, 3498, NULL, NULL, false, true, NULL, NULL),
	('2026-11-21 16:03:09.815364+00', 138, '2026-11-21 16:03:09.828391+00', '2026-11-21 16:03:09.828454+00', NULL, NULL, 37, NULL, NULL, NULL, 63, NULL, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 2, 2, NULL, 0, NULL, 'tests', 'connect_refused', 'connection refused by 127.0.0.1:1', NULL, NULL, NULL, NULL, NULL, 1, false, NULL, NULL, NULL),
	('2026-11-21 16:03:09.815364+00', 139, '2026-11-21 16:03:09.939948+00', '2026-11-21 16:03:09.940371+00', NULL, NULL, 138, NULL, NULL, NULL, 423, NULL, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 2, 2, NULL, 0, NULL, 'tests', 'connect_refused', 'connection refused by 127.0.0.1:1', NULL, NULL, NULL, NULL, NULL, 2, false, NULL, NULL, NULL),
	('2026-11-21 16:03:09.843049+00', 142, '2026-11-21 16:03:09.864848+00', '2026-11-21 16:03:10.088552+00', NULL, NULL, 42062, NULL, 179361, 47, 223704, 5, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 3, 3, 200, 0, NULL, 'tests', NULL, NULL, 'HTTP/1.1', '127.0.0.1:44917', NULL, 19982, NULL, NULL, false, NULL, NULL, NULL),
	('2026-11-21 16:03:10.09208+00', 143, '2026-11-21 16:03:10.094952+00', '2026-11-21 16:03:10.100261+00', NULL, NULL, 3740, NULL, 541, 40, 5309, 5, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 1, 1, 200, 0, false, 'tests', 'status', 'status 200, expected 404', 'HTTP/1.1', '127.0.0.1:44917', NULL, 35, NULL, NULL, false, NULL, NULL, '{"further_failures": [{"kind": "body_mismatch", "detail": "body without a match for \"nowhere\""}]}'),
	('2026-11-21 16:03:11.74029+00', 146, '2026-11-21 16:03:11.74858+00', '2026-11-21 16:03:11.751008+00', NULL, NULL, 221, NULL, 1882, 31, 2428, 5, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 5, 5, 200, 1, NULL, 'tests', NULL, NULL, 'HTTP/1.1', '127.0.0.1:44917', 'http://127.0.0.1:44917/', 4372, NULL, NULL, false, NULL, NULL, '{"hops": [{"url": "http://127.0.0.1:44927/", "status": 302, "timings_us": {"total": 2002, "connect": 143, "first_byte": 1648}, "remote_addr": "127.0.0.1:44927"}, {"url": "http://127.0.0.1:44917/", "status": 200, "timings_us": {"body": 31, "total": 419, "connect": 77, "first_byte": 233}, "remote_addr": "127.0.0.1:44917"}]}'),
	('2026-11-21 16:03:11.762577+00', 147, '2026-11-21 16:03:11.775176+00', '2026-11-21 16:03:11.776767+00', NULL, NULL, 1368, NULL, NULL, NULL, 1591, NULL, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 4, 4, NULL, 0, NULL, 'tests', 'connect_refused', 'connection refused by 127.0.0.1:1', NULL, NULL, NULL, 241, NULL, NULL, true, NULL, NULL, NULL),
	('2026-11-21 16:03:11.815364+00', 148, '2026-11-21 16:03:11.817819+00', '2026-11-21 16:03:11.820463+00', NULL, NULL, 1576, NULL, NULL, NULL, 2644, NULL, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 2, 2, NULL, 0, NULL, 'tests', 'connect_refused', 'connection refused by 127.0.0.1:1', NULL, NULL, NULL, 2290, NULL, NULL, false, true, NULL, NULL),
	('2026-11-21 16:03:11.815364+00', 149, '2026-11-21 16:03:11.820578+00', '2026-11-21 16:03:11.822229+00', NULL, NULL, 878, NULL, NULL, NULL, 1651, NULL, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 2, 2, NULL, 0, NULL, 'tests', 'connect_refused', 'connection refused by 127.0.0.1:1', NULL, NULL, NULL, NULL, NULL, 1, false, NULL, NULL, NULL),
	('2026-11-21 16:03:11.815364+00', 150, '2026-11-21 16:03:11.920683+00', '2026-11-21 16:03:11.922231+00', NULL, NULL, 1316, NULL, NULL, NULL, 1548, NULL, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 2, 2, NULL, 0, NULL, 'tests', 'connect_refused', 'connection refused by 127.0.0.1:1', NULL, NULL, NULL, NULL, NULL, 2, false, NULL, NULL, NULL),
	('2026-11-21 16:03:11.843049+00', 151, '2026-11-21 16:03:11.854334+00', '2026-11-21 16:03:11.928288+00', NULL, NULL, 8247, NULL, 52288, 69, 73954, 5, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 3, 3, 200, 0, NULL, 'tests', NULL, NULL, 'HTTP/1.1', '127.0.0.1:44917', NULL, 1640, NULL, NULL, false, NULL, NULL, NULL),
	('2026-11-21 16:03:12.09208+00', 152, '2026-11-21 16:03:12.121001+00', '2026-11-21 16:03:12.142964+00', NULL, NULL, 110, NULL, 20166, 32, 21963, 5, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 1, 1, 200, 0, false, 'tests', 'status', 'status 200, expected 404', 'HTTP/1.1', '127.0.0.1:44917', NULL, 63, NULL, NULL, false, NULL, NULL, '{"further_failures": [{"kind": "body_mismatch", "detail": "body without a match for \"nowhere\""}]}'),
	('2026-11-21 16:03:12.24029+00', 154, '2026-11-21 16:03:12.333433+00', '2026-11-21 16:03:12.389803+00', NULL, NULL, 10325, NULL, 38856, 43, 56370, 5, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 5, 5, 200, 1, NULL, 'tests', NULL, NULL, 'HTTP/1.1', '127.0.0.1:44917', 'http://127.0.0.1:44917/', 21262, NULL, NULL, false, NULL, NULL, '{"hops": [{"url": "http://127.0.0.1:44927/", "status": 302, "timings_us": {"total": 46893, "connect": 10251, "first_byte": 32676}, "remote_addr": "127.0.0.1:44927"}, {"url": "http://127.0.0.1:44917/", "status": 200, "timings_us": {"body": 43, "total": 9474, "connect": 74, "first_byte": 6180}, "remote_addr": "127.0.0.1:44917"}]}'),
	('2026-11-21 16:03:12.262577+00', 153, '2026-11-21 16:03:12.372932+00', '2026-11-21 16:03:12.380178+00', NULL, NULL, 6521, NULL, NULL, NULL, 7246, NULL, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 4, 4, NULL, 0, NULL, 'tests', 'connect_refused', 'connection refused by 127.0.0.1:1', NULL, NULL, NULL, 46953, NULL, NULL, true, NULL, NULL, NULL),
	('2026-11-21 16:03:12.315364+00', 156, '2026-11-21 16:03:12.372842+00', '2026-11-21 16:03:12.380052+00', NULL, NULL, 6352, NULL, NULL, NULL, 7210, NULL, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 2, 2, NULL, 0, NULL, 'tests', 'connect_refused', 'connection refused by 127.0.0.1:1', NULL, NULL, NULL, 27340, NULL, NULL, false, true, NULL, NULL),
	('2026-11-21 16:03:12.315364+00', 157, '2026-11-21 16:03:12.380107+00', '2026-11-21 16:03:12.38959+00', NULL, NULL, 6376, NULL, NULL, NULL, 9483, NULL, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 2, 2, NULL, 0, NULL, 'tests', 'connect_refused', 'connection refused by 127.0.0.1:1', NULL, NULL, NULL, NULL, NULL, 1, false, NULL, NULL, NULL),
	('2026-11-21 16:03:12.315364+00', 158, '2026-11-21 16:03:12.485113+00', '2026-11-21 16:03:12.494947+00', NULL, NULL, 1320, NULL, NULL, NULL, 9834, NULL, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 2, 2, NULL, 0, NULL, 'tests', 'connect_refused', 'connection refused by 127.0.0.1:1', NULL, NULL, NULL, NULL, NULL, 2, false, NULL, NULL, NULL),
	('2026-11-21 16:03:12.343049+00', 155, '2026-11-21 16:03:12.373204+00', '2026-11-21 16:03:12.390874+00', NULL, NULL, 477, NULL, 16635, 20, 17670, 5, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 3, 3, 200, 0, NULL, 'tests', NULL, NULL, 'HTTP/1.1', '127.0.0.1:44917', NULL, 22212, NULL, NULL, false, NULL, NULL, NULL),
	('2026-11-21 16:03:12.59208+00', 159, '2026-11-21 16:03:12.609787+00', '2026-11-21 16:03:12.614911+00', NULL, NULL, 385, NULL, 345, 114, 5124, 5, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 1, 1, 200, 0, false, 'tests', 'status', 'status 200, expected 404', 'HTTP/1.1', '127.0.0.1:44917', NULL, 2536, NULL, NULL, false, NULL, NULL, '{"further_failures": [{"kind": "body_mismatch", "detail": "body without a match for \"nowhere\""}]}'),
	('2026-11-21 16:03:12.762577+00', 161, '2026-11-21 16:03:12.814298+00', '2026-11-21 16:03:12.822173+00', NULL, NULL, 7667, NULL, NULL, NULL, 7875, NULL, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 4, 4, NULL, 0, NULL, 'tests', 'connect_refused', 'connection refused by 127.0.0.1:1', NULL, NULL, NULL, 3360, NULL, NULL, true, NULL, NULL, NULL),
	('2026-11-21 16:03:12.74029+00', 162, '2026-11-21 16:03:12.814166+00', '2026-11-21 16:03:12.839348+00', NULL, NULL, 323, NULL, 24140, 58, 25182, 5, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 5, 5, 200, 1, NULL, 'tests', NULL, NULL, 'HTTP/1.1', '127.0.0.1:44917', 'http://127.0.0.1:44917/', 3262, NULL, NULL, false, NULL, NULL, '{"hops": [{"url": "http://127.0.0.1:44927/", "status": 302, "timings_us": {"total": 16108, "connect": 164, "first_byte": 15437}, "remote_addr": "127.0.0.1:44927"}, {"url": "http://127.0.0.1:44917/", "status": 200, "timings_us": {"body": 58, "total": 9065, "connect": 158, "first_byte": 8702}, "remote_addr": "127.0.0.1:44917"}]}'),
	('2026-11-21 16:03:12.815364+00', 163, '2026-11-21 16:03:12.829991+00', '2026-11-21 16:03:12.830928+00', NULL, NULL, 87, NULL, NULL, NULL, 937, NULL, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 2, 2, NULL, 0, NULL, 'tests', 'connect_refused', 'connection refused by 127.0.0.1:1', NULL, NULL, NULL, 5633, NULL, NULL, false, true, NULL, NULL),
	('2026-11-21 16:03:12.815364+00', 164, '2026-11-21 16:03:12.830955+00', '2026-11-21 16:03:12.833872+00', NULL, NULL, 158, NULL, NULL, NULL, 2917, NULL, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 2, 2, NULL, 0, NULL, 'tests', 'connect_refused', 'connection refused by 127.0.0.1:1', NULL, NULL, NULL, NULL, NULL, 1, false, NULL, NULL, NULL),
	('2026-11-21 16:03:12.815364+00', 165, '2026-11-21 16:03:12.938609+00', '2026-11-21 16:03:12.940129+00', NULL, NULL, 1243, NULL, NULL, NULL, 1520, NULL, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 2, 2, NULL, 0, NULL, 'tests', 'connect_refused', 'connection refused by 127.0.0.1:1', NULL, NULL, NULL, NULL, NULL, 2, false, NULL, NULL, NULL),
	('2026-11-21 16:03:12.843049+00', 166, '2026-11-21 16:03:12.855793+00', '2026-11-21 16:03:13.006474+00', NULL, NULL, 1069, NULL, 149296, 40, 150681, 5, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 3, 3, 200, 0, NULL, 'tests', NULL, NULL, 'HTTP/1.1', '127.0.0.1:44917', NULL, 7911, NULL, NULL, false, NULL, NULL, NULL),
	('2026-11-21 16:03:13.09208+00', 167, '2026-11-21 16:03:13.092945+00', '2026-11-21 16:03:13.135425+00', NULL, NULL, 188, NULL, 41659, 50, 42480, 5, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 1, 1, 200, 0, false, 'tests', 'status', 'status 200, expected 404', 'HTTP/1.1', '127.0.0.1:44917', NULL, 57, NULL, NULL, false, NULL, NULL, '{"further_failures": [{"kind": "body_mismatch", "detail": "body without a match for \"nowhere\""}]}'),
	('2026-11-21 16:03:13.24029+00', 168, '2026-11-21 16:03:13.2878+00', '2026-11-21 16:03:13.305434+00', NULL, NULL, 1842, NULL, 8243, 48, 17634, 5, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 5, 5, 200, 1, NULL, 'tests', NULL, NULL, 'HTTP/1.1', '127.0.0.1:44917', 'http://127.0.0.1:44917/', 3857, NULL, NULL, false, NULL, NULL, '{"hops": [{"url": "http://127.0.0.1:44927/", "status": 302, "timings_us": {"total": 13402, "connect": 155, "first_byte": 5943}, "remote_addr": "127.0.0.1:44927"}, {"url": "http://127.0.0.1:44917/", "status": 200, "timings_us": {"body": 48, "total": 4223, "connect": 1686, "first_byte": 2300}, "remote_addr": "127.0.0.1:44917"}]}'),
	('2026-11-21 16:03:13.262577+00', 169, '2026-11-21 16:03:13.305587+00', '2026-11-21 16:03:13.309375+00', NULL, NULL, 3471, NULL, NULL, NULL, 3788, NULL, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 4, 4, NULL, 0, NULL, 'tests', 'connect_refused', 'connection refused by 127.0.0.1:1', NULL, NULL, NULL, 21613, NULL, NULL, true, NULL, NULL, NULL),
	('2026-11-21 16:03:13.315364+00', 170, '2026-11-21 16:03:13.331807+00', '2026-11-21 16:03:13.340879+00', NULL, NULL, 199, NULL, NULL, NULL, 9072, NULL, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 2, 2, NULL, 0, NULL, 'tests', 'connect_refused', 'connection refused by 127.0.0.1:1', NULL, NULL, NULL, 11920, NULL, NULL, false, true, NULL, NULL),
	('2026-11-21 16:03:13.315364+00', 171, '2026-11-21 16:03:13.340932+00', '2026-11-21 16:03:13.3416+00', NULL, NULL, 104, NULL, NULL, NULL, 668, NULL, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 2, 2, NULL, 0, NULL, 'tests', 'connect_refused', 'connection refused by 127.0.0.1:1', NULL, NULL, NULL, NULL, NULL, 1, false, NULL, NULL, NULL),
	('2026-11-21 16:03:13.315364+00', 172, '2026-11-21 16:03:13.445186+00', '2026-11-21 16:03:13.450339+00', NULL, NULL, 2431, NULL, NULL, NULL, 5153, NULL, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 2, 2, NULL, 0, NULL, 'tests', 'connect_refused', 'connection refused by 127.0.0.1:1', NULL, NULL, NULL, NULL, NULL, 2, false, NULL, NULL, NULL),
	('2026-11-21 16:03:12.115512+00', 174, '2026-11-21 16:03:12.141033+00', '2026-11-21 16:03:13.535192+00', NULL, NULL, 722, NULL, 1391640, 1618, 1394159, 7, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 6, 6, 200, 0, NULL, 'tests', NULL, NULL, 'HTTP/1.1', '127.0.0.1:42251', NULL, 20054, NULL, NULL, false, NULL, NULL, NULL),
	('2026-11-21 16:03:13.343049+00', 173, '2026-11-21 16:03:13.399785+00', '2026-11-21 16:03:13.4668+00', NULL, NULL, 654, NULL, 47263, 72, 67015, 5, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 3, 3, 200, 0, NULL, 'tests', NULL, NULL, 'HTTP/1.1', '127.0.0.1:44917', NULL, 693, NULL, NULL, false, NULL, NULL, NULL),
	('2026-11-21 16:03:13.59208+00', 175, '2026-11-21 16:03:13.609313+00', '2026-11-21 16:03:13.628701+00', NULL, NULL, 80, NULL, 4490, 47, 19388, 5, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 1, 1, 200, 0, false, 'tests', 'status', 'status 200, expected 404', 'HTTP/1.1', '127.0.0.1:44917', NULL, 2127, NULL, NULL, false, NULL, NULL, '{"further_failures": [{"kind": "body_mismatch", "detail": "body without a match for \"nowhere\""}]}'),
	('2026-11-21 16:03:13.74029+00', 178, '2026-11-21 16:03:13.746873+00', '2026-11-21 16:03:13.800079+00', NULL, NULL, 9729, NULL, 42104, 37, 53206, 5, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 5, 5, 200, 1, NULL, 'tests', NULL, NULL, 'HTTP/1.1', '127.0.0.1:44917', 'http://127.0.0.1:44917/', 52, NULL, NULL, false, NULL, NULL, '{"hops": [{"url": "http://127.0.0.1:44927/", "status": 302, "timings_us": {"total": 36234, "connect": 4639, "first_byte": 31304}, "remote_addr": "127.0.0.1:44927"}, {"url": "http://127.0.0.1:44917/", "status": 200, "timings_us": {"body": 37, "total": 16963, "connect": 5089, "first_byte": 10799}, "remote_addr": "127.0.0.1:44917"}]}'),
	('2026-11-21 16:03:13.762577+00', 177, '2026-11-21 16:03:13.765618+00', '2026-11-21 16:03:13.771232+00', NULL, NULL, 645, NULL, NULL, NULL, 5614, NULL, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 4, 4, NULL, 0, NULL, 'tests', 'connect_refused', 'connection refused by 127.0.0.1:1', NULL, NULL, NULL, 59, NULL, NULL, true, NULL, NULL, NULL),
	('2026-11-21 16:03:13.815364+00', 179, '2026-11-21 16:03:13.82034+00', '2026-11-21 16:03:13.821257+00', NULL, NULL, 533, NULL, NULL, NULL, 917, NULL, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 2, 2, NULL, 0, NULL, 'tests', 'connect_refused', 'connection refused by 127.0.0.1:1', NULL, NULL, NULL, 114, NULL, NULL, false, NULL, NULL, NULL),
	('2026-11-21 16:03:13.815364+00', 180, '2026-11-21 16:03:13.82129+00', '2026-11-21 16:03:13.827549+00', NULL, NULL, 1362, NULL, NULL, NULL, 6259, NULL, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 2, 2, NULL, 0, NULL, 'tests', 'connect_refused', 'connection refused by 127.0.0.1:1', NULL, NULL, NULL, NULL, NULL, 1, false, NULL, NULL, NULL),
	('2026-11-21 16:03:13.615512+00', 181, '2026-11-21 16:03:13.615796+00', '2026-11-21 16:03:14.937258+00', NULL, NULL, 174, NULL, 1313542, 36, 1321462, 7, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 6, 6, 200, 0, NULL, 'tests', NULL, NULL, 'HTTP/1.1', '127.0.0.1:42251', NULL, 124, NULL, NULL, false, NULL, NULL, NULL);
INSERT INTO the_pipeline.result_day VALUES
	('2026-11-21'),
	('2026-11-22'),
	('2026-11-23');
INSERT INTO the_pipeline.site OVERRIDING SYSTEM VALUE VALUES
	(1, 'bad', 'http://127.0.0.1:44917/', 'tests'),
	(2, 'closed', 'http://127.0.0.1:1/', NULL),
	(3, 'good', 'http://127.0.0.1:44917/', 'tests'),
	(4, 'maintained', 'http://127.0.0.1:1/', NULL),
	(5, 'moved', 'http://127.0.0.1:44927/', 'tests'),
	(6, 'slow', 'http://127.0.0.1:42251/', 'tests');
INSERT INTO the_pipeline.site_status VALUES
	(3, 'tests', 3, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 173, '2026-11-21 16:03:01.343049+00', '2026-11-21 16:03:13.343049+00', '2026-11-21 16:03:13.4668+00', '2026-11-21 16:03:01.356106+00', NULL, 67015, 200, NULL, NULL, NULL, false, NULL, false),
	(4, 'tests', 4, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 177, '2026-11-21 16:03:01.262577+00', '2026-11-21 16:03:13.762577+00', '2026-11-21 16:03:13.771232+00', '2026-11-21 16:03:01.288839+00', NULL, 5614, NULL, 'connect_refused', 'connection refused by 127.0.0.1:1', NULL, true, NULL, NULL),
	(2, 'tests', 2, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 179, '2026-11-21 16:03:01.315364+00', '2026-11-21 16:03:13.815364+00', '2026-11-21 16:03:13.821257+00', '2026-11-21 16:03:01.352454+00', NULL, 917, NULL, 'connect_refused', 'connection refused by 127.0.0.1:1', NULL, false, NULL, true),
	(5, 'tests', 5, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 178, '2026-11-21 16:03:01.24029+00', '2026-11-21 16:03:13.74029+00', '2026-11-21 16:03:13.800079+00', '2026-11-21 16:03:01.354821+00', NULL, 53206, 200, NULL, NULL, NULL, false, NULL, false),
	(1, 'tests', 1, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 175, '2026-11-21 16:03:01.09208+00', '2026-11-21 16:03:13.59208+00', '2026-11-21 16:03:13.628701+00', '2026-11-21 16:03:01.112992+00', NULL, 19388, 200, 'status', 'status 200, expected 404', NULL, false, NULL, true),
	(6, 'tests', 6, 'd8001b80-affc-4deb-a18f-ff4ac8932ca3', 181, '2026-11-21 16:03:01.115512+00', '2026-11-21 16:03:13.615512+00', '2026-11-21 16:03:14.937258+00', '2026-11-21 16:03:02.504388+00', NULL, 1321462, 200, NULL, NULL, NULL, false, NULL, false);
INSERT INTO the_pipeline.site_version OVERRIDING SYSTEM VALUE VALUES
	(1, 1, 'http://127.0.0.1:44917/', 'tests', '986fabe32966c34a', 500000, DEFAULT),
	(2, 2, 'http://127.0.0.1:1/', NULL, '28c7caa344b9d66e', 500000, DEFAULT),
	(3, 3, 'http://127.0.0.1:44917/', 'tests', '59f3b90edfabeabf', 500000, DEFAULT),
	(4, 4, 'http://127.0.0.1:1/', NULL, '09f48082064ba52b', 500000, DEFAULT),
	(5, 5, 'http://127.0.0.1:44927/', 'tests', '4d28e7f8f54b3d0c', 500000, DEFAULT),
	(6, 6, 'http://127.0.0.1:42251/', 'tests', '42a0fbbb1ff15558', 1500000, DEFAULT);
SELECT pg_catalog.setval('the_pipeline.certificate_certificate_id_seq', 1, false);
SELECT pg_catalog.setval('the_pipeline.gap_gap_id_seq', 12, true);
SELECT pg_catalog.setval('the_pipeline.incident_incident_id_seq', 2, true);
SELECT pg_catalog.setval('the_pipeline.offset_jump_jump_id_seq', 1, false);
SELECT pg_catalog.setval('the_pipeline.rejected_rejected_id_seq', 2, true);
SELECT pg_catalog.setval('the_pipeline.site_site_id_seq', 6, true);
SELECT pg_catalog.setval('the_pipeline.site_version_version_id_seq', 6, true);
ALTER TABLE ONLY the_pipeline.audit_day
    ADD CONSTRAINT audit_day_pkey PRIMARY KEY (day);
ALTER TABLE ONLY the_pipeline.audit_sum
    ADD CONSTRAINT audit_sum_pkey PRIMARY KEY (day, producer_id);
ALTER TABLE ONLY the_pipeline.certificate
    ADD CONSTRAINT certificate_digest_key UNIQUE (digest);
ALTER TABLE ONLY the_pipeline.certificate
    ADD CONSTRAINT certificate_pkey PRIMARY KEY (certificate_id);
ALTER TABLE ONLY the_pipeline.consumer
    ADD CONSTRAINT consumer_pkey PRIMARY KEY (topic, owner);
ALTER TABLE ONLY the_pipeline.dirty_hour
    ADD CONSTRAINT dirty_hour_pkey PRIMARY KEY (hour, partition);
ALTER TABLE ONLY the_pipeline.gap
    ADD CONSTRAINT gap_pkey PRIMARY KEY (gap_id);
ALTER TABLE ONLY the_pipeline.gap
    ADD CONSTRAINT gap_producer_id_seq_key UNIQUE (producer_id, seq);
ALTER TABLE ONLY the_pipeline.incident
    ADD CONSTRAINT incident_pkey PRIMARY KEY (incident_id);
ALTER TABLE ONLY the_pipeline.maintenance
    ADD CONSTRAINT maintenance_pkey PRIMARY KEY (only_row);
ALTER TABLE ONLY the_pipeline.offset_jump
    ADD CONSTRAINT offset_jump_pkey PRIMARY KEY (jump_id);
ALTER TABLE ONLY the_pipeline.partition_offset
    ADD CONSTRAINT partition_offset_pkey PRIMARY KEY (topic, partition);
ALTER TABLE ONLY the_pipeline.producer_event
    ADD CONSTRAINT producer_event_pkey PRIMARY KEY (producer_id, seq);
ALTER TABLE ONLY the_pipeline.producer
    ADD CONSTRAINT producer_pkey PRIMARY KEY (producer_id);
ALTER TABLE ONLY the_pipeline.refinery_schema_history
    ADD CONSTRAINT refinery_schema_history_pkey PRIMARY KEY (version);
ALTER TABLE ONLY the_pipeline.rejected
    ADD CONSTRAINT rejected_pkey PRIMARY KEY (rejected_id);
ALTER TABLE ONLY the_pipeline.rejected
    ADD CONSTRAINT rejected_topic_partition_offset_digest_key UNIQUE (topic, partition, "offset", digest);
ALTER TABLE ONLY the_pipeline.result
    ADD CONSTRAINT result_pkey PRIMARY KEY (scheduled_at, producer_id, seq);
ALTER TABLE ONLY the_pipeline.result_20261121
    ADD CONSTRAINT result_20261121_pkey PRIMARY KEY (scheduled_at, producer_id, seq);
ALTER TABLE ONLY the_pipeline.result_20261122
    ADD CONSTRAINT result_20261122_pkey PRIMARY KEY (scheduled_at, producer_id, seq);
ALTER TABLE ONLY the_pipeline.result_20261123
    ADD CONSTRAINT result_20261123_pkey PRIMARY KEY (scheduled_at, producer_id, seq);
ALTER TABLE ONLY the_pipeline.result_day
    ADD CONSTRAINT result_day_pkey PRIMARY KEY (day);
ALTER TABLE ONLY the_pipeline.site
    ADD CONSTRAINT site_name_key UNIQUE (name);
ALTER TABLE ONLY the_pipeline.site
    ADD CONSTRAINT site_pkey PRIMARY KEY (site_id);
ALTER TABLE ONLY the_pipeline.site_status
    ADD CONSTRAINT site_status_pkey PRIMARY KEY (site_id, location);
ALTER TABLE ONLY the_pipeline.site_version
    ADD CONSTRAINT site_version_pkey PRIMARY KEY (version_id);
ALTER TABLE ONLY the_pipeline.site_version
    ADD CONSTRAINT site_version_site_id_digest_key UNIQUE (site_id, digest);
ALTER TABLE ONLY the_pipeline.uptime_hour
    ADD CONSTRAINT uptime_hour_pkey PRIMARY KEY (hour, site_id, location);
CREATE INDEX gap_span ON the_pipeline.gap USING btree ("to", "from") WHERE ("to" IS NOT NULL);
CREATE UNIQUE INDEX incident_open ON the_pipeline.incident USING btree (site_id, location) WHERE (closed_at IS NULL);
CREATE INDEX incident_opened ON the_pipeline.incident USING btree (opened_at);
CREATE INDEX offset_jump_open ON the_pipeline.offset_jump USING btree (topic, jump_id) WHERE ((reason = 'unexplained'::text) AND (accepted_at IS NULL));
CREATE INDEX producer_event_at ON the_pipeline.producer_event USING btree (at);
CREATE INDEX rejected_doubled ON the_pipeline.rejected USING btree (producer_id, seq) WHERE doubled;
CREATE INDEX result_site ON ONLY the_pipeline.result USING btree (site_id, scheduled_at);
CREATE INDEX result_20261121_site_id_scheduled_at_idx ON the_pipeline.result_20261121 USING btree (site_id, scheduled_at);
CREATE INDEX result_20261122_site_id_scheduled_at_idx ON the_pipeline.result_20261122 USING btree (site_id, scheduled_at);
CREATE INDEX result_20261123_site_id_scheduled_at_idx ON the_pipeline.result_20261123 USING btree (site_id, scheduled_at);
ALTER INDEX the_pipeline.result_pkey ATTACH PARTITION the_pipeline.result_20261121_pkey;
ALTER INDEX the_pipeline.result_site ATTACH PARTITION the_pipeline.result_20261121_site_id_scheduled_at_idx;
ALTER INDEX the_pipeline.result_pkey ATTACH PARTITION the_pipeline.result_20261122_pkey;
ALTER INDEX the_pipeline.result_site ATTACH PARTITION the_pipeline.result_20261122_site_id_scheduled_at_idx;
ALTER INDEX the_pipeline.result_pkey ATTACH PARTITION the_pipeline.result_20261123_pkey;
ALTER INDEX the_pipeline.result_site ATTACH PARTITION the_pipeline.result_20261123_site_id_scheduled_at_idx;
CREATE TRIGGER offset_gone AFTER DELETE ON the_pipeline.partition_offset FOR EACH ROW EXECUTE FUNCTION the_pipeline.note_offset_jump('unexplained');
CREATE TRIGGER offset_jumped AFTER UPDATE OF topic, partition, next_offset ON the_pipeline.partition_offset FOR EACH ROW WHEN ((((new.topic IS DISTINCT FROM old.topic) OR (new.partition IS DISTINCT FROM old.partition)) OR ((new.next_offset <> old.next_offset) AND ((new.owner IS NULL) OR (new.owner IS DISTINCT FROM old.owner) OR (new.epoch <> old.epoch) OR (NOT (new.expires_at IS DISTINCT FROM old.expires_at))) AND ((new.owner IS NOT NULL) OR (new.epoch <> (old.epoch + 1)) OR (new.next_offset > old.next_offset))))) EXECUTE FUNCTION the_pipeline.note_offset_jump('unexplained');
CREATE TRIGGER offset_replayed AFTER UPDATE OF next_offset ON the_pipeline.partition_offset FOR EACH ROW WHEN (((new.next_offset < old.next_offset) AND (new.owner IS NULL) AND (new.epoch = (old.epoch + 1)))) EXECUTE FUNCTION the_pipeline.note_offset_jump('replay');
CREATE TRIGGER offsets_gone BEFORE TRUNCATE ON the_pipeline.partition_offset FOR EACH STATEMENT EXECUTE FUNCTION the_pipeline.note_offsets_gone();
ALTER TABLE ONLY the_pipeline.audit_sum
    ADD CONSTRAINT audit_sum_day_fkey FOREIGN KEY (day) REFERENCES the_pipeline.audit_day(day) ON DELETE CASCADE;
ALTER TABLE ONLY the_pipeline.incident
    ADD CONSTRAINT incident_site_id_fkey FOREIGN KEY (site_id) REFERENCES the_pipeline.site(site_id);
ALTER TABLE ONLY the_pipeline.site_version
    ADD CONSTRAINT site_version_site_id_fkey FOREIGN KEY (site_id) REFERENCES the_pipeline.site(site_id);
