//! What was measured, beside what was aimed at.

use std::io::Write;

use anyhow::Result;
use serde_json::json;

/// One figure.
#[derive(Clone, Debug)]
pub(crate) struct Figure {
    pub(crate) part: &'static str,
    pub(crate) what: String,
    pub(crate) value: f64,
    pub(crate) unit: &'static str,
    pub(crate) aim: Option<Aim>,
}

/// What a figure should be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Aim {
    AtMost(f64),
    AtLeast(f64),
}

impl Figure {
    /// A figure without an aim of its own.
    pub(crate) fn new(part: &'static str, what: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self { part, what: what.into(), value, unit, aim: None }
    }

    /// The same with an aim.
    pub(crate) fn aiming(self, aim: Aim) -> Self {
        Self { aim: Some(aim), ..self }
    }

    fn is_met(&self) -> Option<bool> {
        self.aim.map(|aim| match aim {
            Aim::AtMost(most) => self.value <= most,
            Aim::AtLeast(least) => self.value >= least,
        })
    }

    /// By how much of itself the aim is missed, or that it is met.
    fn verdict(&self) -> String {
        match (self.aim, self.is_met()) {
            (Some(Aim::AtMost(aim) | Aim::AtLeast(aim)), Some(false)) if aim != 0.0 => {
                format!("missed by {:.0} %", (self.value / aim - 1.0).abs() * 100.0)
            }
            (_, Some(false)) => "missed".into(),
            (_, Some(true)) => "met".into(),
            (_, None) => String::new(),
        }
    }

    fn cells(&self) -> [String; 6] {
        let aim = match self.aim {
            Some(Aim::AtMost(most)) => format!("<= {}", number(most)),
            Some(Aim::AtLeast(least)) => format!(">= {}", number(least)),
            None => String::new(),
        };
        [self.part.into(), self.what.clone(), number(self.value), self.unit.into(), aim, self.verdict()]
    }
}

/// As many digits as say something.
fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 || size == 0.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// The middle one of `values`; of an even number the mean of both in the middle; 0 of none.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => 0.0,
        odd if odd % 2 == 1 => values[odd / 2],
        even => f64::midpoint(values[even / 2 - 1], values[even / 2]),
    }
}

/// The value that `share` of `values` do not exceed; 0 of none.
pub(crate) fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let rank = (values.len() as f64 * share).ceil() as usize;
    values.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

/// Prints all figures as one aligned table.
pub(crate) fn print_table(figures: &[Figure]) -> Result<()> {
    const TITLES: [&str; 6] = ["part", "figure", "value", "unit", "aim", ""];
    let rows: Vec<[String; 6]> =
        std::iter::once(TITLES.map(str::to_owned)).chain(figures.iter().map(Figure::cells)).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; 6] = std::array::from_fn(width);
    let mut out = std::io::stdout().lock();
    for row in &rows {
        let [part, what, value, unit, aim, verdict] = row;
        let [a, b, c, d, e, _] = widths;
        let line = format!("{part:a$}  {what:b$}  {value:>c$}  {unit:d$}  {aim:>e$}  {verdict}");
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

/// Prints all figures as one JSON value.
pub(crate) fn print_json(figures: &[Figure]) -> Result<()> {
    let as_json = |figure: &Figure| {
        let (at_most, at_least) = match figure.aim {
            Some(Aim::AtMost(most)) => (Some(most), None),
            Some(Aim::AtLeast(least)) => (None, Some(least)),
            None => (None, None),
        };
        json!({
            "part": figure.part, "figure": figure.what, "value": figure.value, "unit": figure.unit,
            "at_most": at_most, "at_least": at_least, "met": figure.is_met(),
        })
    };
    let all: Vec<_> = figures.iter().map(as_json).collect();
    writeln!(std::io::stdout(), "{}", json!({ "figures": all }))?;
    Ok(())
}
