//! What is wrong with a configuration, and where.

use std::fmt;

/// One thing that is wrong with the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where: `config.yml:12`, or an environment variable.
    pub origin: String,
    /// Which key, such as `domains[2].interval`; empty where the whole file is meant.
    pub key: String,
    /// What is wrong, with the value and what is allowed.
    pub message: String,
    /// Whether it may be well again by itself: a command that failed now.
    pub is_passing: bool,
}

impl Problem {
    /// One that only a change of the configuration mends.
    pub const fn new(origin: String, key: String, message: String) -> Self {
        Self { origin, key, message, is_passing: false }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.origin)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)
    }
}

/// All that is wrong with the configuration, in the order of the file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Problems(pub Vec<Problem>);

impl Problems {
    /// Whether all of it may be well again by itself.
    pub fn are_passing(&self) -> bool {
        self.0.iter().all(|problem| problem.is_passing)
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}
