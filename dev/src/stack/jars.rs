//! The jars of Kafka and ZooKeeper, resolved by Maven once and remembered.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use clap::ValueEnum;

use super::home::fingerprint;
use super::part::Context;
use crate::process::Launch;
use crate::tools;

/// Which Kafka.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Line {
    /// The last line that runs on ZooKeeper.
    #[default]
    #[value(name = "3")]
    Three,
    /// The line that keeps its metadata itself (`KRaft`).
    #[value(name = "4")]
    Four,
}

impl Line {
    fn pom(self) -> &'static str {
        match self {
            Self::Three => include_str!("../../kafka/pom.xml"),
            Self::Four => include_str!("../../kafka/pom-4.xml"),
        }
    }
}

/// The class path of the pinned Kafka. The first call of all lets Maven download it (46 MB).
fn class_path(context: &Context, line: Line) -> Result<String> {
    let folder = cache()?.join(format!("kafka-{:016x}", fingerprint(line.pom().as_bytes())));
    fs::create_dir_all(&folder).with_context(|| format!("could not make {}", folder.display()))?;
    let known = folder.join("classpath");
    if let Some(path) = read(&known) {
        return Ok(path);
    }
    // Others may want the same at this moment: one resolves, the rest wait and read.
    let lock = File::create(folder.join("lock")).context("could not make a lock for the jars")?;
    lock.lock().context("could not lock the jars")?;
    if let Some(path) = read(&known) {
        return Ok(path);
    }
    resolve(context, line, &folder, &known)?;
    read(&known).with_context(|| format!("Maven ended well but {} names no jars", known.display()))
}

/// The remembered class path, if all its jars are still there.
fn read(known: &Path) -> Option<String> {
    let text = fs::read_to_string(known).ok()?;
    let text = text.trim();
    (!text.is_empty() && text.split(':').all(|jar| Path::new(jar).is_file())).then(|| text.to_owned())
}

fn resolve(context: &Context, line: Line, folder: &Path, known: &Path) -> Result<()> {
    let maven = tools::find("mvn")?;
    log::info!("fetching Kafka's jars by Maven; only the first start does that");
    let started = Instant::now();
    fs::write(folder.join("pom.xml"), line.pom()).context("could not write the pom")?;
    let fresh = folder.join("classpath.new");
    Launch::new("Maven", maven, folder, &context.home.log("maven"))
        .args(["--batch-mode", "--no-transfer-progress", "dependency:build-classpath"])
        .args([format!("-Dmdep.outputFile={}", fresh.display())])
        .env("MAVEN_OPTS", "-Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1")
        .run(&context.spawner)
        .context("could not fetch Kafka's jars: is Maven Central, or a mirror in ~/.m2/settings.xml, in reach?")?;
    fs::rename(&fresh, known).with_context(|| format!("could not keep {}", known.display()))?;
    log::info!("fetched the jars in {:.1} s", started.elapsed().as_secs_f64());
    Ok(())
}

fn cache() -> Result<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = set("XDG_CACHE_HOME").filter(|path| path.is_absolute()).or_else(|| Some(set("HOME")?.join(".cache")));
    match base {
        Some(base) => Ok(base.join("isitup-dev")),
        None => bail!("neither XDG_CACHE_HOME nor HOME is set: set one, the jars are kept there"),
    }
}

/// `java` with small heaps and a fast start.
pub(crate) fn java(context: &Context, line: Line, name: &'static str, data: &Path, most_heap: &str) -> Result<Launch> {
    let java = std::env::var_os("JAVA_HOME").map(|home| PathBuf::from(home).join("bin/java"));
    let java = java.filter(|path| path.is_file()).map_or_else(|| tools::find("java"), Ok)?;
    fs::create_dir_all(data).with_context(|| format!("could not make {}", data.display()))?;
    Ok(Launch::new(name, java, data, &context.home.log(name))
        .args([&format!("-Xmx{most_heap}"), "-Xms32m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto"])
        // Without performance data nothing is left in /tmp/hsperfdata_*.
        .args(["-XX:-UsePerfData", "-XX:+ExitOnOutOfMemoryError", "-Djava.awt.headless=true"])
        .args([logging(context, line)?])
        // Not by -cp, as a list of 57 jars makes a process list unreadable.
        .env("CLASSPATH", class_path(context, line)?))
}

fn logging(context: &Context, line: Line) -> Result<String> {
    let (property, name, text) = match line {
        Line::Three => ("log4j.configuration", "log4j.properties", include_str!("../../kafka/log4j.properties")),
        Line::Four => ("log4j2.configurationFile", "log4j2.properties", include_str!("../../kafka/log4j2.properties")),
    };
    let path = context.home.write_settings(name, text)?;
    Ok(format!("-D{property}=file:{}", path.display()))
}
