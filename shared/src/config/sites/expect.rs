//! Reads what is expected of an answer.

use std::time::Duration;

use crate::config::{Scalar, Section, shown};
use http::header::HeaderName;

use super::settings::{Place, Reader};
use crate::site::endpoint::Kind;
use crate::site::{DnsCodes, Expect, JsonExpectation, Pattern, StatusSet};

impl Reader<'_> {
    pub(super) fn expect(&mut self, section: &mut Section, place: Place<'_>, base: &Expect) -> Expect {
        let mut section = section.section("expect");
        let mut expect = base.clone();
        let path = format!("{}.expect", place.path);
        let place = Place { path: &path, ..place };
        self.http(&mut section, place, &mut expect);
        if place.is_for(&[Kind::Http, Kind::Tcp], &mut section, &["body", "body_not"]) {
            expect.body = self.pattern(&mut section, &path, "body").or(expect.body);
            expect.body_not = self.pattern(&mut section, &path, "body_not").or(expect.body_not);
        }
        if place.is_for(&[Kind::Dns], &mut section, &["code", "record"]) {
            let none = "no code would ever be well: write at least one, such as NOERROR";
            expect.dns_codes = self.set(&mut section, &path, "code", DnsCodes::new, none).unwrap_or(expect.dns_codes);
            expect.records = section.list("record").unwrap_or(expect.records);
        }
        let more_than_nothing = |time: &Duration| !time.is_zero();
        let most = section.get_where("max_response_time", more_than_nothing, "more than 0s is allowed");
        expect.max_response_time = most.or(expect.max_response_time);
        if place.is_for(&[Kind::Http, Kind::Tls], &mut section, &["certificate_valid_for"]) {
            let wanted = section.get_where("certificate_valid_for", more_than_nothing, "more than 0s is allowed");
            expect.certificate_valid_for = wanted.or(expect.certificate_valid_for);
        }
        section.finish();
        expect
    }

    fn http(&mut self, section: &mut Section, place: Place<'_>, expect: &mut Expect) {
        if !place.is_for(&[Kind::Http], section, &["status", "headers", "json"]) {
            return;
        }
        let none = "no status would ever be well: write at least one, such as [200-299]";
        if let Some(status) = self.set(section, place.path, "status", StatusSet::new, none) {
            expect.status = status;
        }
        let at = section.place_of("headers");
        for (name, pattern) in section.map("headers") {
            let key = format!("{}.headers.{}", place.path, shown::key(&name));
            let Ok(header) = HeaderName::from_bytes(name.as_bytes()) else {
                self.refuse(&at, &key, "is not the name of a header".into());
                continue;
            };
            if let Some(pattern) = self.compiled(&pattern, &at, &key) {
                expect.headers.retain(|(known, _)| *known != header);
                expect.headers.push((header, pattern));
            }
        }
        let at = section.place_of("json");
        for (pointer, value) in section.map("json") {
            match JsonExpectation::new(pointer.clone(), value) {
                Some(json) => {
                    expect.json.retain(|known| known.pointer != pointer);
                    expect.json.push(json);
                }
                None => {
                    let message = "is not a JSON pointer: write it like /status or /items/0/name";
                    self.refuse(&at, &format!("{}.json.{}", place.path, shown::pointer(&pointer)), message.into());
                }
            }
        }
    }

    /// The set that `new` makes of the list at `key`; `none` says why it may not be empty.
    fn set<T: Scalar, S>(
        &mut self,
        section: &mut Section,
        path: &str,
        key: &str,
        new: fn(Vec<T>) -> Option<S>,
        none: &str,
    ) -> Option<S> {
        let place = section.place_of(key);
        let set = new(section.list(key)?);
        if set.is_none() {
            self.refuse(&place, &format!("{path}.{key}"), none.into());
        }
        set
    }

    fn pattern(&mut self, section: &mut Section, path: &str, key: &str) -> Option<Pattern> {
        let place = section.place_of(key);
        let pattern = section.get::<String>(key)?;
        self.compiled(&pattern, &place, &format!("{path}.{key}"))
    }

    fn compiled(&mut self, pattern: &str, place: &str, key: &str) -> Option<Pattern> {
        if let Some(known) = self.patterns.get(pattern) {
            return Some(known.clone());
        }
        match Pattern::new(pattern) {
            Ok(compiled) => Some(self.patterns.entry(pattern.to_owned()).or_insert(compiled).clone()),
            Err(reason) => {
                self.refuse(place, key, format!("{} is not a regular expression: {reason}", shown::text(pattern)));
                None
            }
        }
    }
}
