//! Producers, and what they say of themselves and of their clocks.

use isitup_shared::event::{Body, ClockStep, Envelope, ProducerReport};
use isitup_shared::time::UtcTime;
use uuid::Uuid;

use super::results::big;
use super::{PgTime, StoreError, Tx};

/// An event of a producer about itself, on its way into the table.
#[derive(Clone, Copy, Debug)]
pub struct ProducerRow<'a> {
    /// Who says it.
    pub envelope: &'a Envelope,
    /// What is said.
    pub word: ProducerWord<'a>,
}

/// What a producer says of itself.
#[derive(Clone, Copy, Debug)]
pub enum ProducerWord<'a> {
    /// Its state.
    Report(&'a ProducerReport),
    /// A step of its clock.
    Step(&'a ClockStep),
}

impl<'a> ProducerWord<'a> {
    /// The word in `body`, where it is one.
    pub fn of(body: &'a Body) -> Option<Self> {
        match body {
            Body::Producer(report) => Some(Self::Report(report)),
            Body::ClockStep(step) => Some(Self::Step(step)),
            Body::Check(_) | Body::Gap(_) => None,
        }
    }

    /// When it was said.
    pub fn at(self) -> UtcTime {
        match self {
            Self::Report(report) => report.at,
            Self::Step(step) => step.at,
        }
    }

    fn type_name(self) -> &'static str {
        match self {
            Self::Report(_) => "producer",
            Self::Step(_) => "clock_step",
        }
    }

    fn report(self) -> Option<&'a ProducerReport> {
        match self {
            Self::Report(report) => Some(report),
            Self::Step(_) => None,
        }
    }

    fn step_us(self) -> Option<i64> {
        match self {
            Self::Report(_) => None,
            Self::Step(step) => Some(step.step_us),
        }
    }
}

/// What became of an insert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Insertion {
    /// It is there now.
    Stored,
    /// The same was there already.
    Duplicate,
    /// Something else was there under its number.
    Doubled,
}

/// Adds producers that are not known yet. `producers` must be sorted.
///
/// # Errors
/// When the statement fails.
pub fn add(tx: &mut Tx<'_>, producers: &[(Uuid, &str)]) -> Result<(), StoreError> {
    let (ids, locations): (Vec<Uuid>, Vec<&str>) = producers.iter().copied().unzip();
    tx.execute(
        "INSERT INTO producer (producer_id, location) SELECT * FROM unnest($1::uuid[], $2::text[]) ON CONFLICT DO NOTHING",
        &[&ids, &locations],
    )?;
    Ok(())
}

/// Stores one event of a producer about itself. They come every ten seconds, so one at a time will do.
///
/// # Errors
/// When a statement fails.
pub fn insert_event(tx: &mut Tx<'_>, row: &ProducerRow<'_>) -> Result<Insertion, StoreError> {
    let report = row.word.report();
    let (seq, kind, at) = (big(row.envelope.seq), row.word.type_name(), PgTime(row.word.at()));
    let (state, site_count) = (report.map(|r| r.state.as_str()), report.map(|r| big(r.site_count)));
    let (config_hash, version) = (report.map(|r| r.config_hash.as_str()), report.map(|r| r.version.as_str()));
    let (step_us, location) = (row.word.step_us(), row.envelope.location.as_str());
    let params: &[&(dyn postgres::types::ToSql + Sync)] = &[
        &row.envelope.producer_id,
        &seq,
        &kind,
        &location,
        &at,
        &state,
        &site_count,
        &config_hash,
        &version,
        &step_us,
    ];
    let inserted = tx.execute(
        "INSERT INTO producer_event (producer_id, seq, type, location, at, state, site_count, config_hash, version, step_us)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING",
        params,
    )?;
    if inserted == 1 {
        return Ok(Insertion::Stored);
    }
    let same = tx.query_one(
        "SELECT (type, location, at, state, site_count, config_hash, version, step_us)
                IS NOT DISTINCT FROM ($3::text, $4::text, $5::timestamptz, $6::text, $7::bigint, $8::text, $9::text, $10::bigint)
         FROM producer_event WHERE producer_id = $1 AND seq = $2",
        params,
    )?;
    Ok(if same.try_get(0)? { Insertion::Duplicate } else { Insertion::Doubled })
}

/// Keeps a producer's latest word about itself.
///
/// # Errors
/// When the statement fails.
pub fn report(tx: &mut Tx<'_>, envelope: &Envelope, report: &ProducerReport) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE producer
         SET location = $2, reported_seq = $3, reported_at = $4, state = $5, site_count = $6, config_hash = $7, version = $8
         WHERE producer_id = $1 AND (reported_seq IS NULL OR reported_seq < $3)",
        &[
            &envelope.producer_id,
            &envelope.location.as_str(),
            &big(envelope.seq),
            &PgTime(report.at),
            &report.state.as_str(),
            &big(report.site_count),
            &report.config_hash.as_str(),
            &report.version.as_str(),
        ],
    )?;
    Ok(())
}
