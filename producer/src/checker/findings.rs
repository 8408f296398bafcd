//! What a check found, whatever kind of site it is.

use std::net::SocketAddr;
use std::time::Duration;

use isitup_shared::event::{Failure, FailureKind, HopReport};

use super::certificate::Certificate;
use super::judge::Expectation;
use super::timings::Phases;

/// What a check found.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) status: Option<u16>,
    pub(super) http_version: Option<&'static str>,
    pub(super) remote_addr: Option<SocketAddr>,
    /// That of the last TLS connection.
    pub(super) certificate: Option<Certificate>,
    pub(super) body_bytes: Option<u64>,
    pub(super) body_matched: Option<bool>,
    pub(super) redirects: u32,
    /// Where redirects led, without credentials; absent where there were none.
    pub(super) final_url: Option<String>,
    /// The requests one by one, where redirects were followed.
    pub(super) hops: Vec<HopReport>,
    /// The answer code of a name server.
    pub(super) dns_code: Option<String>,
    pub(super) phases: Phases,
    pub(super) total: Duration,
    /// What ended the check before its time.
    pub(super) failure: Option<Failure>,
    /// What was expected and not met, in the order of [`Expectation`].
    pub(super) unmet: Vec<(Expectation, Failure)>,
    /// There is an answer whose status counts.
    pub(super) is_answered: bool,
    /// Why the failure says nothing about the site.
    pub(super) prober_fault: Option<String>,
}

impl Findings {
    /// A check that this machine could not even begin.
    pub(super) fn impossible(reason: String) -> Self {
        let failure = Some(Failure { kind: FailureKind::ConnectRefused, detail: reason.clone() });
        Self { failure, prober_fault: Some(reason), ..Self::default() }
    }

    /// The check ended here.
    pub(super) fn fail(&mut self, kind: FailureKind, detail: impl Into<String>) {
        self.failure = Some(Failure { kind, detail: detail.into() });
    }

    /// `expectation` was not met.
    pub(super) fn unmet(&mut self, expectation: Expectation, kind: FailureKind, detail: String) {
        self.unmet.push((expectation, Failure { kind, detail }));
    }
}
