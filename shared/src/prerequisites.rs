//! Whether what a service needs beside its configuration is there, as `check-config --connect` tells it.

use std::fmt::Display;

use serde_json::{Value, json};

/// What was found of each thing that is needed, in the order of looking.
#[derive(Clone, Debug, Default)]
pub struct Prerequisites(Vec<(&'static str, Result<String, String>)>);

impl Prerequisites {
    /// Nothing was looked at yet.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Notes what was found of `name`, or why it is not well.
    pub fn note(&mut self, name: &'static str, found: Result<String, impl Display>) {
        self.0.push((name, found.map_err(|why| why.to_string())));
    }

    /// Those that are not well, in words; `None` where all are.
    pub fn missing(&self) -> Option<String> {
        let missing: Vec<&str> = self.0.iter().filter(|(_, found)| found.is_err()).map(|(name, _)| *name).collect();
        (!missing.is_empty()).then(|| missing.join(" and "))
    }

    /// A line for people about each.
    pub fn lines(&self) -> Vec<String> {
        let line = |(name, found): &(&str, Result<String, String>)| match found {
            Ok(what) => format!("  {name:<8} reached: {what}"),
            Err(why) => format!("  {name:<8} NOT WELL: {why}"),
        };
        self.0.iter().map(line).collect()
    }

    /// For programs: by name, whether it is well (`ok`) and what was found (`detail`).
    pub fn json(&self) -> Value {
        let entry = |(name, found): &(&str, Result<String, String>)| {
            let (Ok(detail) | Err(detail)) = found;
            ((*name).to_owned(), json!({"ok": found.is_ok(), "detail": detail}))
        };
        Value::Object(self.0.iter().map(entry).collect())
    }
}
