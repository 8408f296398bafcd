//! What the oracle asks in SQL, of the public views, the gaps and the raw messages.

/// Where the messages go.
pub(super) const TABLES: &str = r#"
    SET work_mem = '256MB'; SET jit = off;
    DROP TABLE IF EXISTS message, event;
    CREATE TEMPORARY TABLE message (partition int, "offset" bigint, raw bytea, m jsonb)"#;

/// Loads messages: partitions, offsets, bytes of those that are no events, JSON of those that are.
pub(super) const LOAD: &str = "
    INSERT INTO message SELECT p, o, r, e::jsonb FROM unnest($1::int[], $2::bigint[], $3::bytea[], $4::text[]) u (p, o, r, e)";

/// The events, each once: the topic may hold an event several times.
pub(super) const EVENTS: &str = "
    CREATE TEMPORARY TABLE event AS
    SELECT m, (m ->> 'producer_id')::uuid AS producer_id, (m ->> 'seq')::bigint AS seq, count(*) AS times
    FROM message WHERE m IS NOT NULL GROUP BY m;
    ANALYZE event";

/// Messages that are no events and were not set aside whole, and what was set aside otherwise.
pub(super) const NOT_SET_ASIDE: &str = r#"
    WITH strange AS (SELECT partition, "offset", raw FROM message WHERE m IS NULL),
         kept AS (SELECT partition, "offset", raw FROM rejected)
    SELECT 'no event and not set aside: ' || d::text FROM (TABLE strange EXCEPT ALL TABLE kept) d
    UNION ALL
    SELECT 'set aside without need: ' || r.partition || ':' || r."offset" || ', ' || r.reason
    FROM (TABLE kept EXCEPT ALL TABLE strange) d JOIN rejected r USING (partition, "offset")"#;

/// Events (`$1`) that are neither on the topic nor in a gap of their producer.
pub(super) const LEFT_BEHIND: &str = "
    WITH spooled AS (
        SELECT e::jsonb AS m, (e::jsonb ->> 'producer_id')::uuid AS producer_id, (e::jsonb ->> 'seq')::bigint AS seq
        FROM unnest($1::text[]) e
    )
    SELECT 'left behind in a spool: ' || s.m::text FROM spooled s LEFT JOIN event e ON e.producer_id = s.producer_id AND e.seq = s.seq
    WHERE e.m IS DISTINCT FROM s.m AND NOT EXISTS (
        SELECT FROM gap g WHERE g.producer_id = s.producer_id AND s.seq BETWEEN g.first_seq AND g.last_seq)";

/// Checks that are stored otherwise than they stand on the topic, in any column, or on one side only.
pub(super) const OTHERWISE_STORED: &str = "
    WITH told AS (
        SELECT (jsonb_populate_record(NULL::check_result, m || jsonb_build_object(
            'failure_kind', m #> '{failure,kind}', 'failure_detail', m #> '{failure,detail}',
            'dns_us', m #> '{timings_us,dns}', 'connect_us', m #> '{timings_us,connect}',
            'tls_us', m #> '{timings_us,tls}', 'first_byte_us', m #> '{timings_us,first_byte}',
            'body_us', m #> '{timings_us,body}', 'total_us', m #> '{timings_us,total}',
            'insecure', coalesce(m -> 'insecure', 'false'), 'maintenance', coalesce(m -> 'maintenance', 'false'),
            'lateness_us', (extract(epoch FROM (m ->> 'started_at')::timestamptz - (m ->> 'scheduled_at')::timestamptz)
                            * 1000000)::bigint))).*
        FROM event WHERE m ->> 'type' = 'check'
    )
    SELECT 'told and not stored: ' || to_jsonb(d)::text FROM (TABLE told EXCEPT ALL TABLE check_result) d
    UNION ALL
    SELECT 'stored and not told: ' || to_jsonb(d)::text FROM (TABLE check_result EXCEPT ALL TABLE told) d";

/// Numbers, over all types of event, that are on one side only, or there more than once.
pub(super) const OTHERWISE_NUMBERED: &str = "
    WITH told AS (
        SELECT producer_id, seq FROM event
    ), stored AS (
        SELECT producer_id, seq FROM check_result
        UNION ALL SELECT producer_id, seq FROM producer_event
        UNION ALL SELECT producer_id, seq FROM gap WHERE seq IS NOT NULL
    )
    SELECT 'told and not stored: ' || d::text FROM (TABLE told EXCEPT ALL TABLE stored) d
    UNION ALL
    SELECT 'stored and not told: ' || d::text FROM (TABLE stored EXCEPT ALL TABLE told) d";

/// Each producer's numbers from 1 to the last one anybody knows of.
pub(super) const ACCOUNTS: &str = "
    WITH told AS (
        SELECT producer_id, seq, count(*) AS payloads, sum(times) - count(*) AS repeated FROM event GROUP BY 1, 2
    ), stored AS (
        SELECT producer_id, seq, count(*) AS rows FROM (
            SELECT producer_id, seq FROM check_result
            UNION ALL SELECT producer_id, seq FROM producer_event
            UNION ALL SELECT producer_id, seq FROM gap WHERE seq IS NOT NULL
        ) s GROUP BY 1, 2
    ), declared AS (
        SELECT producer_id, range_agg(int8range(first_seq, last_seq, '[]')) AS seqs FROM gap
        WHERE producer_id IS NOT NULL AND first_seq IS NOT NULL GROUP BY 1
    ), last AS (
        SELECT producer_id, max(seq) AS last FROM (
            SELECT producer_id, seq FROM told UNION ALL SELECT producer_id, seq FROM stored
            UNION ALL SELECT producer_id, upper(seqs) - 1 FROM declared
        ) n GROUP BY 1
    ), number AS (
        SELECT producer_id, seq, coalesce(rows, 0) AS rows, coalesce(payloads, 0) AS payloads, coalesce(repeated, 0) AS repeated,
               coalesce(seqs @> seq, false) AS is_declared
        FROM last CROSS JOIN generate_series(1, last) seq
        LEFT JOIN told USING (producer_id, seq) LEFT JOIN stored USING (producer_id, seq) LEFT JOIN declared USING (producer_id)
    )
    SELECT producer_id, max(seq), count(*) FILTER (WHERE rows > 0), count(*) FILTER (WHERE rows = 0 AND is_declared),
           count(*) FILTER (WHERE rows = 0 AND NOT is_declared), count(*) FILTER (WHERE rows > 1 OR payloads > 1),
           sum(repeated)::bigint
    FROM number GROUP BY 1 ORDER BY 1";

/// Each site's phase: the first 7 bytes of the SHA-256 of its name, big-endian, modulo the interval in microseconds.
pub(super) const PHASES: &str = "
    SELECT name, ('x' || left(encode(sha256(convert_to(name, 'UTF8')), 'hex'), 14))::bit(56)::bigint % $2::bigint
    FROM unnest($1::text[]) name";

/// The slots of a producer's results, in microseconds since 1970. Confirmations are no rows of their slot.
pub(super) const RESULTS: &str = "
    SELECT site, (extract(epoch FROM scheduled_at) * 1000000)::bigint FROM check_result
    WHERE producer_id = $1 AND confirmation IS NULL";

/// A producer's gaps over spans of time.
pub(super) const SPANS: &str = r#"
    SELECT (extract(epoch FROM "from") * 1000000)::bigint, (extract(epoch FROM "to") * 1000000)::bigint, sites FROM gap
    WHERE producer_id = $1 AND "from" IS NOT NULL"#;
