//! Sites and how they were configured.

use std::collections::BTreeMap;

use super::{StoreError, Tx};

/// A site's configuration as an event tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version<'a> {
    /// The site's URL.
    pub url: &'a str,
    /// The site's group.
    pub group: Option<&'a str>,
    /// The configuration's hash.
    pub config_hash: &'a str,
}

/// What the database calls a site's version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VersionIds {
    /// The site.
    pub site_id: i32,
    /// The version.
    pub version_id: i32,
    /// The shortest step between slots known so far, in microseconds.
    pub interval_us: Option<i64>,
}

/// Finds or adds sites and their versions. Sorted, so that two consumers never lock in opposite orders.
///
/// # Errors
/// When a statement fails.
pub fn resolve<'a>(
    tx: &mut Tx<'_>,
    wanted: &BTreeMap<&'a str, Vec<Version<'a>>>,
) -> Result<Vec<(&'a str, Version<'a>, VersionIds)>, StoreError> {
    let pairs: Vec<(&str, Version<'_>)> =
        wanted.iter().flat_map(|(name, versions)| versions.iter().map(|version| (*name, *version))).collect();
    let names: Vec<&str> = pairs.iter().map(|(name, _)| *name).collect();
    let urls: Vec<&str> = pairs.iter().map(|(_, version)| version.url).collect();
    let groups: Vec<Option<&str>> = pairs.iter().map(|(_, version)| version.group).collect();
    let hashes: Vec<&str> = pairs.iter().map(|(_, version)| version.config_hash).collect();
    add_sites(tx, &names, &urls, &groups)?;
    add_versions(tx, &names, &urls, &groups, &hashes)?;
    let rows = tx.query(
        r#"SELECT n.ordinal, s.site_id, v.version_id, v.interval_us
           FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) WITH ORDINALITY AS n (name, url, "group", config_hash, ordinal)
           JOIN site s ON s.name = n.name
           JOIN site_version v ON v.site_id = s.site_id AND v.url = n.url AND v.config_hash = n.config_hash
                AND v."group" IS NOT DISTINCT FROM n."group""#,
        &[&names, &urls, &groups, &hashes],
    )?;
    let mut found = Vec::with_capacity(rows.len());
    for row in &rows {
        let ordinal = usize::try_from(row.try_get::<_, i64>(0)?).unwrap_or(0);
        let ids = VersionIds { site_id: row.try_get(1)?, version_id: row.try_get(2)?, interval_us: row.try_get(3)? };
        if let Some((name, version)) = ordinal.checked_sub(1).and_then(|index| pairs.get(index)) {
            found.push((*name, *version, ids));
        }
    }
    Ok(found)
}

fn add_sites(tx: &mut Tx<'_>, names: &[&str], urls: &[&str], groups: &[Option<&str>]) -> Result<(), StoreError> {
    tx.execute(
        r#"INSERT INTO site (name, url, "group")
           SELECT DISTINCT ON (n.name) n.name, n.url, n."group" FROM unnest($1::text[], $2::text[], $3::text[]) AS n (name, url, "group")
           WHERE NOT EXISTS (SELECT FROM site s WHERE s.name = n.name)
           ORDER BY n.name
           ON CONFLICT DO NOTHING"#,
        &[&names, &urls, &groups],
    )?;
    Ok(())
}

fn add_versions(
    tx: &mut Tx<'_>,
    names: &[&str],
    urls: &[&str],
    groups: &[Option<&str>],
    hashes: &[&str],
) -> Result<(), StoreError> {
    tx.execute(
        r#"INSERT INTO site_version (site_id, url, "group", config_hash)
           SELECT s.site_id, n.url, n."group", n.config_hash
           FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS n (name, url, "group", config_hash)
           JOIN site s ON s.name = n.name
           WHERE NOT EXISTS (
               SELECT FROM site_version v WHERE v.site_id = s.site_id AND v.url = n.url
                   AND v.config_hash = n.config_hash AND v."group" IS NOT DISTINCT FROM n."group")
           ORDER BY s.site_id, n.url
           ON CONFLICT DO NOTHING"#,
        &[&names, &urls, &groups, &hashes],
    )?;
    Ok(())
}

/// Keeps the shortest step seen between two slots of each version, in microseconds. `steps` must be sorted.
///
/// # Errors
/// When the statement fails.
pub fn learn_intervals(tx: &mut Tx<'_>, steps: &[(i32, i64)]) -> Result<(), StoreError> {
    let (versions, intervals): (Vec<i32>, Vec<i64>) = steps.iter().copied().unzip();
    tx.execute(
        "UPDATE site_version v SET interval_us = n.interval_us
         FROM unnest($1::int[], $2::bigint[]) AS n (version_id, interval_us)
         WHERE v.version_id = n.version_id AND (v.interval_us IS NULL OR v.interval_us > n.interval_us)",
        &[&versions, &intervals],
    )?;
    Ok(())
}

/// Gives sites the URL and group of these versions, which are now their latest.
///
/// # Errors
/// When the statement fails.
pub fn follow_versions(tx: &mut Tx<'_>, versions: &[i32]) -> Result<(), StoreError> {
    tx.execute(
        r#"UPDATE site s SET url = v.url, "group" = v."group" FROM site_version v
           WHERE v.version_id = ANY ($1) AND s.site_id = v.site_id
             AND (s.url, s."group") IS DISTINCT FROM (v.url, v."group")"#,
        &[&versions],
    )?;
    Ok(())
}
