//! The result of a check.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de};

use super::list::List;
use super::text::{Detail, Label, Name, ShownUrl};
use super::words::words;
use crate::time::UtcTime;

/// The result of one check.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Check {
    /// The site's name.
    pub site: Name,
    /// The site's URL, without credentials.
    pub url: ShownUrl,
    /// The site's group, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<Name>,
    /// The slot this check belongs to: the moment it was due.
    pub scheduled_at: UtcTime,
    /// When it began.
    pub started_at: UtcTime,
    /// When it ended.
    pub finished_at: UtcTime,
    /// Up, or down and how.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// HTTP status of the last answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Whether the body matched the expected pattern; absent where none is expected or no body was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_matched: Option<bool>,
    /// Bytes of the body that were read, after decompression.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 9_007_199_254_740_991_u64))]
    pub body_bytes: Option<u64>,
    /// `HTTP/1.1`, `HTTP/2.0` and so on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_version: Option<Label>,
    /// The address and port that answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote_addr: Option<Label>,
    /// Where redirects led, without credentials; absent where there were none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub final_url: Option<ShownUrl>,
    /// How many redirects were followed.
    #[serde(default)]
    #[schemars(range(max = 2_147_483_647))]
    pub redirects: u32,
    /// How long each phase took, as far as the check got.
    pub timings_us: Timings,
    /// The requests one by one, where redirects were followed; of more than 11 the first ten and the last.
    #[serde(default, skip_serializing_if = "List::is_empty")]
    pub hops: Hops,
    /// What else was not as expected, beside the failure. Where that is more than 32 things, the last one says how many.
    #[serde(default, skip_serializing_if = "List::is_empty")]
    pub further_failures: FurtherFailures,
    /// When the first certificate of the chain that was presented expires; of the last TLS connection. A root that was
    /// sent along does not count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate_expires_at: Option<UtcTime>,
    /// For whom that certificate was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_subject: Option<Name>,
    /// Who signed that certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_issuer: Option<Name>,
    /// Whether the certificate was not verified, as configured.
    #[serde(default, skip_serializing_if = "is_false")]
    pub insecure: bool,
    /// The answer code of a name server, such as `NOERROR`; only of `dns://` sites.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dns_code: Option<Label>,
    /// How long the check waited for a free thread, in microseconds. That and the work before it make the lateness.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 9_007_199_254_740_991_u64))]
    pub queue_us: Option<u64>,
    /// Whether the reference address answered when this check could not connect; absent where it was not asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference_answered: Option<bool>,
    /// Why this failure says nothing about the site: something was wrong on the producer's side. Such a slot is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prober_fault: Option<Detail>,
    /// Whether the slot lies in a maintenance window: it counts neither as up nor as down.
    #[serde(default, skip_serializing_if = "is_false")]
    pub maintenance: bool,
    /// Which confirmation of a failure this is, from 1; absent of the scheduled check itself. A confirmation has its
    /// slot's `scheduled_at`, and counts neither as up nor as down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 2_147_483_647))]
    pub confirmation: Option<u32>,
    /// Of a scheduled check that failed: whether all its confirmations failed too. False means the slot counts as up;
    /// absent that none was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmed: Option<bool>,
    /// Which configuration of the site this result belongs to.
    pub config_hash: Label,
}

/// The requests of a check that followed redirects.
pub type Hops = List<HopReport, 11>;
/// What else was not as expected.
pub type FurtherFailures = List<Failure, 32>;

impl Check {
    /// A check of `site` at `url` that found it up, with all that is optional left out; `started_at` is the slot too.
    /// For struct update syntax, where most fields are as here.
    pub fn up(site: impl Into<Name>, url: impl Into<ShownUrl>, started_at: UtcTime) -> Self {
        Self {
            site: site.into(),
            url: url.into(),
            group: None,
            scheduled_at: started_at,
            started_at,
            finished_at: started_at,
            outcome: Outcome::Up,
            status: None,
            body_matched: None,
            body_bytes: None,
            http_version: None,
            remote_addr: None,
            final_url: None,
            redirects: 0,
            timings_us: Timings::default(),
            hops: Hops::default(),
            further_failures: FurtherFailures::default(),
            certificate_expires_at: None,
            certificate_subject: None,
            certificate_issuer: None,
            insecure: false,
            dns_code: None,
            queue_us: None,
            reference_answered: None,
            prober_fault: None,
            maintenance: false,
            confirmation: None,
            confirmed: None,
            config_hash: Label::default(),
        }
    }
}

fn is_false(flag: &bool) -> bool {
    !flag
}

/// One request of a check that followed redirects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HopReport {
    /// What was requested, without credentials.
    pub url: ShownUrl,
    /// HTTP status of the answer; absent where there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The address and port that answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote_addr: Option<Label>,
    /// How long each of its phases took.
    pub timings_us: Timings,
}

/// Whether a site was up. An outage is data, not an error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "outcome", rename_all = "lowercase")]
pub enum Outcome {
    /// All that was expected was met.
    Up,
    /// Something was not.
    Down {
        /// How it failed.
        #[serde(deserialize_with = "failure")]
        failure: Failure,
    },
}

impl Outcome {
    /// Down, for the reason `kind`.
    pub fn down(kind: FailureKind, detail: impl Into<Detail>) -> Self {
        Self::Down { failure: Failure { kind, detail: detail.into() } }
    }

    /// How it failed, unless it is up.
    pub fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Up => None,
            Self::Down { failure } => Some(failure),
        }
    }

    /// `up` or `down`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down { .. } => "down",
        }
    }
}

/// Reads a failure. It lies in a flattened part of its event, in which an error does not know its field otherwise.
fn failure<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Failure, D::Error> {
    let named = |error: serde_path_to_error::Error<D::Error>| {
        de::Error::custom(format_args!("failure.{}: {}", error.path(), error.inner()))
    };
    serde_path_to_error::deserialize(deserializer).map_err(named)
}

/// How a check failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Failure {
    /// The sort of failure.
    pub kind: FailureKind,
    /// One short line for people.
    pub detail: Detail,
}

words! {
    /// The sorts of failure, one for each way to fail.
    FailureKind {
        /// The URL cannot be requested.
        InvalidUrl = "invalid_url",
        /// The name was not resolved.
        Dns = "dns",
        /// Nothing listens there, or the way there is closed.
        ConnectRefused = "connect_refused",
        /// The deadline passed while TCP connected.
        ConnectTimeout = "connect_timeout",
        /// The handshake failed, or the certificate is not trusted.
        Tls = "tls",
        /// The deadline passed after TCP had connected, TLS included.
        Timeout = "timeout",
        /// A redirect that leads nowhere, or too many of them.
        Redirect = "redirect",
        /// No HTTP, or an answer that breaks off.
        Protocol = "protocol",
        /// The body is larger than allowed, after decompression.
        BodyTooLarge = "body_too_large",
        /// The status is not an expected one.
        Status = "status",
        /// The body does not match the pattern.
        BodyMismatch = "body_mismatch",
        /// The certificate expires too soon.
        CertificateExpiring = "certificate_expiring",
        /// All is well, but too late.
        ResponseTooSlow = "response_too_slow",
    }
}

/// How long each phase of a check took, in microseconds of the monotonic clock; absent where it was not reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Timings {
    /// Resolving names.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 9_007_199_254_740_991_u64))]
    pub dns: Option<u64>,
    /// Connecting by TCP.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 9_007_199_254_740_991_u64))]
    pub connect: Option<u64>,
    /// The TLS handshake.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 9_007_199_254_740_991_u64))]
    pub tls: Option<u64>,
    /// From the request until the head of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 9_007_199_254_740_991_u64))]
    pub first_byte: Option<u64>,
    /// Reading the body.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 9_007_199_254_740_991_u64))]
    pub body: Option<u64>,
    /// The whole check, redirects included.
    #[schemars(range(max = 9_007_199_254_740_991_u64))]
    pub total: u64,
}
