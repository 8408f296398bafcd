-- The public reading interface: check_result, latest_status, uptime and audit keep their names and columns.
-- The other views and the functions are what they are built of.

CREATE VIEW check_result AS
SELECT r.producer_id, r.seq, r.location, s.name AS site, v.url, v."group",
       r.scheduled_at, r.started_at, r.finished_at,
       CASE WHEN r.failure_kind IS NULL THEN 'up' ELSE 'down' END AS outcome,
       r.failure_kind, r.failure_detail, r.status, r.body_matched, r.body_bytes, r.http_version, r.remote_addr,
       r.final_url, r.redirects, r.dns_us, r.connect_us, r.tls_us, r.first_byte_us, r.body_us, r.total_us,
       r.certificate_expires_at, v.config_hash
FROM result r
JOIN site s USING (site_id)
JOIN site_version v USING (version_id);
COMMENT ON VIEW check_result IS 'One row for each check, its columns named as the fields of the event.';

CREATE VIEW latest_status AS
SELECT s.name AS site, t.location, v.url, v."group",
       CASE WHEN t.failure_kind IS NULL THEN 'up' ELSE 'down' END AS outcome,
       t.failure_kind, t.failure_detail, t.status, t.total_us, t.since,
       t.scheduled_at, t.finished_at, t.certificate_expires_at, t.producer_id, t.seq
FROM site_status t
JOIN site s USING (site_id)
JOIN site_version v USING (version_id);
COMMENT ON VIEW latest_status IS 'The latest result of each site at each location, and since when it is up or down.';

-- Uptime: slots by what became of them.

CREATE FUNCTION slots_in(span interval, interval_us bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN interval_us > 0 AND span > '0'
            THEN floor(extract(epoch FROM span) * 1000000 / interval_us)::bigint
            ELSE 0 END;
COMMENT ON FUNCTION slots_in IS 'How many whole steps of interval_us microseconds lie in span; 0 where the step is not known.';

-- A producer that lives and no longer speaks of a site, neither by a result nor by a gap, does not check it any more:
-- its time ends with the last word on it. A producer that is silent altogether leaves its sites unknown.
CREATE VIEW watched_site AS
SELECT t.site_id, t.location, v.interval_us, t.scheduled_at AS last_slot, t.first_scheduled_at AS watched_from,
       CASE WHEN p.reported_at > word.at + interval '1 microsecond' * (2 * coalesce(v.interval_us, 0)) + interval '1 minute'
            THEN word.at + interval '1 microsecond'
            ELSE 'infinity' END AS watched_until
FROM site_status t
JOIN site s USING (site_id)
JOIN site_version v USING (version_id)
LEFT JOIN producer p USING (producer_id)
CROSS JOIN LATERAL (
    SELECT greatest(t.scheduled_at, max(g."to")) AS at
    FROM gap g
    WHERE g.producer_id = t.producer_id AND g."to" > t.scheduled_at AND (g.sites IS NULL OR s.name = ANY (g.sites))
) word;
COMMENT ON VIEW watched_site IS 'From when until when each site is known to be checked at each location.';

CREATE FUNCTION uptime_between(from_time timestamptz, until_time timestamptz)
RETURNS TABLE (site_id integer, location text, up bigint, down bigint, unknown bigint)
LANGUAGE sql STABLE
BEGIN ATOMIC
    WITH slot AS (
        -- Two producers at one location check the same slots; a slot is down when either saw it down.
        SELECT r.site_id, r.location, r.scheduled_at, bool_or(r.failure_kind IS NOT NULL) AS is_down,
               max(r.version_id) AS version_id
        FROM result r
        WHERE r.scheduled_at >= from_time AND r.scheduled_at < until_time
        GROUP BY r.site_id, r.location, r.scheduled_at
    ), step AS (
        SELECT l.site_id, l.location, l.scheduled_at, l.is_down, v.interval_us,
               lag(l.scheduled_at) OVER w AS slot_before, lag(v.interval_us) OVER w AS interval_before,
               lead(l.scheduled_at) OVER w IS NULL AS is_last
        FROM slot l JOIN site_version v USING (version_id)
        WINDOW w AS (PARTITION BY l.site_id, l.location ORDER BY l.scheduled_at)
    ), seen AS (
        SELECT s.site_id, s.location,
               count(*) FILTER (WHERE NOT s.is_down) AS up,
               count(*) FILTER (WHERE s.is_down) AS down,
               coalesce(sum(slots_in(s.scheduled_at - s.slot_before - interval '1 microsecond',
                                     greatest(s.interval_us, s.interval_before))), 0) AS missed,
               min(s.scheduled_at) AS first_slot, max(s.scheduled_at) AS last_slot,
               max(s.interval_us) FILTER (WHERE s.slot_before IS NULL) AS first_interval,
               max(s.interval_us) FILTER (WHERE s.is_last) AS last_interval
        FROM step s GROUP BY s.site_id, s.location
    ), watched AS (
        -- A slot of the last minute may still be on its way.
        SELECT w.site_id, w.location, w.interval_us, w.last_slot,
               greatest(from_time, w.watched_from) AS starts,
               least(until_time, w.watched_until, now() - interval '1 minute') AS ends
        FROM watched_site w WHERE w.watched_from < until_time AND w.watched_until > from_time
    )
    SELECT w.site_id, w.location, coalesce(s.up, 0), coalesce(s.down, 0),
           CASE
           WHEN s.site_id IS NOT NULL THEN
               s.missed::bigint + slots_in(s.first_slot - w.starts, s.first_interval)
               + slots_in(w.ends - s.last_slot - interval '1 microsecond', s.last_interval)
           WHEN w.ends <= w.starts THEN 0
           -- No result at all: the site's later slots tell where those of this time lay.
           WHEN w.last_slot >= w.ends THEN
               slots_in(w.last_slot - w.starts, w.interval_us) - slots_in(w.last_slot - w.ends, w.interval_us)
           -- Or its earlier ones.
           ELSE slots_in(w.ends - w.last_slot - interval '1 microsecond', w.interval_us)
                - slots_in(w.starts - w.last_slot - interval '1 microsecond', w.interval_us)
           END
    FROM watched w LEFT JOIN seen s USING (site_id, location);
END;
COMMENT ON FUNCTION uptime_between IS 'The slots from from_time to before until_time of each site and location: up, down, and unknown, which are those due without a result.';

CREATE VIEW open_hour AS
SELECT hour FROM dirty_hour
UNION
SELECT generate_series(
    coalesce(m.rolled_until, (SELECT date_trunc('hour', min(t.first_scheduled_at), 'UTC') FROM site_status t)),
    date_trunc('hour', now(), 'UTC'), interval '1 hour')
FROM maintenance m;
COMMENT ON VIEW open_hour IS 'Hours whose uptime must be computed from the results themselves.';

CREATE VIEW uptime AS
SELECT s.name AS site, u.location, u.hour, u.up, u.down, u.unknown,
       round(100.0 * u.up / nullif(u.up + u.down, 0), 4) AS uptime_percent
FROM (
    SELECT h.hour, h.site_id, h.location, h.up, h.down, h.unknown
    FROM uptime_hour h WHERE NOT EXISTS (SELECT FROM open_hour o WHERE o.hour = h.hour)
    UNION ALL
    SELECT o.hour, b.site_id, b.location, b.up, b.down, b.unknown
    FROM open_hour o CROSS JOIN LATERAL uptime_between(o.hour, o.hour + interval '1 hour') b
) u
JOIN site s USING (site_id)
WHERE u.up + u.down + u.unknown > 0;
COMMENT ON VIEW uptime IS 'Slots of each site, location and hour: up, down, and unknown (due, but without a result). The percentage is of those known.';

-- Audit: every number of every producer.

CREATE VIEW summed_day AS
SELECT a.day FROM audit_day a
WHERE NOT EXISTS (
    SELECT FROM dirty_hour d
    WHERE d.hour >= a.day::timestamp AT TIME ZONE 'UTC' AND d.hour < (a.day + 1)::timestamp AT TIME ZONE 'UTC'
);
COMMENT ON VIEW summed_day IS 'The days whose sums hold.';

CREATE FUNCTION day_numbers(of_day date)
RETURNS TABLE (producer_id uuid, seqs int8multirange, doubled int8multirange)
LANGUAGE sql STABLE
BEGIN ATOMIC
    WITH number AS (
        SELECT r.producer_id, r.seq FROM result r
        WHERE r.scheduled_at >= of_day::timestamp AT TIME ZONE 'UTC'
          AND r.scheduled_at < (of_day + 1)::timestamp AT TIME ZONE 'UTC'
        UNION ALL
        SELECT e.producer_id, e.seq FROM producer_event e
        WHERE e.at >= of_day::timestamp AT TIME ZONE 'UTC' AND e.at < (of_day + 1)::timestamp AT TIME ZONE 'UTC'
    ), ranked AS (
        SELECT n.producer_id, n.seq, n.seq - dense_rank() OVER w AS island, n.seq = lag(n.seq) OVER w AS again
        FROM number n WINDOW w AS (PARTITION BY n.producer_id ORDER BY n.seq)
    ), island AS (
        SELECT k.producer_id, int8range(min(k.seq), max(k.seq) + 1) AS seqs
        FROM ranked k GROUP BY k.producer_id, k.island
    ), again AS (
        SELECT k.producer_id, range_agg(int8range(k.seq, k.seq + 1)) AS seqs
        FROM ranked k WHERE k.again GROUP BY k.producer_id
    )
    SELECT i.producer_id, range_agg(i.seqs), coalesce((SELECT a.seqs FROM again a WHERE a.producer_id = i.producer_id), '{}')
    FROM island i GROUP BY i.producer_id;
END;
COMMENT ON FUNCTION day_numbers IS 'The numbers of one day''s results and producer events, and those of them that stand there twice.';

CREATE FUNCTION count_of(numbers int8multirange) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (SELECT coalesce(sum(upper(r) - lower(r)), 0)::bigint FROM unnest(numbers) AS r);
COMMENT ON FUNCTION count_of IS 'How many numbers a multirange holds.';

CREATE VIEW audit_ranges AS
WITH day_sum AS (
    SELECT s.producer_id, s.seqs, s.doubled FROM audit_sum s JOIN summed_day USING (day)
    UNION ALL
    SELECT n.producer_id, n.seqs, n.doubled
    FROM ((SELECT day FROM result_day UNION SELECT day FROM audit_day) EXCEPT SELECT day FROM summed_day) o
    CROSS JOIN LATERAL day_numbers(o.day) n
), piece AS (
    SELECT producer_id, unnest(seqs) AS seqs FROM day_sum
    UNION ALL
    SELECT producer_id, int8range(seq, seq + 1) FROM gap WHERE seq IS NOT NULL
), edge AS (
    SELECT producer_id, lower(seqs) AS at, 1 AS step FROM piece
    UNION ALL
    SELECT producer_id, upper(seqs), -1 FROM piece
), depth AS (
    -- Sweeping over the edges of all pieces tells how many of them hold each number.
    SELECT producer_id, at, sum(sum(step)) OVER w AS depth, lead(at) OVER w AS until
    FROM edge GROUP BY producer_id, at WINDOW w AS (PARTITION BY producer_id ORDER BY at)
), stored AS (
    SELECT producer_id, range_agg(int8range(at, until)) FILTER (WHERE depth > 0) AS seqs,
           range_agg(int8range(at, until)) FILTER (WHERE depth > 1) AS again
    FROM depth WHERE until IS NOT NULL GROUP BY producer_id
), declared AS (
    SELECT producer_id, range_agg(int8range(first_seq, last_seq + 1)) AS seqs
    FROM gap WHERE producer_id IS NOT NULL AND first_seq IS NOT NULL GROUP BY producer_id
), doubled AS (
    SELECT producer_id, range_agg(seqs) AS seqs
    FROM (
        SELECT producer_id, unnest(doubled) AS seqs FROM day_sum
        UNION ALL SELECT producer_id, unnest(again) FROM stored
        UNION ALL SELECT producer_id, int8range(seq, seq + 1) FROM rejected WHERE rejected.doubled
    ) twice GROUP BY producer_id
), known AS (
    SELECT producer_id, coalesce(s.seqs, '{}') AS stored, coalesce(d.seqs, '{}') AS declared,
           greatest(upper(s.seqs), upper(d.seqs)) - 1 AS last
    FROM stored s FULL JOIN declared d USING (producer_id)
)
SELECT k.producer_id, k.last, k.stored, k.declared - k.stored AS declared,
       int8multirange(int8range(1, k.last + 1)) - k.stored - k.declared AS missing,
       coalesce(d.seqs, '{}') AS doubled
FROM known k LEFT JOIN doubled d USING (producer_id);
COMMENT ON VIEW audit_ranges IS 'The numbers behind the view audit.';

CREATE VIEW audit AS
SELECT producer_id, 1::bigint AS first, last, count_of(stored) AS stored, count_of(declared) AS declared,
       count_of(missing) AS missing, count_of(doubled) AS doubled
FROM audit_ranges;
COMMENT ON VIEW audit IS 'Each producer''s numbers, from 1 to the last seen: stored, declared as gaps, missing, and doubled (met more than once with different content).';

-- Following new rows: a row came after a snapshot when its transaction could not be seen in it.

CREATE FUNCTION came_after(row_xmin xid, snapshot pg_snapshot) RETURNS boolean
LANGUAGE sql STABLE
-- xmin is the lower half of a transaction's number; the upper half is that of the present, or one less.
RETURN (
    SELECT NOT pg_visible_in_snapshot(
        (n.whole - CASE WHEN n.whole > n.present THEN 4294967296 ELSE 0 END)::text::xid8, snapshot)
    FROM (
        SELECT p.present, (p.present / 4294967296) * 4294967296 + row_xmin::text::bigint AS whole
        FROM (SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS present) p
    ) n
);
COMMENT ON FUNCTION came_after IS 'Whether a row with this xmin was committed after the snapshot was taken.';
