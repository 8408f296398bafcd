//! The yardstick of the store: fetch, decode, `INSERT .. SELECT FROM unnest .. ON CONFLICT DO NOTHING`, a thousand rows
//! to a transaction, and nothing else.
//!
//! The same topic, and the same table with the same columns, partitions and indexes, in a schema of its own. It moves
//! no offset, holds no lease, checks no anchor, and keeps no site, status, incident or hour.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use isitup_shared::event::{Failure, Timings};
use isitup_shared::kafka::{self, Message};
use isitup_shared::time::UtcTime;
use postgres::types::ToSql;
use postgres::{Client, Statement};
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use crate::setting::Setting;

const ROWS: usize = 1000;
const SQL: &str = "INSERT INTO result (scheduled_at, seq, started_at, finished_at, certificate_expires_at, dns_us, \
    connect_us, tls_us, first_byte_us, body_us, total_us, body_bytes, producer_id, site_id, version_id, status, \
    redirects, body_matched, location, failure_kind, failure_detail, http_version, remote_addr, final_url, \
    queue_us, certificate_id, confirmation, maintenance, confirmed, prober_fault, extra) \
    SELECT * FROM unnest($1::timestamptz[], $2::bigint[], $3::timestamptz[], $4::timestamptz[], $5::timestamptz[], \
    $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[], \
    $13::uuid[], $14::int[], $15::int[], $16::int[], $17::int[], $18::bool[], $19::text[], $20::text[], \
    $21::text[], $22::text[], $23::text[], $24::text[], $25::bigint[], $26::int[], $27::int[], $28::bool[], $29::bool[], \
    $30::text[], $31::jsonb[]) ON CONFLICT DO NOTHING";

/// The fields of an event that have a column.
#[derive(Deserialize)]
struct Row<'a> {
    producer_id: Uuid,
    seq: i64,
    location: &'a str,
    site: &'a str,
    scheduled_at: UtcTime,
    started_at: UtcTime,
    finished_at: UtcTime,
    failure: Option<Failure>,
    status: Option<i32>,
    body_matched: Option<bool>,
    body_bytes: Option<i64>,
    http_version: Option<&'a str>,
    remote_addr: Option<&'a str>,
    final_url: Option<&'a str>,
    redirects: i32,
    timings_us: Timings,
    certificate_expires_at: Option<UtcTime>,
    queue_us: Option<i64>,
    confirmation: Option<i32>,
    #[serde(default)]
    maintenance: bool,
    confirmed: Option<bool>,
    prober_fault: Option<&'a str>,
    hops: Option<Value>,
}

/// Makes `client` see the tables of `schema`, and gives `result` there the partitions of the days around today.
pub(crate) fn prepare(client: &mut Client, schema: &str) -> Result<()> {
    let settings = format!("SET search_path TO {schema}; SET synchronous_commit TO off; SET timezone TO 'UTC'");
    client.batch_execute(&settings)?;
    for day in -1..=2 {
        client.batch_execute(&format!(
            "DO $$ DECLARE day date := (now() AT TIME ZONE 'UTC')::date + ({day}); BEGIN
                 EXECUTE format('CREATE TABLE IF NOT EXISTS %I PARTITION OF result FOR VALUES FROM (%L) TO (%L)',
                                'bench_' || day, day::timestamptz, (day + 1)::timestamptz);
             END $$"
        ))?;
    }
    Ok(())
}

/// Stores `topic` from its beginning until `count` rows are in.
pub(crate) fn drain(setting: &Setting, client: &mut Client, topic: &str, count: u64) -> Result<()> {
    let statement = client.prepare(SQL)?;
    let mut receiver = kafka::receiver(&setting.kafka(topic));
    let offsets = receiver.offsets(topic)?;
    let mut positions: BTreeMap<i32, i64> = offsets.iter().map(|(part, range)| (*part, range.earliest)).collect();
    let (mut site_ids, mut stored) = (HashMap::new(), 0);
    while stored < count {
        let asked: Vec<(i32, i64)> = positions.iter().map(|(partition, offset)| (*partition, *offset)).collect();
        for fetched in receiver.fetch(topic, &asked)? {
            let messages = fetched.messages?;
            for messages in messages.chunks(ROWS) {
                stored += insert(client, &statement, messages, &mut site_ids)?;
            }
            positions.extend(messages.last().map(|message| (fetched.partition, message.offset + 1)));
        }
    }
    Ok(())
}

fn insert(
    client: &mut Client,
    statement: &Statement,
    messages: &[Message],
    site_ids: &mut HashMap<String, i32>,
) -> Result<u64> {
    let rows: Vec<Row<'_>> = messages
        .iter()
        .map(|message| serde_json::from_slice(&message.value).context("an event of the bench's own is not readable"))
        .collect::<Result<_>>()?;
    let columns = Columns::of(&rows, site_ids);
    let mut transaction = client.transaction()?;
    let stored = transaction.execute(statement, &columns.params())?;
    transaction.commit()?;
    Ok(stored)
}

/// The columns of rows, those of [`SQL`].
struct Columns<'a> {
    /// scheduled, started, finished
    times: [Vec<SystemTime>; 3],
    expires_at: Vec<Option<SystemTime>>,
    seq: Vec<i64>,
    /// dns to body
    phases: [Vec<Option<i64>>; 5],
    total: Vec<i64>,
    body_bytes: Vec<Option<i64>>,
    producer_id: Vec<Uuid>,
    site_id: Vec<i32>,
    status: Vec<Option<i32>>,
    redirects: Vec<i32>,
    body_matched: Vec<Option<bool>>,
    location: Vec<&'a str>,
    /// failure_kind to final_url, and prober_fault
    texts: [Vec<Option<&'a str>>; 6],
    queue: Vec<Option<i64>>,
    confirmation: Vec<Option<i32>>,
    maintenance: Vec<bool>,
    confirmed: Vec<Option<bool>>,
    extra: Vec<Option<&'a Value>>,
}

impl<'a> Columns<'a> {
    fn of(rows: &'a [Row<'a>], site_ids: &mut HashMap<String, i32>) -> Self {
        fn column<'a, T>(rows: &'a [Row<'a>], of: impl FnMut(&'a Row<'a>) -> T) -> Vec<T> {
            rows.iter().map(of).collect()
        }
        let micros = |value: Option<u64>| value.map(u64::cast_signed);
        Self {
            times: [
                column(rows, |row| time(row.scheduled_at)),
                column(rows, |row| time(row.started_at)),
                column(rows, |row| time(row.finished_at)),
            ],
            expires_at: column(rows, |row| row.certificate_expires_at.map(time)),
            seq: column(rows, |row| row.seq),
            phases: [
                column(rows, |row| micros(row.timings_us.dns)),
                column(rows, |row| micros(row.timings_us.connect)),
                column(rows, |row| micros(row.timings_us.tls)),
                column(rows, |row| micros(row.timings_us.first_byte)),
                column(rows, |row| micros(row.timings_us.body)),
            ],
            total: column(rows, |row| row.timings_us.total.cast_signed()),
            body_bytes: column(rows, |row| row.body_bytes),
            producer_id: column(rows, |row| row.producer_id),
            site_id: column(rows, |row| site_id(row.site, site_ids)),
            status: column(rows, |row| row.status),
            redirects: column(rows, |row| row.redirects),
            body_matched: column(rows, |row| row.body_matched),
            location: column(rows, |row| row.location),
            texts: [
                column(rows, |row| row.failure.as_ref().map(|failure| failure.kind.as_str())),
                column(rows, |row| row.failure.as_ref().map(|failure| failure.detail.as_str())),
                column(rows, |row| row.http_version),
                column(rows, |row| row.remote_addr),
                column(rows, |row| row.final_url),
                column(rows, |row| row.prober_fault),
            ],
            queue: column(rows, |row| row.queue_us),
            confirmation: column(rows, |row| row.confirmation),
            maintenance: column(rows, |row| row.maintenance),
            confirmed: column(rows, |row| row.confirmed),
            extra: column(rows, |row| row.hops.as_ref()),
        }
    }

    fn params(&self) -> [&(dyn ToSql + Sync); 31] {
        let [scheduled_at, started_at, finished_at] = &self.times;
        let [dns, connect, tls, first_byte, body] = &self.phases;
        let [kind, detail, http_version, remote_addr, final_url, prober_fault] = &self.texts;
        // The site's number stands for that of its version and of its certificate as well.
        let (site, version, certificate) = (&self.site_id, &self.site_id, &self.site_id);
        [
            scheduled_at,
            &self.seq,
            started_at,
            finished_at,
            &self.expires_at,
            dns,
            connect,
            tls,
            first_byte,
            body,
            &self.total,
            &self.body_bytes,
            &self.producer_id,
            site,
            version,
            &self.status,
            &self.redirects,
            &self.body_matched,
            &self.location,
            kind,
            detail,
            http_version,
            remote_addr,
            final_url,
            &self.queue,
            certificate,
            &self.confirmation,
            &self.maintenance,
            &self.confirmed,
            prober_fault,
            &self.extra,
        ]
    }
}

fn site_id(site: &str, known: &mut HashMap<String, i32>) -> i32 {
    if let Some(id) = known.get(site) {
        return *id;
    }
    let id = known.len() as i32;
    known.insert(site.to_owned(), id);
    id
}

fn time(moment: UtcTime) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_micros(moment.as_micros().unsigned_abs())
}
