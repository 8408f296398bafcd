//! What a check found, whatever kind of site it is.

use std::net::SocketAddr;
use std::time::Duration;

use isitup_shared::event::{Detail, Failure, FailureKind, Hops, Label, ShownUrl};

use super::certificate::Certificate;
use super::judge::Unmet;
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
    pub(super) final_url: Option<ShownUrl>,
    /// The requests one by one, where redirects were followed; of too many the first ones and the last.
    pub(super) hops: Hops,
    /// The answer code of a name server.
    pub(super) dns_code: Option<Label>,
    pub(super) phases: Phases,
    pub(super) total: Duration,
    /// What ended the check before its time.
    pub(super) failure: Option<Failure>,
    /// Whether something did, also after the failure has been told.
    pub(super) has_failed: bool,
    /// Why a failure says nothing about the site: something was wrong on this machine.
    pub(super) prober_fault: Option<Detail>,
    /// What was not as expected.
    pub(super) unmet: Vec<Unmet>,
    /// Whether status and headers were held against what is expected.
    pub(super) is_head_judged: bool,
    /// Whether the body was.
    pub(super) is_text_judged: bool,
}

impl Findings {
    /// A check that this machine could not even begin.
    pub(super) fn impossible(reason: String) -> Self {
        let mut found = Self::default();
        found.impossible_now(reason);
        found
    }

    /// A check that this machine could not go on with.
    pub(super) fn impossible_now(&mut self, reason: String) {
        self.status = None;
        let reason = Detail::from(reason);
        self.prober_fault = Some(reason.clone());
        self.fail(FailureKind::ConnectRefused, reason);
    }

    /// The check ended here.
    pub(super) fn fail(&mut self, kind: FailureKind, detail: impl Into<Detail>) {
        self.failed(Failure { kind, detail: detail.into() });
    }

    /// The check ended with `failure`.
    pub(super) fn failed(&mut self, failure: Failure) {
        self.has_failed = true;
        self.failure = Some(failure);
    }
}
