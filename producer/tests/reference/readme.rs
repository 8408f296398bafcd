//! The tables and the example of README's section on the configuration.

use std::collections::BTreeSet;

const README: &str = include_str!("../../../README.md");

/// A key as README has it.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) key: String,
    /// Whether it is marked as one that can stand in a file or a variable too.
    pub(crate) is_secret: bool,
    pub(crate) default: Default,
    /// The kinds of sites that have it.
    pub(crate) kinds: BTreeSet<String>,
}

/// What holds where the key is not written.
#[derive(Clone, Debug)]
pub(crate) enum Default {
    /// This value, as it would be written.
    Literal(String),
    /// That is a mistake.
    Required,
    /// The site's URL.
    Url,
    /// What cannot be written.
    Words,
}

/// The keys that are no site's.
pub(crate) fn service_rows() -> Vec<Row> {
    table("| Key | Default | Meaning |").iter().flat_map(|cells| rows(&cells[0], &cells[1], "")).collect()
}

/// The keys of a site.
pub(crate) fn site_rows() -> Vec<Row> {
    let table = table("| Key of a site | Default | Sites | Meaning |");
    table.iter().flat_map(|cells| rows(&cells[0], &cells[1], &cells[2])).collect()
}

/// The YAML that README begins with.
pub(crate) fn example() -> String {
    let section = README.split_once("\n## Configuration\n").unwrap().1;
    section.split_once("```yaml\n").unwrap().1.split_once("```").unwrap().0.to_owned()
}

/// The cells of the table with this head.
fn table(head: &str) -> Vec<Vec<String>> {
    let lines = README.split_once(head).unwrap().1.lines().skip(2).take_while(|line| line.starts_with('|'));
    lines.map(|line| line.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect()).collect()
}

fn rows(keys: &str, defaults: &str, kinds: &str) -> Vec<Row> {
    let (keys, defaults) = (items(keys), items(defaults));
    assert!(defaults.len() == 1 || defaults.len() == keys.len(), "{keys:?} have the defaults {defaults:?}");
    let all = ["http", "tcp", "tls", "dns"];
    let kinds: BTreeSet<String> = match kinds {
        "all" => all.iter().map(ToString::to_string).collect(),
        some => some.split(", ").map(str::to_owned).collect(),
    };
    let row = |(i, (key, mark)): (usize, &(String, String))| {
        let default = &defaults[if defaults.len() == 1 { 0 } else { i }];
        Row { key: key.clone(), is_secret: mark == "†", default: default_of(default), kinds: kinds.clone() }
    };
    keys.iter().enumerate().map(row).collect()
}

fn default_of((literal, words): &(String, String)) -> Default {
    match words.as_str() {
        "" => Default::Literal(literal.clone()),
        "the URL" => Default::Url,
        words if words.starts_with("required") => Default::Required,
        _ => Default::Words,
    }
}

/// What stands between commas: a text in backticks, where there is one, and the words beside it. A comma within backticks
/// separates nothing.
fn items(cell: &str) -> Vec<(String, String)> {
    let mut items = vec![(String::new(), String::new())];
    for (i, part) in cell.split('`').enumerate() {
        if i % 2 == 1 {
            items.last_mut().unwrap().0.push_str(part);
            continue;
        }
        for (j, words) in part.split(',').enumerate() {
            if j > 0 {
                items.push((String::new(), String::new()));
            }
            items.last_mut().unwrap().1.push_str(words.trim());
        }
    }
    items
}
