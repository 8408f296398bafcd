-- What a result says beside its outcome: requests one by one, certificates by name, faults of the prober, maintenance,
-- confirmations. Adding columns rewrites no row. Views keep their names and columns, and get new ones at their end.

CREATE TABLE certificate (
    certificate_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    subject        text,
    issuer         text,
    digest         bytea NOT NULL UNIQUE
);
COMMENT ON TABLE certificate IS 'For whom certificates were made, and who signed them: results name them instead of repeating them.';
COMMENT ON COLUMN certificate.digest IS 'SHA-256 of both names. Servers choose the names, so nothing weaker, whose collisions they could choose too.';

ALTER TABLE uptime_hour ADD COLUMN maintenance bigint NOT NULL DEFAULT 0;

ALTER TABLE result
    ADD COLUMN queue_us bigint,
    ADD COLUMN certificate_id integer,
    ADD COLUMN confirmation integer,
    ADD COLUMN maintenance boolean,
    ADD COLUMN confirmed boolean,
    ADD COLUMN prober_fault text,
    ADD COLUMN extra jsonb;
COMMENT ON COLUMN result.maintenance IS 'Whether the slot lies in a maintenance window; null in rows that were stored when these columns did not exist.';
COMMENT ON COLUMN result.extra IS 'What few results have, named as the contract''s fields: hops, further_failures, insecure, dns_code, reference_answered.';

ALTER TABLE site_status
    ADD COLUMN prober_fault text,
    ADD COLUMN maintenance boolean NOT NULL DEFAULT false,
    ADD COLUMN confirmed boolean,
    ADD COLUMN is_down boolean;
UPDATE site_status SET is_down = failure_kind IS NOT NULL;
COMMENT ON TABLE site_status IS 'The latest scheduled result of each site at each location; an older event never overwrites a newer one, a confirmation none.';
COMMENT ON COLUMN site_status.is_down IS 'By the latest result that counts as up or down, which may be an older one; null until there is one.';
COMMENT ON COLUMN site_status.since IS 'When is_down became what it is: the end of the first check that said so. While it is null, the end of the first check.';
COMMENT ON TABLE incident IS 'A time for which a site was down at a location, by the results that count; the failure is that of its first check.';

CREATE OR REPLACE VIEW check_result AS
SELECT r.producer_id, r.seq, r.location, s.name AS site, v.url, v."group",
       r.scheduled_at, r.started_at, r.finished_at,
       CASE WHEN r.failure_kind IS NULL THEN 'up' ELSE 'down' END AS outcome,
       r.failure_kind, r.failure_detail, r.status, r.body_matched, r.body_bytes, r.http_version, r.remote_addr,
       r.final_url, r.redirects, r.dns_us, r.connect_us, r.tls_us, r.first_byte_us, r.body_us, r.total_us,
       r.certificate_expires_at, v.config_hash,
       r.extra -> 'hops' AS hops, r.extra -> 'further_failures' AS further_failures,
       c.subject AS certificate_subject, c.issuer AS certificate_issuer,
       coalesce((r.extra -> 'insecure')::boolean, false) AS insecure, r.extra ->> 'dns_code' AS dns_code, r.queue_us,
       (r.extra -> 'reference_answered')::boolean AS reference_answered, r.prober_fault,
       coalesce(r.maintenance, false) AS maintenance, r.confirmation, r.confirmed,
       (extract(epoch FROM r.started_at - r.scheduled_at) * 1000000)::bigint AS lateness_us
FROM result r
JOIN site s USING (site_id)
JOIN site_version v USING (version_id)
LEFT JOIN certificate c USING (certificate_id);
COMMENT ON VIEW check_result IS 'One row for each check and each confirmation of a failure, its columns named as the fields of the event.';
COMMENT ON COLUMN check_result.outcome IS 'What this check found. What its slot counts as also depends on prober_fault, maintenance and confirmed: see the view uptime.';
COMMENT ON COLUMN check_result.confirmation IS 'Which confirmation of its slot''s failure this is; null of the scheduled check, which alone counts.';
COMMENT ON COLUMN check_result.confirmed IS 'Of a scheduled check that failed: whether all its confirmations failed too. False counts as up.';
COMMENT ON COLUMN check_result.lateness_us IS 'From the slot to the start of the check, in microseconds.';

CREATE OR REPLACE VIEW latest_status AS
SELECT s.name AS site, t.location, v.url, v."group",
       CASE WHEN t.failure_kind IS NULL THEN 'up' ELSE 'down' END AS outcome,
       t.failure_kind, t.failure_detail, t.status, t.total_us, t.since,
       t.scheduled_at, t.finished_at, t.certificate_expires_at, t.producer_id, t.seq,
       t.prober_fault, t.maintenance, t.confirmed,
       CASE t.is_down WHEN true THEN 'down' WHEN false THEN 'up' END AS state
FROM site_status t
JOIN site s USING (site_id)
JOIN site_version v USING (version_id);
COMMENT ON VIEW latest_status IS 'The latest scheduled result of each site at each location, and since when the site is up or down. Confirmations are not shown.';
COMMENT ON COLUMN latest_status.outcome IS 'What the latest check found, whether it counts or not.';
COMMENT ON COLUMN latest_status.state IS 'Up or down by the latest check that counts; null until one did. A check with a prober_fault or in maintenance does not count, a failure with confirmed = false counts as up.';
COMMENT ON COLUMN latest_status.since IS 'Since when the state is what it is: the end of the first check that said so. While there is no state, the end of the first check.';
COMMENT ON COLUMN latest_status.prober_fault IS 'Why the latest failure says nothing about the site.';
COMMENT ON COLUMN latest_status.maintenance IS 'Whether the latest check lies in a maintenance window.';
COMMENT ON COLUMN latest_status.confirmed IS 'Whether all confirmations of the latest failure failed too.';

-- As uptime_between of V2, but for what a slot counts as. It takes that name when nothing uses the old one any more.
CREATE FUNCTION slots_between(from_time timestamptz, until_time timestamptz)
RETURNS TABLE (site_id integer, location text, up bigint, down bigint, unknown bigint, maintenance bigint)
LANGUAGE sql STABLE
BEGIN ATOMIC
    WITH slot AS (
        -- Two producers at one location check the same slots. The highest of their verdicts is the slot's: down (3) when
        -- either saw it down, else up (2), maintenance (1), unknown (0). So what counts wins against what does not.
        SELECT r.site_id, r.location, r.scheduled_at, max(r.version_id) AS version_id,
               max(CASE WHEN r.maintenance THEN 1
                        WHEN r.failure_kind IS NULL THEN 2
                        WHEN r.prober_fault IS NOT NULL THEN 0
                        WHEN NOT r.confirmed THEN 2
                        ELSE 3 END) AS verdict
        FROM result r
        WHERE r.scheduled_at >= from_time AND r.scheduled_at < until_time AND r.confirmation IS NULL
        GROUP BY r.site_id, r.location, r.scheduled_at
    ), step AS (
        SELECT l.site_id, l.location, l.scheduled_at, l.verdict, v.interval_us,
               lag(l.scheduled_at) OVER w AS slot_before, lag(v.interval_us) OVER w AS interval_before,
               lead(l.scheduled_at) OVER w IS NULL AS is_last
        FROM slot l JOIN site_version v USING (version_id)
        WINDOW w AS (PARTITION BY l.site_id, l.location ORDER BY l.scheduled_at)
    ), seen AS (
        SELECT s.site_id, s.location,
               count(*) FILTER (WHERE s.verdict = 3) AS down, count(*) FILTER (WHERE s.verdict = 2) AS up,
               count(*) FILTER (WHERE s.verdict = 1) AS maintenance, count(*) FILTER (WHERE s.verdict = 0) AS undecided,
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
               s.undecided + s.missed::bigint + slots_in(s.first_slot - w.starts, s.first_interval)
               + slots_in(w.ends - s.last_slot - interval '1 microsecond', s.last_interval)
           WHEN w.ends <= w.starts THEN 0
           -- No result at all: the site's later slots tell where those of this time lay.
           WHEN w.last_slot >= w.ends THEN
               slots_in(w.last_slot - w.starts, w.interval_us) - slots_in(w.last_slot - w.ends, w.interval_us)
           -- Or its earlier ones.
           ELSE slots_in(w.ends - w.last_slot - interval '1 microsecond', w.interval_us)
                - slots_in(w.starts - w.last_slot - interval '1 microsecond', w.interval_us)
           END,
           coalesce(s.maintenance, 0)
    FROM watched w LEFT JOIN seen s USING (site_id, location);
END;
COMMENT ON FUNCTION slots_between IS 'The slots from from_time to before until_time of each site and location: up, down, unknown (due without a result, or with one that says nothing about the site), and in maintenance.';

CREATE OR REPLACE VIEW uptime AS
SELECT s.name AS site, u.location, u.hour, u.up, u.down, u.unknown,
       round(100.0 * u.up / nullif(u.up + u.down, 0), 4) AS uptime_percent, u.maintenance
FROM (
    SELECT h.hour, h.site_id, h.location, h.up, h.down, h.unknown, h.maintenance
    FROM uptime_hour h WHERE NOT EXISTS (SELECT FROM open_hour o WHERE o.hour = h.hour)
    UNION ALL
    SELECT o.hour, b.site_id, b.location, b.up, b.down, b.unknown, b.maintenance
    FROM open_hour o CROSS JOIN LATERAL slots_between(o.hour, o.hour + interval '1 hour') b
) u
JOIN site s USING (site_id)
WHERE u.up + u.down + u.unknown + u.maintenance > 0;
COMMENT ON VIEW uptime IS 'Slots of each site, location and hour: each that was due is up, down, unknown or in maintenance. The percentage is of those up or down.';
COMMENT ON COLUMN uptime.up IS 'Slots whose check was good, or failed and was found good by a confirmation.';
COMMENT ON COLUMN uptime.down IS 'Slots whose check failed, with no confirmation that was good.';
COMMENT ON COLUMN uptime.unknown IS 'Slots that were due and have no result, or whose check failed by a fault of the prober.';
COMMENT ON COLUMN uptime.maintenance IS 'Slots in a maintenance window, whatever their check found.';

DROP FUNCTION uptime_between;
ALTER FUNCTION slots_between RENAME TO uptime_between;

-- The grants of V3, for the new table.
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'isitup_reader') THEN
        GRANT SELECT ON certificate TO isitup_reader;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'isitup_ingest') THEN
        GRANT SELECT, INSERT, UPDATE, DELETE ON certificate TO isitup_ingest;
    END IF;
END
$$;
