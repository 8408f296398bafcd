//! `make bench`: what the pipeline costs, set against the bare libraries doing the same work in the same run.
//!
//! Ratios within one run are what counts: they survive a slow or busy machine, times do not. So nothing here fails for
//! being slow; an aim that is missed is shown as missed.

mod bare;
mod checks;
mod cli;
mod config;
mod events;
mod figures;
mod formats;
mod insert;
mod latency;
mod memory;
mod process;
mod service;
mod setting;
mod store;
mod target;

use std::process::ExitCode;

use anyhow::Result;

use cli::{Cli, Part};
use figures::Figure;
use setting::Setting;

fn main() -> ExitCode {
    let result = match cli::helper() {
        Some((name, args)) if name == target::ROLE => target::run(&args),
        Some((_, args)) => bare::run(&args),
        None => run(&Cli::read()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            cli::complain(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Result<()> {
    let mut setting = None;
    let mut all = Vec::new();
    for part in cli.parts() {
        // Servers are started for those who need them.
        if part != Part::Formats && setting.is_none() {
            setting = Some(Setting::begin(cli)?);
        }
        cli::complain(&format!("{part} ..."));
        all.extend(match &setting {
            Some(setting) if part != Part::Formats => measure(part, setting)?,
            _ => formats::measure()?,
        });
    }
    if cli.json { figures::print_json(&all) } else { figures::print_table(&all) }
}

fn measure(part: Part, setting: &Setting) -> Result<Vec<Figure>> {
    match part {
        Part::Http | Part::Https => checks::measure(part, setting),
        Part::Store => store::measure(setting),
        Part::Memory => memory::measure(setting),
        Part::Latency => latency::measure(setting),
        Part::Config => config::measure(setting),
        Part::Formats => formats::measure(),
    }
}
