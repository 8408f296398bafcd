//! The list of sites: `domains` in the configuration, a `domains_file`, or both. No two sites may have one name.

use std::collections::HashMap;
use std::fs;
use std::sync::Arc;

use isitup_shared::config::{Entry, Section};

use super::settings::Reader;
use crate::site::{Site, SiteSettings};
use crate::target::{Target, redacted};

/// In bytes: what an index of the database takes, with room to spare.
const LONGEST_NAME: usize = 2000;

/// Reads all sites below `root`.
pub(super) fn read(root: &mut Section, reader: &mut Reader<'_>, defaults: &SiteSettings) -> Vec<Site> {
    let file_place = root.place_of("domains_file");
    let entries = root.entries("domains");
    let file = root.get::<String>("domains_file");
    let mut list = List { reader, defaults, sites: Vec::with_capacity(entries.len()), places: HashMap::new() };
    for (i, entry) in entries.into_iter().enumerate() {
        list.entry(&format!("domains[{i}]"), entry);
    }
    if let Some(file) = file {
        list.file(&file, &file_place);
    }
    list.sites
}

struct List<'a, 'b> {
    reader: &'a mut Reader<'b>,
    defaults: &'a SiteSettings,
    sites: Vec<Site>,
    /// Where each name stands.
    places: HashMap<Arc<str>, String>,
}

impl List<'_, '_> {
    fn entry(&mut self, path: &str, entry: Entry) {
        match entry {
            Entry::Scalar(mut text) => match Target::parse(&text.text) {
                Ok(target) => self.add(&text.place(), path, Site::new(target, None, self.defaults.clone())),
                Err(error) => {
                    text.text = redacted(&text.text);
                    text.refuse(error.reason);
                }
            },
            Entry::Table(mut section) => {
                let place = section.place();
                let (target, name) = self.reader.target(&mut section, path);
                let settings = self.reader.settings(&mut section, path, self.defaults);
                section.finish();
                if let Some(target) = target {
                    self.add(&place, path, Site::new(target, name.as_deref(), settings));
                }
            }
        }
    }

    fn file(&mut self, name: &str, named_at: &str) {
        let path = self.reader.path(name);
        let shown = path.display().to_string();
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) => {
                self.reader.refuse(named_at, "domains_file", format!("{shown:?} cannot be read: {error}"));
                return;
            }
        };
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        for (i, line) in text.lines().enumerate() {
            let typed = without_comment(line).trim();
            if typed.is_empty() {
                continue;
            }
            let place = format!("{shown}:{}", i + 1);
            match Target::parse(typed) {
                Ok(target) => self.add(&place, "", Site::new(target, None, self.defaults.clone())),
                Err(error) => self.reader.refuse(&place, "", error.to_string()),
            }
        }
    }

    fn add(&mut self, place: &str, path: &str, site: Site) {
        if site.name.len() > LONGEST_NAME {
            let message = "the URL is too long to be the site's name: write it as `url`, with a `name` beside it";
            self.reader.refuse(place, path, message.into());
            return;
        }
        // A site without a name of its own is called by its URL as typed, where `/` may be left out: still the same site.
        let key = if *site.name == site.shown_url { site.url.as_str().into() } else { Arc::clone(&site.name) };
        if let Some(first) = self.places.get(&key) {
            let message = format!(
                "the site {:?} stands at {first} too: remove one of them, or give it another `name`",
                &*site.name
            );
            self.reader.refuse(place, path, message);
            return;
        }
        self.places.insert(key, place.to_owned());
        self.sites.push(site);
    }
}

/// A line without its comment. A `#` within a text is part of it: `https://example.com/#top`.
fn without_comment(line: &str) -> &str {
    let begins =
        line.char_indices().find(|&(i, c)| c == '#' && line[..i].chars().next_back().is_none_or(char::is_whitespace));
    begins.map_or(line, |(i, _)| &line[..i])
}
