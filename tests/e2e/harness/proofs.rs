//! The proofs, in SQL on the public views and the raw messages. They share no code with the services.

/// Loads messages (`$1`, as texts) for [`OTHERWISE_STORED`] and [`OTHERWISE_NUMBERED`].
pub(super) const LOAD_MESSAGES: &str = "
    CREATE TEMPORARY TABLE message ON COMMIT PRESERVE ROWS AS
    SELECT DISTINCT m::jsonb AS m FROM unnest($1::text[]) m";

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
        FROM message WHERE m ->> 'type' = 'check'
    )
    SELECT 'told and not stored: ' || to_jsonb(d)::text FROM (TABLE told EXCEPT ALL TABLE check_result) d
    UNION ALL
    SELECT 'stored and not told: ' || to_jsonb(d)::text FROM (TABLE check_result EXCEPT ALL TABLE told) d";

/// Numbers, over all types of event, that are on one side only.
pub(super) const OTHERWISE_NUMBERED: &str = "
    WITH told AS (
        SELECT (m ->> 'producer_id')::uuid AS producer_id, (m ->> 'seq')::bigint AS seq FROM message
    ), stored AS (
        SELECT producer_id, seq FROM check_result
        UNION ALL SELECT producer_id, seq FROM producer_event
        UNION ALL SELECT producer_id, seq FROM gap WHERE seq IS NOT NULL
    )
    SELECT 'told and not stored: ' || d::text FROM (TABLE told EXCEPT ALL TABLE stored) d
    UNION ALL
    SELECT 'stored and not told: ' || d::text FROM (TABLE stored EXCEPT ALL TABLE told) d";

/// The numbers of all stored events.
pub(super) const STORED_NUMBERS: &str = "
    SELECT seq FROM check_result
    UNION ALL SELECT seq FROM producer_event
    UNION ALL SELECT seq FROM gap WHERE seq IS NOT NULL";

/// Slots of the sites named `$1`, one each `$2` microseconds, that are no row and in no gap; and rows that are no slot
/// or share one. Confirmations are no rows of their slot. From the first start of the producer to the last row: every slot due by then was begun or declared.
///
/// A site's phase is the first 7 bytes of the SHA-256 of its name, big-endian, modulo the interval.
pub(super) const UNACCOUNTED_SLOTS: &str = "
    WITH site AS (
        SELECT name, ('x' || left(encode(sha256(convert_to(name, 'UTF8')), 'hex'), 14))::bit(56)::bigint % $2::bigint AS phase
        FROM unnest($1::text[]) name
    ), span AS (
        SELECT name, phase,
               (extract(epoch FROM CASE WHEN name = ANY ($3::text[]) THEN own.first ELSE
                   (SELECT min(at) FROM producer_event WHERE state = 'started') END) * 1000000)::bigint AS first,
               (extract(epoch FROM CASE WHEN name = ANY ($3::text[]) THEN own.last ELSE
                   (SELECT max(scheduled_at) FROM check_result WHERE confirmation IS NULL) END) * 1000000)::bigint AS last
        FROM site, LATERAL (
            SELECT min(scheduled_at) AS first, max(scheduled_at) AS last
            FROM check_result r WHERE r.site = site.name AND confirmation IS NULL
        ) own
    ), slot AS (
        SELECT name, 'epoch'::timestamptz + micros * interval '1 microsecond' AS at
        FROM span, generate_series(first + ((phase - first) % $2 + $2) % $2, last, $2) micros
    ), result AS (
        SELECT site AS name, scheduled_at AS at, count(*) AS rows FROM check_result WHERE confirmation IS NULL GROUP BY 1, 2
    )
    SELECT 'neither checked nor declared: ' || name || ' ' || at FROM slot
    WHERE NOT EXISTS (SELECT FROM result r WHERE r.name = slot.name AND r.at = slot.at)
      AND NOT EXISTS (SELECT FROM gap g WHERE slot.at BETWEEN g.\"from\" AND g.\"to\" AND (g.sites IS NULL OR slot.name = ANY (g.sites)))
    UNION ALL
    SELECT CASE WHEN rows > 1 THEN 'checked twice: ' ELSE 'no slot of the schedule: ' END || name || ' ' || at
    FROM result LEFT JOIN span USING (name)
    WHERE rows > 1
       OR (span.name IS NULL AND EXISTS (SELECT FROM producer_event WHERE state = 'started'))
       OR (at >= 'epoch'::timestamptz + first * interval '1 microsecond'
           AND NOT EXISTS (SELECT FROM slot s WHERE s.name = result.name AND s.at = result.at))";
