//! What this process remembers of the database: ids of sites, versions and certificates, latest statuses, known producers.
//!
//! It is true only as long as every transaction that filled it was committed on the connection it came from. So it is
//! thrown away whole after any failure, and with the connection: a server that crashed or was replaced may have
//! forgotten the last commits, and give their ids to others.

use std::collections::{BTreeMap, HashMap, HashSet};

use uuid::Uuid;

use super::certificates::Certificates;
use crate::store::sites::{self, Version, VersionIds};
use crate::store::statuses::{self, Status};
use crate::store::{StoreError, Tx};

/// More sites than this are not remembered: memory stays bounded whatever comes.
const MOST_SITES: usize = 200_000;

/// The memory.
#[derive(Debug, Default)]
pub struct Directory {
    by_name: HashMap<String, usize>,
    sites: Vec<Site>,
    producers: HashSet<Uuid>,
    /// Certificates by their names.
    pub(super) certificates: Certificates,
}

/// One site.
#[derive(Debug)]
pub(super) struct Site {
    /// Its id.
    pub site_id: i32,
    versions: Vec<KnownVersion>,
    places: Vec<Place>,
}

#[derive(Debug)]
struct KnownVersion {
    url: String,
    group: Option<String>,
    config_hash: String,
    ids: VersionIds,
}

/// A site at one location.
#[derive(Debug)]
pub struct Place {
    /// The location.
    pub location: String,
    /// The latest status, where there is one.
    pub status: Option<Status>,
}

/// Where a site stands in the directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SiteRef {
    /// Index of the site.
    pub site: usize,
    /// The site's id.
    pub site_id: i32,
    /// The id of its configuration.
    pub version_id: i32,
}

impl Directory {
    /// Makes sure that all these sites and versions have ids.
    ///
    /// # Errors
    /// When a statement fails.
    pub fn learn_sites<'a>(
        &mut self,
        tx: &mut Tx<'_>,
        wanted: impl Iterator<Item = (&'a str, Version<'a>)>,
    ) -> Result<(), StoreError> {
        if self.sites.len() > MOST_SITES {
            *self = Self::default();
        }
        let mut missing: BTreeMap<&str, Vec<Version<'_>>> = BTreeMap::new();
        for (name, version) in wanted {
            if self.find(name, version).is_none() {
                let versions = missing.entry(name).or_default();
                if !versions.contains(&version) {
                    versions.push(version);
                }
            }
        }
        if !missing.is_empty() {
            for (name, version, ids) in sites::resolve(tx, &missing)? {
                self.remember(name, version, ids);
            }
        }
        Ok(())
    }

    /// The ids of a site and its configuration, where they are known.
    pub fn find(&self, name: &str, version: Version<'_>) -> Option<SiteRef> {
        let site = *self.by_name.get(name)?;
        let known = self.sites.get(site)?;
        let found = known.versions.iter().find(|v| v.is(version))?;
        Some(SiteRef { site, site_id: known.site_id, version_id: found.ids.version_id })
    }

    fn remember(&mut self, name: &str, version: Version<'_>, ids: VersionIds) {
        let index = *self.by_name.entry(name.to_owned()).or_insert_with(|| {
            self.sites.push(Site { site_id: ids.site_id, versions: Vec::new(), places: Vec::new() });
            self.sites.len() - 1
        });
        if let Some(site) = self.sites.get_mut(index) {
            site.versions.push(KnownVersion {
                url: version.url.to_owned(),
                group: version.group.map(str::to_owned),
                config_hash: version.config_hash.to_owned(),
                ids,
            });
        }
    }

    /// Makes sure that the statuses of all these sites at these locations are known.
    ///
    /// # Errors
    /// When the statement fails.
    pub fn learn_statuses<'a>(
        &mut self,
        tx: &mut Tx<'_>,
        wanted: impl Iterator<Item = (usize, &'a str)>,
    ) -> Result<(), StoreError> {
        let mut missing: BTreeMap<(i32, &str), usize> = BTreeMap::new();
        for (index, location) in wanted {
            if let Some(site) = self.sites.get(index).filter(|site| site.place(location).is_none()) {
                missing.insert((site.site_id, location), index);
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        let keys: Vec<(i32, &str)> = missing.keys().copied().collect();
        let mut found: HashMap<(i32, String), Status> = statuses::load(tx, &keys)?
            .into_iter()
            .map(|(site_id, location, status)| ((site_id, location), status))
            .collect();
        for ((site_id, location), index) in missing {
            if let Some(site) = self.sites.get_mut(index) {
                let status = found.remove(&(site_id, location.to_owned()));
                site.places.push(Place { location: location.to_owned(), status });
            }
        }
        Ok(())
    }

    /// The index of a location in a site, and what is known of it.
    pub fn place_mut(&mut self, site: usize, location: &str) -> Option<(usize, &mut Place)> {
        let places = &mut self.sites.get_mut(site)?.places;
        places.iter_mut().enumerate().find(|(_, place)| place.location == location)
    }

    /// What is known of a site at a location.
    pub fn place(&self, site: usize, place: usize) -> Option<(i32, &Place)> {
        let site = self.sites.get(site)?;
        Some((site.site_id, site.places.get(place)?))
    }

    /// Notes a step between two slots of a version, in microseconds; whether it is the shortest so far.
    pub fn note_step(&mut self, site: usize, version_id: i32, step_us: i64) -> bool {
        let versions = self.sites.get_mut(site).map(|site| site.versions.as_mut_slice()).unwrap_or_default();
        let Some(version) = versions.iter_mut().find(|version| version.ids.version_id == version_id) else {
            return false;
        };
        let is_shorter = version.ids.interval_us.is_none_or(|known| step_us < known);
        if is_shorter {
            version.ids.interval_us = Some(step_us);
        }
        is_shorter
    }

    /// Whether this producer was unknown until now.
    pub fn is_new_producer(&mut self, producer_id: Uuid) -> bool {
        self.producers.insert(producer_id)
    }
}

impl Site {
    fn place(&self, location: &str) -> Option<&Place> {
        self.places.iter().find(|place| place.location == location)
    }
}

impl KnownVersion {
    fn is(&self, version: Version<'_>) -> bool {
        self.config_hash == version.config_hash && self.url == version.url && self.group.as_deref() == version.group
    }
}
