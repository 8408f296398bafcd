//! What the supervisor writes down for the other commands.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::proc::Identity;

const FILE: &str = "state.json";

/// How far the set-up is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Phase {
    Starting,
    Ready,
    Failed,
}

/// How one part or service is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Health {
    Starting,
    Ready,
    Crashed,
}

/// A part or a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Item {
    pub(crate) name: String,
    pub(crate) health: Health,
    pub(crate) address: String,
    pub(crate) process: Option<Identity>,
    /// Since when it is as it is.
    pub(crate) since: Timestamp,
    pub(crate) restarts: u32,
    pub(crate) log: PathBuf,
}

/// The whole set-up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) supervisor: Identity,
    pub(crate) phase: Phase,
    /// Why it failed.
    pub(crate) error: Option<String>,
    /// How often the services were restarted on request.
    pub(crate) generation: u64,
    /// What differs from `config.dev.yml`, for the services and for all commands.
    pub(crate) environment: BTreeMap<String, String>,
    /// What a person should know, such as moved ports.
    pub(crate) notes: Vec<String>,
    pub(crate) items: Vec<Item>,
}

impl State {
    /// What is written in `dir`, if anything is.
    pub(crate) fn load(dir: &Path) -> Result<Option<Self>> {
        let path = dir.join(FILE);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("could not read {}", path.display())),
        };
        let remedy = || format!("could not understand {}: remove it if no isitup-dev runs", path.display());
        serde_json::from_str(&text).map(Some).with_context(remedy)
    }

    /// What is written in `dir`, if that supervisor still runs.
    pub(crate) fn running(dir: &Path) -> Result<Option<Self>> {
        Ok(Self::load(dir)?.filter(|state| state.supervisor.is_alive()))
    }

    /// The item of that name.
    pub(crate) fn item(&self, name: &str) -> Option<&Item> {
        self.items.iter().find(|item| item.name == name)
    }

    /// Whether everything is ready.
    pub(crate) fn is_all_ready(&self) -> bool {
        self.items.iter().all(|item| item.health == Health::Ready)
    }

    fn save(&self, dir: &Path) -> Result<()> {
        let text = serde_json::to_vec_pretty(self).context("could not write JSON")?;
        let fresh = dir.join("state.json.new");
        // Renamed into place, so that nobody reads half of it.
        fs::write(&fresh, text)
            .and_then(|()| fs::rename(&fresh, dir.join(FILE)))
            .context("could not write down the state")
    }
}

/// Removes what is written in `dir`.
pub(crate) fn forget(dir: &Path) -> Result<()> {
    match fs::remove_file(dir.join(FILE)) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error).context("could not remove state.json"),
        _ => Ok(()),
    }
}

/// The state as the supervisor keeps it: each change is written down.
pub(crate) struct Board {
    dir: PathBuf,
    state: Mutex<State>,
}

impl Board {
    /// Begins to write down `state` in `dir`.
    pub(crate) fn new(dir: &Path, state: State) -> Result<Self> {
        state.save(dir)?;
        Ok(Self { dir: dir.to_owned(), state: Mutex::new(state) })
    }

    /// Changes something. A full disk must not end the supervisor, so that a failure to write is only logged.
    pub(crate) fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut state);
        if let Err(error) = state.save(&self.dir) {
            log::warn!("{error:#}");
        }
    }

    /// Changes an item, which from now on is `health`.
    pub(crate) fn change_item(&self, name: &str, health: Health, change: impl FnOnce(&mut Item)) {
        self.change(|state| {
            if let Some(item) = state.items.iter_mut().find(|item| item.name == name) {
                item.health = health;
                item.since = Timestamp::now();
                change(item);
            }
        });
    }

    /// The state now.
    pub(crate) fn read(&self) -> State {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
