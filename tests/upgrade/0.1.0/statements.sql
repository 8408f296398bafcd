DELETE FROM consumer WHERE (topic, owner) IN (
             SELECT topic, owner FROM consumer WHERE topic = $1 AND expires_at < clock_timestamp() FOR UPDATE SKIP LOCKED);

DELETE FROM consumer WHERE topic = $1 AND owner = $2;

DELETE FROM rejected WHERE rejected_id = ANY ($1);

INSERT INTO consumer (topic, owner, expires_at) VALUES ($1, $2, clock_timestamp() + $3 * interval '1 s')
         ON CONFLICT (topic, owner) DO UPDATE SET expires_at = excluded.expires_at;

INSERT INTO dirty_hour (hour, partition) SELECT * FROM unnest($1::timestamptz[], $2::int[])
         ON CONFLICT (hour, partition) DO UPDATE SET marks = dirty_hour.marks + 1, marked_at = now();

INSERT INTO dirty_hour (hour, partition, marked_at)
         SELECT generate_series(
                    greatest(coalesce(m.rolled_until, b.first_hour), $1::date::timestamp AT TIME ZONE 'UTC'),
                    date_trunc('hour', now() - interval '2 minutes', 'UTC') - interval '1 hour',
                    interval '1 hour'), -1, '-infinity'
         FROM maintenance m,
              (SELECT date_trunc('hour', min(first_scheduled_at), 'UTC') AS first_hour FROM site_status) b
         WHERE b.first_hour IS NOT NULL
         ON CONFLICT (hour, partition) DO UPDATE SET marks = dirty_hour.marks + 1;

INSERT INTO gap (producer_id, seq, location, reason, first_seq, last_seq, "from", "to", sites)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING;

INSERT INTO incident (site_id, location, opened_at, closed_at, failure_kind, failure_detail)
         SELECT site_id, location, opened_at, greatest(closed_at, CASE WHEN closed_at IS NOT NULL THEN opened_at END), kind, detail
         FROM unnest($1::int[], $2::text[], $3::timestamptz[], $4::timestamptz[], $5::text[], $6::text[])
              AS n (site_id, location, opened_at, closed_at, kind, detail)
         -- A consumer of an older release, still running beside this one, may have opened it for what does not count.
         ON CONFLICT (site_id, location) WHERE closed_at IS NULL DO NOTHING;

INSERT INTO partition_offset (topic, partition, next_offset)
         SELECT $1, partition, next_offset FROM unnest($2::int[], $3::bigint[]) AS new (partition, next_offset)
         ON CONFLICT DO NOTHING;

INSERT INTO producer (producer_id, location) SELECT * FROM unnest($1::uuid[], $2::text[]) ON CONFLICT DO NOTHING;

INSERT INTO producer_event (producer_id, seq, type, location, at, state, site_count, config_hash, version, step_us)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING;

INSERT INTO rejected (topic, partition, "offset", raw, reason, producer_id, seq, doubled)
           SELECT $1, * FROM unnest($2::int[], $3::bigint[], $4::bytea[], $5::text[], $6::uuid[], $7::bigint[], $8::bool[])
           ON CONFLICT DO NOTHING RETURNING partition, "offset";

INSERT INTO result (scheduled_at, seq, started_at, finished_at, certificate_expires_at, dns_us, connect_us, tls_us, first_byte_us, body_us, total_us, body_bytes, producer_id, site_id, version_id, status, redirects, body_matched, location, failure_kind, failure_detail, http_version, remote_addr, final_url, queue_us, certificate_id, confirmation, maintenance, confirmed, prober_fault, extra) SELECT * FROM unnest($1::timestamptz[], $2::bigint[], $3::timestamptz[], $4::timestamptz[], $5::timestamptz[], $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[], $13::uuid[], $14::int[], $15::int[], $16::int[], $17::int[], $18::bool[], $19::text[], $20::text[], $21::text[], $22::text[], $23::text[], $24::text[], $25::bigint[], $26::int[], $27::int[], $28::bool[], $29::bool[], $30::text[], $31::jsonb[]) ON CONFLICT DO NOTHING;

INSERT INTO result_day (day) VALUES ($1) ON CONFLICT DO NOTHING;

INSERT INTO site (name, url, "group")
           SELECT DISTINCT ON (n.name) n.name, n.url, n."group" FROM unnest($1::text[], $2::text[], $3::text[]) AS n (name, url, "group")
           WHERE NOT EXISTS (SELECT FROM site s WHERE s.name = n.name)
           ORDER BY n.name
           ON CONFLICT DO NOTHING;

INSERT INTO site_status (site_id, location, version_id, producer_id, seq, first_scheduled_at, scheduled_at,
             finished_at, since, certificate_expires_at, total_us, status, failure_kind, failure_detail, prober_fault,
             maintenance, confirmed, is_down)
         SELECT * FROM unnest($1::int[], $2::text[], $3::int[], $4::uuid[], $5::bigint[], $6::timestamptz[],
             $7::timestamptz[], $8::timestamptz[], $9::timestamptz[], $10::timestamptz[], $11::bigint[], $12::int[],
             $13::text[], $14::text[], $15::text[], $16::bool[], $17::bool[], $18::bool[])
         ON CONFLICT DO NOTHING;

INSERT INTO site_version (site_id, url, "group", config_hash)
           SELECT s.site_id, n.url, n."group", n.config_hash
           FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS n (name, url, "group", config_hash)
           JOIN site s ON s.name = n.name
           WHERE NOT EXISTS (
               SELECT FROM site_version v WHERE v.site_id = s.site_id AND v.url = n.url
                   AND v.config_hash = n.config_hash AND v."group" IS NOT DISTINCT FROM n."group")
           ORDER BY s.site_id, n.url
           ON CONFLICT DO NOTHING;

SELECT (SELECT count(*) FROM partition_offset WHERE topic = $1),
                count(*), count(*) FILTER (WHERE owner < $2)
         FROM consumer WHERE topic = $1 AND (expires_at > clock_timestamp() OR owner = $2);

SELECT (clock_timestamp() AT TIME ZONE 'UTC')::date;

SELECT (clock_timestamp() AT TIME ZONE 'UTC')::date, found.day
         FROM (VALUES (1)) AS one LEFT JOIN LATERAL (
             SELECT day FROM result_day WHERE day = ANY ($1) FOR KEY SHARE) AS found ON true;

SELECT FROM pg_namespace WHERE nspname = $1;

SELECT count(*) FROM (VALUES (0, 24), (1, 2), (2, 24), (3, 31), (4, 92), (5, 15)) e (p, o) WHERE NOT EXISTS (SELECT FROM partition_offset WHERE partition = p AND next_offset = o);

SELECT count(*) FROM check_result;

SELECT count(*), coalesce(max(rejected_id), 0) FROM rejected
           WHERE topic = $1 AND strpos(lower(reason), lower($2)) > 0
             AND ($3::int[] IS NULL OR (partition, "offset") IN (SELECT * FROM unnest($3::int[], $4::bigint[])));

SELECT current_setting('server_version_num')::int;

SELECT d.day FROM result_day d
         WHERE d.day < ((now() - interval '1 hour') AT TIME ZONE 'UTC')::date
           AND NOT EXISTS (SELECT FROM audit_day a WHERE a.day = d.day)
           AND NOT EXISTS (
               SELECT FROM dirty_hour h WHERE h.hour >= d.day::timestamp AT TIME ZONE 'UTC'
                   AND h.hour < (d.day + 1)::timestamp AT TIME ZONE 'UTC')
         ORDER BY d.day;

SELECT hour FROM dirty_hour WHERE hour < date_trunc('hour', now() - interval '2 minutes', 'UTC')
         GROUP BY hour HAVING max(marked_at) < now() - interval '10 seconds' ORDER BY hour;

SELECT n.ordinal,
                r.xmin::text::bigint = pg_current_xact_id()::text::bigint % 4294967296,
                (r.started_at, r.finished_at, r.certificate_expires_at, r.dns_us, r.connect_us, r.tls_us,
                 r.first_byte_us, r.body_us, r.total_us, r.body_bytes, r.site_id, r.version_id, r.status, r.redirects,
                 r.body_matched, r.location, r.failure_kind, r.failure_detail, r.http_version, r.remote_addr, r.final_url)
                IS NOT DISTINCT FROM
                (n.started_at, n.finished_at, n.certificate_expires_at, n.dns_us, n.connect_us, n.tls_us,
                 n.first_byte_us, n.body_us, n.total_us, n.body_bytes, n.site_id, n.version_id, n.status, n.redirects,
                 n.body_matched, n.location, n.failure_kind, n.failure_detail, n.http_version, n.remote_addr, n.final_url)
                AND (r.maintenance IS NULL OR
                     (r.queue_us, r.certificate_id, r.confirmation, r.maintenance, r.confirmed, r.prober_fault, r.extra)
                     IS NOT DISTINCT FROM
                     (n.queue_us, n.certificate_id, n.confirmation, n.maintenance, n.confirmed, n.prober_fault, n.extra))
         FROM unnest($1::timestamptz[], $2::bigint[], $3::timestamptz[], $4::timestamptz[], $5::timestamptz[], $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[], $13::uuid[], $14::int[], $15::int[], $16::int[], $17::int[], $18::bool[], $19::text[], $20::text[], $21::text[], $22::text[], $23::text[], $24::text[], $25::bigint[], $26::int[], $27::int[], $28::bool[], $29::bool[], $30::text[], $31::jsonb[]) WITH ORDINALITY AS n (scheduled_at, seq, started_at, finished_at, certificate_expires_at, dns_us, connect_us, tls_us, first_byte_us, body_us, total_us, body_bytes, producer_id, site_id, version_id, status, redirects, body_matched, location, failure_kind, failure_detail, http_version, remote_addr, final_url, queue_us, certificate_id, confirmation, maintenance, confirmed, prober_fault, extra, ordinal)
         JOIN result r USING (scheduled_at, producer_id, seq);

SELECT n.ordinal, s.site_id, v.version_id, v.interval_us
           FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) WITH ORDINALITY AS n (name, url, "group", config_hash, ordinal)
           JOIN site s ON s.name = n.name
           JOIN site_version v ON v.site_id = s.site_id AND v.url = n.url AND v.config_hash = n.config_hash
                AND v."group" IS NOT DISTINCT FROM n."group";

SELECT pg_advisory_xact_lock(hashtextextended('isitup migrate ' || $1, 0));

SELECT pg_current_snapshot()::text;

SELECT producer_id, 1::bigint, last, count_of(stored), count_of(declared), count_of(missing), count_of(doubled),
                ARRAY(SELECT lower(r) FROM unnest(missing) r), ARRAY(SELECT upper(r) - 1 FROM unnest(missing) r),
                ARRAY(SELECT lower(r) FROM unnest(doubled) r), ARRAY(SELECT upper(r) - 1 FROM unnest(doubled) r)
         FROM audit_ranges ORDER BY producer_id;

SELECT rejected_id, partition, "offset", rejected_at, reason, octet_length(raw)::bigint, producer_id, seq,
                      doubled, raw FROM rejected
               WHERE topic = $1 AND strpos(lower(reason), lower($2)) > 0
                 AND ($3::int[] IS NULL OR (partition, "offset") IN (SELECT * FROM unnest($3::int[], $4::bigint[]))) AND rejected_id > $5 AND rejected_id <= $6 ORDER BY rejected_id LIMIT $7 FOR UPDATE SKIP LOCKED;

SELECT rejected_id, partition, "offset", rejected_at, reason, octet_length(raw)::bigint, producer_id, seq,
                      doubled, substring(raw FROM 1 FOR 64) FROM rejected
               WHERE topic = $1 AND strpos(lower(reason), lower($2)) > 0
                 AND ($3::int[] IS NULL OR (partition, "offset") IN (SELECT * FROM unnest($3::int[], $4::bigint[]))) ORDER BY rejected_id DESC LIMIT $5;

SELECT scheduled_at, finished_at, site, location, failure_kind, failure_detail, status, total_us,
                jsonb_strip_nulls(to_jsonb(c)), confirmation, confirmed, maintenance, prober_fault
         FROM check_result c ORDER BY scheduled_at DESC, finished_at DESC LIMIT $1;

SELECT t.site_id, t.location, t.producer_id, t.seq, t.version_id, t.first_scheduled_at, t.scheduled_at,
                t.finished_at, t.since, t.is_down
         FROM unnest($1::int[], $2::text[]) AS k (site_id, location) JOIN site_status t USING (site_id, location);

SELECT to_date(substr(c.relname, 8), 'YYYYMMDD') AS day, i.inhrelid IS NOT NULL, coalesce(i.inhdetachpending, false)
          FROM pg_class c LEFT JOIN pg_inherits i ON i.inhrelid = c.oid
          WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r' AND c.relname ~ '^result_\d{8}$'
            AND to_date(substr(c.relname, 8), 'YYYYMMDD') < $1
          ORDER BY day;

SELECT topic, partition, first_offset, last_offset, recorded_at FROM gap
         WHERE topic IS NOT NULL AND accepted_at IS NULL ORDER BY gap_id;

SELECT topic, partition, from_offset, to_offset, reason, at, moved_by, accepted_at IS NOT NULL, jump_id
         FROM offset_jump
         WHERE reason = 'unexplained' AND accepted_at IS NULL
            OR jump_id IN (SELECT jump_id FROM offset_jump WHERE reason <> 'unexplained' OR accepted_at IS NOT NULL
                           ORDER BY jump_id DESC LIMIT 20)
         ORDER BY jump_id;

SELECT topic, partition, from_offset, to_offset, reason, at, moved_by, false, jump_id FROM offset_jump
         WHERE topic = $1 AND jump_id > $2 AND reason = 'unexplained' AND accepted_at IS NULL ORDER BY jump_id;

SELECT version, name, applied_on, checksum FROM "the_pipeline".refinery_schema_history ORDER BY version ASC;;

UPDATE maintenance
         SET rolled_until = greatest(rolled_until, date_trunc('hour', now() - interval '2 minutes', 'UTC'))
         WHERE EXISTS (SELECT FROM site_status);

UPDATE maintenance SET owner = $1, expires_at = clock_timestamp() + $2 * interval '1 s'
         WHERE owner IS NULL OR owner = $1 OR expires_at < clock_timestamp();

UPDATE maintenance SET owner = NULL, expires_at = NULL WHERE owner = $1;

UPDATE partition_offset SET expires_at = clock_timestamp() + $3 * interval '1 s'
         WHERE topic = $1 AND owner = $2 RETURNING partition, epoch, next_offset, anchor;

UPDATE partition_offset SET owner = $2, epoch = epoch + 1, expires_at = clock_timestamp() + $3 * interval '1 s'
         WHERE topic = $1 AND partition IN (
             SELECT partition FROM partition_offset
             WHERE topic = $1 AND (owner IS NULL OR expires_at < clock_timestamp()) AND owner IS DISTINCT FROM $2
             ORDER BY partition LIMIT $4 FOR UPDATE SKIP LOCKED)
         RETURNING partition, epoch, next_offset, anchor;

UPDATE partition_offset SET owner = NULL, expires_at = NULL WHERE topic = $1 AND owner = $2;

UPDATE partition_offset p
         SET next_offset = m.next_offset, anchor = m.anchor, expires_at = clock_timestamp() + $8 * interval '1 s'
         FROM unnest($3::int[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bytea[])
              AS m (partition, epoch, expected, next_offset, anchor)
         WHERE p.topic = $1 AND p.owner = $2 AND p.partition = m.partition AND p.epoch = m.epoch
           AND p.next_offset = m.expected
         RETURNING p.partition;

UPDATE producer
         SET location = $2, reported_seq = $3, reported_at = $4, state = $5, site_count = $6, config_hash = $7, version = $8
         WHERE producer_id = $1 AND (reported_seq IS NULL OR reported_seq < $3);

UPDATE rejected SET reason = $2, producer_id = $3, seq = $4, doubled = $5
         WHERE rejected_id = $1 AND (reason, producer_id, seq, doubled) IS DISTINCT FROM ($2, $3, $4, $5);

UPDATE site_status t
         SET version_id = n.version_id, producer_id = n.producer_id, seq = n.seq,
             first_scheduled_at = n.first_scheduled_at, scheduled_at = n.scheduled_at, finished_at = n.finished_at,
             since = n.since, certificate_expires_at = n.certificate_expires_at, total_us = n.total_us,
             status = n.status, failure_kind = n.failure_kind, failure_detail = n.failure_detail,
             prober_fault = n.prober_fault, maintenance = n.maintenance, confirmed = n.confirmed, is_down = n.is_down
         FROM unnest($1::int[], $2::text[], $3::int[], $4::uuid[], $5::bigint[], $6::timestamptz[],
             $7::timestamptz[], $8::timestamptz[], $9::timestamptz[], $10::timestamptz[], $11::bigint[], $12::int[],
             $13::text[], $14::text[], $15::text[], $16::bool[], $17::bool[], $18::bool[], $19::uuid[], $20::bigint[])
             AS n (site_id, location, version_id, producer_id, seq, first_scheduled_at, scheduled_at, finished_at,
                 since, certificate_expires_at, total_us, status, failure_kind, failure_detail, prober_fault,
                 maintenance, confirmed, is_down, old_producer_id, old_seq)
         WHERE t.site_id = n.site_id AND t.location = n.location
           AND t.producer_id = n.old_producer_id AND t.seq = n.old_seq;

UPDATE site_version v SET interval_us = n.interval_us
         FROM unnest($1::int[], $2::bigint[]) AS n (version_id, interval_us)
         WHERE v.version_id = n.version_id AND (v.interval_us IS NULL OR v.interval_us > n.interval_us);

WITH edge AS (
             SELECT date_trunc('hour', $1::timestamptz + interval '59 minutes 59.999999 seconds', 'UTC') AS full_hour
         ), slots AS (
             SELECT x.site, sum(x.up)::bigint AS up, sum(x.down)::bigint AS down, sum(x.unknown)::bigint AS unknown,
                    sum(x.maintenance)::bigint AS maintenance
             FROM (
                 SELECT u.site, u.up, u.down, u.unknown, u.maintenance FROM edge e JOIN uptime u ON u.hour >= e.full_hour
                 UNION ALL
                 SELECT s.name, b.up, b.down, b.unknown, b.maintenance
                 FROM edge e CROSS JOIN LATERAL uptime_between($1, e.full_hour) b JOIN site s USING (site_id)
             ) x GROUP BY x.site
         ), figures AS (
             SELECT r.site_id, count(*) FILTER (WHERE r.confirmation IS NULL) AS checks, count(r.confirmation) AS confirmations,
                    percentile_disc(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY r.total_us)
                        FILTER (WHERE r.failure_kind IS NULL AND r.confirmation IS NULL AND r.maintenance IS NOT true)
                        AS percentiles
             FROM result r WHERE r.scheduled_at >= $1 GROUP BY r.site_id
         ), downs AS (
             SELECT i.site_id, count(*) AS incidents, bool_or(i.closed_at IS NULL) AS is_down
             FROM incident i WHERE i.closed_at IS NULL OR i.closed_at >= $1 GROUP BY i.site_id
         )
         SELECT s.name, coalesce(l.up, 0), coalesce(l.down, 0), coalesce(l.unknown, 0),
                (100.0 * l.up / nullif(l.up + l.down, 0))::float8, coalesce(f.checks, 0),
                f.percentiles[1], f.percentiles[2], coalesce(d.incidents, 0), coalesce(d.is_down, false),
                coalesce(l.maintenance, 0), coalesce(f.confirmations, 0)
         FROM site s LEFT JOIN slots l ON l.site = s.name LEFT JOIN figures f USING (site_id) LEFT JOIN downs d USING (site_id)
         WHERE coalesce(l.up + l.down + l.unknown + l.maintenance, 0) + coalesce(f.checks + f.confirmations, 0) > 0
         ORDER BY s.name;

