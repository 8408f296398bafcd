//! The list of sites: `domains` in the configuration, a `domains_file`, or both. No two sites may have one name.

use std::collections::HashMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::{Entry, Section, shown};

use super::contradictions::contradiction;
use super::settings::{self, Place, Reader};
use crate::site::label::{LABEL, LONGEST, has_credentials, is_label};
use crate::site::target::Target;
use crate::site::{Site, SiteSettings};

/// What holds for sites: by their group, else by default.
pub(super) struct Layers {
    pub(super) defaults: Arc<SiteSettings>,
    groups: HashMap<String, Arc<SiteSettings>>,
}

impl Layers {
    /// Reads `defaults` and `groups` below `root`.
    pub(super) fn read(root: &mut Section, reader: &mut Reader<'_>) -> Self {
        let mut section = root.section("defaults");
        let place = Place { path: "defaults", kind: None };
        let defaults = reader.settings(&mut section, place, &SiteSettings::default());
        section.finish();
        let mut groups = HashMap::new();
        for (name, mut section) in root.sections("groups") {
            let path = section.path().to_owned();
            let place = Place { path: &path, kind: None };
            if !is_label(&name) || has_credentials(&name) {
                reader.refuse(&section.place(), &path, format!("the name of a group: {LABEL}"));
            }
            if section.contains("group") {
                section.refuse("group", "a group has its own name");
            }
            let mut settings = reader.settings(&mut section, place, &defaults);
            section.finish();
            settings.group = Some(name.as_str().into());
            groups.insert(name, Arc::new(settings));
        }
        Self { defaults: Arc::new(defaults), groups }
    }

    /// The groups that have settings of their own.
    pub(super) fn group_names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.groups.keys().cloned().collect();
        names.sort_unstable();
        names
    }

    /// What holds in `group`, or where a site names none. A group need not have settings of its own.
    fn of(&self, group: Option<&str>) -> Arc<SiteSettings> {
        let Some(name) = group.or(self.defaults.group.as_deref()) else { return Arc::clone(&self.defaults) };
        match self.groups.get(name) {
            Some(settings) => Arc::clone(settings),
            None if group.is_none() => Arc::clone(&self.defaults),
            None => Arc::new(SiteSettings { group: Some(name.into()), ..SiteSettings::clone(&self.defaults) }),
        }
    }
}

/// Reads all sites below `root`.
pub(super) fn read(root: &mut Section, reader: &mut Reader<'_>, layers: &Layers, denies: bool) -> Vec<Site> {
    let entries = root.entries("domains");
    let files = root.entries("domains_file");
    let mut list = List { reader, layers, denies, sites: Vec::with_capacity(entries.len()), places: HashMap::new() };
    for (i, entry) in entries.into_iter().enumerate() {
        list.entry(&format!("domains[{i}]"), entry);
    }
    for entry in files {
        list.files(entry);
    }
    list.sites
}

struct List<'a, 'b> {
    reader: &'a mut Reader<'b>,
    layers: &'a Layers,
    /// Whether there are networks that must not be connected to.
    denies: bool,
    sites: Vec<Site>,
    /// Where each name stands.
    places: HashMap<Arc<str>, String>,
}

impl List<'_, '_> {
    fn entry(&mut self, path: &str, entry: Entry) {
        match entry {
            Entry::Scalar(text) => match Target::parse(&text.text) {
                Ok(target) => self.add(&text.place(), path, Site::new(target, None, self.layers.of(None))),
                Err(error) => text.refuse(error),
            },
            Entry::Table(mut section) => {
                let place = section.place();
                let (target, name) = self.reader.target(&mut section, path);
                let group = settings::group(&mut section);
                let base = self.layers.of(group.as_deref());
                let kind = target.as_ref().map(|target| target.endpoint.kind());
                let settings = if section.is_read() {
                    Arc::clone(&base)
                } else {
                    let own = self.reader.settings(&mut section, Place { path, kind }, &base);
                    Arc::new(SiteSettings { group: base.group.clone(), ..own })
                };
                section.finish();
                if let Some(target) = target {
                    self.add(&place, path, Site::new(target, name.as_deref(), settings));
                }
            }
        }
    }

    /// The files that an item of `domains_file` names: a path, a pattern of paths, or one of these with a group.
    fn files(&mut self, entry: Entry) {
        let (name, place, group) = match entry {
            Entry::Scalar(text) => (Some(text.text.clone()), text.place(), None),
            Entry::Table(mut section) => {
                let place = section.place();
                let name = section.require::<String>("path", "the file, or a pattern such as sites.d/*.txt");
                let group = settings::group(&mut section);
                section.finish();
                (name, place, group)
            }
        };
        let Some(name) = name else { return };
        let settings = self.layers.of(group.as_deref());
        let path = self.reader.path(&name);
        self.reader.sources.push(path.clone());
        match matching(&path) {
            Ok(files) => files.iter().for_each(|file| self.file(file, &name, &place, &settings)),
            // What matches on the producer's machine need not be on the consumer's.
            Err(_) if self.reader.is_others => {}
            Err(reason) => {
                self.reader.refuse(&place, "domains_file", format!("{} {reason}", shown::file(&name, &path)));
            }
        }
    }

    fn file(&mut self, path: &Path, written: &str, named_at: &str, settings: &Arc<SiteSettings>) {
        let shown = path.display().to_string();
        // The other service reads it for its form where it is there, and waits for no pipe.
        if self.reader.is_others && !path.is_file() {
            return;
        }
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if self.reader.is_others && error.kind() == ErrorKind::PermissionDenied => return,
            Err(error) => {
                let message = format!("{} cannot be read: {error}", shown::file(written, path));
                self.reader.refuse(named_at, "domains_file", message);
                return;
            }
        };
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        for (i, line) in text.lines().enumerate() {
            let typed = without_comment(line).trim_matches([' ', '\t']);
            if typed.is_empty() {
                continue;
            }
            let place = format!("{shown}:{}", i + 1);
            match Target::parse(typed) {
                Ok(target) => self.add(&place, "", Site::new(target, None, Arc::clone(settings))),
                Err(error) => self.reader.refuse(&place, "", error.to_string()),
            }
        }
    }

    /// Takes `site`, unless it is called as another: names are the same when their texts are, as in the events.
    fn add(&mut self, place: &str, path: &str, site: Site) {
        if site.name.chars().count() > LONGEST {
            let message = "the URL is too long to be the site's name: write it as `url`, with a `name` beside it";
            self.reader.refuse(place, path, message.into());
            return;
        }
        if let Some(first) = self.places.get(&site.name) {
            let name = site.name_in_messages();
            let message = format!("{name} stands at {first} too: remove one of them, or give it another `name`");
            self.reader.refuse(place, path, message);
            return;
        }
        if let Some((key, message)) = contradiction(&site, self.denies) {
            let key = if path.is_empty() { String::new() } else { format!("{path}.{key}") };
            self.reader.refuse(place, &key, message);
            return;
        }
        self.places.insert(Arc::clone(&site.name), place.to_owned());
        self.sites.push(site);
    }
}

/// The files that `pattern` names, in order; one that holds no pattern names itself.
fn matching(pattern: &Path) -> Result<Vec<PathBuf>, String> {
    let text = pattern.to_string_lossy();
    if !text.contains(['*', '?', '[']) || pattern.exists() {
        return Ok(vec![pattern.to_owned()]);
    }
    let found = glob::glob(&text).map_err(|error| format!("is not a pattern of files: {}", error.msg))?;
    let files: Vec<PathBuf> = found.filter_map(Result::ok).filter(|path| path.is_file()).collect();
    if files.is_empty() { Err("is not there: nothing matches its pattern".into()) } else { Ok(files) }
}

/// A line without its comment. A `#` within a text is part of it: `https://example.com/#top`.
fn without_comment(line: &str) -> &str {
    let begins =
        line.char_indices().find(|&(i, c)| c == '#' && line[..i].chars().next_back().is_none_or(char::is_whitespace));
    begins.map_or(line, |(i, _)| &line[..i])
}
