//! Rows of `result`: inserted by the thousand in one statement.

use isitup_shared::event::{Check, Envelope, Failure, HopReport};
use postgres::types::{Json, ToSql};
use serde::Serialize;
use uuid::Uuid;

use super::{PgTime, StoreError, Tx};

/// A check on its way into the table.
#[derive(Clone, Copy, Debug)]
pub struct ResultRow<'a> {
    /// Who says it.
    pub envelope: &'a Envelope,
    /// What is said.
    pub check: &'a Check,
    /// The site's id.
    pub site_id: i32,
    /// The id of its configuration.
    pub version_id: i32,
    /// The id of its certificate, where it has one.
    pub certificate_id: Option<i32>,
}

/// What the table holds under a row's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// Index of the row in the batch.
    pub index: usize,
    /// Whether this transaction put it there.
    pub is_ours: bool,
    /// Whether it says the same.
    pub is_same: bool,
}

/// A number of the contract as the database's. What does not fit was rejected when it was decoded.
pub(crate) fn big(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The columns of rows, in the order of `columns!`.
#[derive(Default)]
pub struct Columns<'a> {
    scheduled_at: Vec<PgTime>,
    seq: Vec<i64>,
    started_at: Vec<PgTime>,
    finished_at: Vec<PgTime>,
    certificate_expires_at: Vec<Option<PgTime>>,
    dns: Vec<Option<i64>>,
    connect: Vec<Option<i64>>,
    tls: Vec<Option<i64>>,
    first_byte: Vec<Option<i64>>,
    body: Vec<Option<i64>>,
    total: Vec<i64>,
    body_bytes: Vec<Option<i64>>,
    producer_id: Vec<Uuid>,
    site_id: Vec<i32>,
    version_id: Vec<i32>,
    status: Vec<Option<i32>>,
    redirects: Vec<i32>,
    body_matched: Vec<Option<bool>>,
    location: Vec<&'a str>,
    failure_kind: Vec<Option<&'a str>>,
    failure_detail: Vec<Option<&'a str>>,
    http_version: Vec<Option<&'a str>>,
    remote_addr: Vec<Option<&'a str>>,
    final_url: Vec<Option<&'a str>>,
    queue: Vec<Option<i64>>,
    certificate_id: Vec<Option<i32>>,
    confirmation: Vec<Option<i32>>,
    maintenance: Vec<bool>,
    confirmed: Vec<Option<bool>>,
    prober_fault: Vec<Option<&'a str>>,
    extra: Vec<Option<Json<Extra<'a>>>>,
}

/// What few results have, in one column: it costs the others nothing. Named as the contract's fields.
#[derive(Debug, Serialize)]
struct Extra<'a> {
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    hops: &'a [HopReport],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    further_failures: &'a [Failure],
    #[serde(skip_serializing_if = "Option::is_none")]
    insecure: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dns_code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reference_answered: Option<bool>,
}

impl<'a> Extra<'a> {
    fn of(check: &'a Check) -> Option<Self> {
        let extra = Self {
            hops: &check.hops,
            further_failures: &check.further_failures,
            insecure: check.insecure.then_some(true),
            dns_code: check.dns_code.as_deref(),
            reference_answered: check.reference_answered,
        };
        let is_empty = extra.hops.is_empty()
            && extra.further_failures.is_empty()
            && (extra.insecure, extra.dns_code, extra.reference_answered) == (None, None, None);
        (!is_empty).then_some(extra)
    }
}

/// The columns' names and, as parameters, their arrays. A macro, so that both statements are texts known at compile time.
macro_rules! columns {
    () => {
        "scheduled_at, seq, started_at, finished_at, certificate_expires_at, dns_us, connect_us, tls_us, \
         first_byte_us, body_us, total_us, body_bytes, producer_id, site_id, version_id, status, redirects, \
         body_matched, location, failure_kind, failure_detail, http_version, remote_addr, final_url, queue_us, \
         certificate_id, confirmation, maintenance, confirmed, prober_fault, extra"
    };
}
macro_rules! arrays {
    () => {
        "unnest($1::timestamptz[], $2::bigint[], $3::timestamptz[], $4::timestamptz[], $5::timestamptz[], \
         $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[], \
         $13::uuid[], $14::int[], $15::int[], $16::int[], $17::int[], $18::bool[], $19::text[], $20::text[], \
         $21::text[], $22::text[], $23::text[], $24::text[], $25::bigint[], $26::int[], \
         $27::int[], $28::bool[], $29::bool[], $30::text[], $31::jsonb[])"
    };
}

impl<'a> Columns<'a> {
    /// Turns rows into columns. Rows must be sorted by key: two consumers then never insert in opposite orders.
    pub fn of(rows: &[ResultRow<'a>]) -> Self {
        let mut columns = Self::default();
        columns.reserve(rows.len());
        for row in rows {
            columns.push(row);
        }
        columns
    }

    fn reserve(&mut self, count: usize) {
        self.scheduled_at.reserve(count);
        self.seq.reserve(count);
        self.started_at.reserve(count);
        self.finished_at.reserve(count);
        self.total.reserve(count);
        self.producer_id.reserve(count);
        self.location.reserve(count);
    }

    fn push(&mut self, row: &ResultRow<'a>) {
        let (check, timings) = (row.check, &row.check.timings_us);
        let failure = check.outcome.failure();
        self.scheduled_at.push(PgTime(check.scheduled_at));
        self.seq.push(big(row.envelope.seq));
        self.started_at.push(PgTime(check.started_at));
        self.finished_at.push(PgTime(check.finished_at));
        self.certificate_expires_at.push(check.certificate_expires_at.map(PgTime));
        self.dns.push(timings.dns.map(big));
        self.connect.push(timings.connect.map(big));
        self.tls.push(timings.tls.map(big));
        self.first_byte.push(timings.first_byte.map(big));
        self.body.push(timings.body.map(big));
        self.total.push(big(timings.total));
        self.body_bytes.push(check.body_bytes.map(big));
        self.producer_id.push(row.envelope.producer_id);
        self.site_id.push(row.site_id);
        self.version_id.push(row.version_id);
        self.status.push(check.status.map(i32::from));
        self.redirects.push(i32::try_from(check.redirects).unwrap_or(i32::MAX));
        self.body_matched.push(check.body_matched);
        self.location.push(&row.envelope.location);
        self.failure_kind.push(failure.map(|failure| failure.kind.as_str()));
        self.failure_detail.push(failure.map(|failure| failure.detail.as_str()));
        self.http_version.push(check.http_version.as_deref());
        self.remote_addr.push(check.remote_addr.as_deref());
        self.final_url.push(check.final_url.as_deref());
        self.queue.push(check.queue_us.map(big));
        self.certificate_id.push(row.certificate_id);
        self.confirmation.push(check.confirmation.map(|number| i32::try_from(number).unwrap_or(i32::MAX)));
        self.maintenance.push(check.maintenance);
        self.confirmed.push(check.confirmed);
        self.prober_fault.push(check.prober_fault.as_deref());
        self.extra.push(Extra::of(check).map(Json));
    }

    fn params(&self) -> [&(dyn ToSql + Sync); 31] {
        [
            &self.scheduled_at,
            &self.seq,
            &self.started_at,
            &self.finished_at,
            &self.certificate_expires_at,
            &self.dns,
            &self.connect,
            &self.tls,
            &self.first_byte,
            &self.body,
            &self.total,
            &self.body_bytes,
            &self.producer_id,
            &self.site_id,
            &self.version_id,
            &self.status,
            &self.redirects,
            &self.body_matched,
            &self.location,
            &self.failure_kind,
            &self.failure_detail,
            &self.http_version,
            &self.remote_addr,
            &self.final_url,
            &self.queue,
            &self.certificate_id,
            &self.confirmation,
            &self.maintenance,
            &self.confirmed,
            &self.prober_fault,
            &self.extra,
        ]
    }
}

/// Inserts rows whose key is not taken. Returns how many those were.
///
/// # Errors
/// When the statement fails.
pub fn insert(tx: &mut Tx<'_>, columns: &Columns<'_>) -> Result<u64, StoreError> {
    const SQL: &str =
        concat!("INSERT INTO result (", columns!(), ") SELECT * FROM ", arrays!(), " ON CONFLICT DO NOTHING");
    tx.execute(SQL, &columns.params())
}

/// Tells of each row what the table holds under its key.
///
/// # Errors
/// When the statement fails.
pub fn compare(tx: &mut Tx<'_>, columns: &Columns<'_>) -> Result<Vec<Comparison>, StoreError> {
    // A row is ours when its xmin, the lower half of a transaction's number, is this transaction's. One without
    // `maintenance` was stored before there were such columns: nobody knows what it would have had in them.
    const SQL: &str = concat!(
        "SELECT n.ordinal,
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
         FROM ",
        arrays!(),
        " WITH ORDINALITY AS n (",
        columns!(),
        ", ordinal)
         JOIN result r USING (scheduled_at, producer_id, seq)"
    );
    let rows = tx.query(SQL, &columns.params())?;
    let read = |row: &postgres::Row| -> Result<Comparison, StoreError> {
        let ordinal = usize::try_from(row.try_get::<_, i64>(0)?).unwrap_or(0);
        Ok(Comparison { index: ordinal.saturating_sub(1), is_ours: row.try_get(1)?, is_same: row.try_get(2)? })
    };
    rows.iter().map(read).collect()
}
