//! What events say: results of checks, gaps, the producer's own state and steps of its clock.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::HIGHEST_NUMBER;
use super::check::Check;
use super::list::List;
use super::text::{Label, Name};
use super::words::words;
use crate::time::UtcTime;

/// The types of event.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// The result of one check of one site.
    Check(Box<Check>),
    /// Something that was not checked or not kept.
    Gap(Gap),
    /// The producer began, ends, or is alive.
    Producer(ProducerReport),
    /// The producer's wall clock jumped.
    ClockStep(ClockStep),
}

/// Something that was not checked or not kept, and why.
///
/// Of the numbers in `seqs` every one is gone. Inside `span` a slot that has its row is a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "GapFields", into = "GapFields")]
#[schemars(with = "GapFields")]
pub struct Gap {
    /// Why.
    pub reason: GapReason,
    /// Which numbers are gone.
    pub seqs: Option<SeqRange>,
    /// Which slots were not checked or not kept.
    pub span: Option<TimeSpan>,
}

impl Gap {
    /// These numbers are gone.
    pub fn of_seqs(reason: GapReason, first: u64, last: u64) -> Self {
        Self { reason, seqs: Some(SeqRange { first, last }), span: None }
    }

    /// The slots of `sites` (of all sites where `None`) from `from` to `to` have no row, save those that have.
    pub fn of_span(reason: GapReason, from: UtcTime, to: UtcTime, sites: Option<SiteNames>) -> Self {
        Self { reason, seqs: None, span: Some(TimeSpan { from, to, sites }) }
    }
}

/// Numbers of events, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeqRange {
    /// The first of them.
    pub first: u64,
    /// The last of them.
    pub last: u64,
}

/// A span of slots, both ends included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeSpan {
    /// The first slot.
    pub from: UtcTime,
    /// The last slot.
    pub to: UtcTime,
    /// Names of the sites; `None` means all.
    pub sites: Option<SiteNames>,
}

/// The sites of one gap. A gap over more of them is told as several: with the longest names, this many fill an event.
pub type SiteNames = List<Name, 200>;

words! {
    /// Why something was not checked or not kept.
    GapReason {
        /// The producer did not run.
        ProducerDown = "producer_down",
        /// The check before was still running, or no worker was free.
        Overrun = "overrun",
        /// The spool had no room.
        SpoolFull = "spool_full",
        /// The spool was damaged.
        SpoolCorrupt = "spool_corrupt",
        /// Kafka's retention took events before the consumer had read them.
        TopicTruncated = "topic_truncated",
        /// The producer's end cut the check off.
        Shutdown = "shutdown",
        /// Kafka refuses the event for good.
        RecordRefused = "record_refused",
    }
}

/// [`Gap`] as it lies on the wire.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Gap", description = "Something that was not checked or not kept, and why.")]
pub(super) struct GapFields {
    /// Why.
    pub(super) reason: GapReason,
    /// The first of the numbers that are gone; every one up to `last_seq` is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 9_007_199_254_740_991_u64))]
    pub(super) first_seq: Option<u64>,
    /// The last of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 9_007_199_254_740_991_u64))]
    pub(super) last_seq: Option<u64>,
    /// The first slot of those that were not checked or not kept; a slot in between that has its row is a row.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) from: Option<UtcTime>,
    /// The last of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) to: Option<UtcTime>,
    /// Names of their sites; absent means all sites.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sites: Option<SiteNames>,
}

impl TryFrom<GapFields> for Gap {
    type Error = &'static str;

    fn try_from(fields: GapFields) -> Result<Self, Self::Error> {
        let seqs = match (fields.first_seq, fields.last_seq) {
            (None, None) => None,
            (_, Some(last)) if last > HIGHEST_NUMBER => {
                return Err("a gap's last_seq is higher than any producer counts");
            }
            (Some(first), Some(last)) if (1..=last).contains(&first) => Some(SeqRange { first, last }),
            (Some(_), Some(_)) => return Err("a gap's first_seq must be at least 1 and at most its last_seq"),
            _ => return Err("a gap's first_seq and last_seq go together"),
        };
        let span = match (fields.from, fields.to) {
            (None, None) => None,
            (Some(from), Some(to)) if from <= to => Some(TimeSpan { from, to, sites: fields.sites }),
            (Some(_), Some(_)) => return Err("a gap's `from` must not be after its `to`"),
            _ => return Err("a gap's `from` and `to` go together"),
        };
        if seqs.is_none() && span.is_none() {
            return Err("a gap must name seqs or a time span");
        }
        Ok(Self { reason: fields.reason, seqs, span })
    }
}

impl From<Gap> for GapFields {
    fn from(gap: Gap) -> Self {
        let (from, to, sites) = match gap.span {
            Some(span) => (Some(span.from), Some(span.to), span.sites),
            None => (None, None, None),
        };
        Self {
            reason: gap.reason,
            first_seq: gap.seqs.map(|seqs| seqs.first),
            last_seq: gap.seqs.map(|seqs| seqs.last),
            from,
            to,
            sites,
        }
    }
}

/// The producer's word about itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProducerReport {
    /// What it is doing.
    pub state: ProducerState,
    /// When it said so.
    pub at: UtcTime,
    /// How many sites it checks.
    #[schemars(range(max = 9_007_199_254_740_991_u64))]
    pub site_count: u64,
    /// Hash of its whole set of sites.
    pub config_hash: Label,
    /// Its release.
    pub version: Label,
}

words! {
    /// What a producer is doing.
    ProducerState {
        /// Its schedule begins.
        Started = "started",
        /// Its schedule has ended.
        Stopping = "stopping",
        /// It is alive; said every [`ProducerReport::HEARTBEAT`].
        Heartbeat = "heartbeat",
    }
}

impl ProducerReport {
    /// How often a producer says that it is alive.
    pub const HEARTBEAT: Duration = Duration::from_secs(10);
}

/// The wall clock jumped against the monotonic one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ClockStep {
    /// When it was noticed, by the new time.
    pub at: UtcTime,
    /// How far, in microseconds; positive is forward.
    #[schemars(range(min = -9_007_199_254_740_991_i64, max = 9_007_199_254_740_991_i64))]
    pub step_us: i64,
}

impl ClockStep {
    /// Smaller steps are the daily work of clock synchronisation and are not told.
    pub const SMALLEST: Duration = Duration::from_millis(500);
}
