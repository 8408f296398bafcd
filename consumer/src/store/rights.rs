//! The least rights: which role may do what with the objects of the schema. `docs/PRODUCTION.md` shows the same as a table.

use isitup_shared::config::SchemaName;

/// What storing takes beside reading: each table with the rights on it.
pub(super) const OF_INGEST: [(&str, &str); 21] = [
    ("site", "INSERT, UPDATE"),
    ("site_version", "INSERT, UPDATE"),
    ("certificate", "INSERT"),
    ("result", "INSERT"),
    // To keep a day from retention takes the right to update.
    ("result_day", "INSERT, UPDATE, DELETE"),
    ("site_status", "INSERT, UPDATE"),
    ("incident", "INSERT, UPDATE"),
    ("dirty_hour", "INSERT, UPDATE, DELETE"),
    ("uptime_hour", "INSERT, DELETE"),
    ("audit_day", "INSERT, DELETE"),
    ("audit_sum", "INSERT"),
    ("gap", "INSERT, UPDATE"),
    ("producer", "INSERT, UPDATE"),
    ("producer_event", "INSERT, DELETE"),
    ("partition_offset", "INSERT, UPDATE"),
    ("consumer", "INSERT, UPDATE, DELETE"),
    ("rejected", "INSERT, UPDATE, DELETE"),
    ("offset_jump", "INSERT, UPDATE"),
    ("maintenance", "UPDATE"),
    // What may be dropped is the owner's to say.
    ("retention", "SELECT"),
    ("refinery_schema_history", "SELECT"),
];

/// All functions of the schema. PUBLIC may call none of them.
const FUNCTIONS: &str = "note_offset_jump, note_offsets_gone, make_result_day, drop_result_day, uptime_between, day_numbers, \
                         slots_in, count_of, came_after";

/// What the storing role calls: it makes and drops days, sums hours and days, and runs the commands.
pub(super) const FUNCTIONS_OF_INGEST: [&str; 6] =
    ["make_result_day", "drop_result_day", "uptime_between", "day_numbers", "count_of", "came_after"];

/// What a reader may read: the public views.
const OF_READER: &str = "check_result, latest_status, uptime, audit";

/// The functions that the public views call, which PostgreSQL demands of whoever reads them.
const FUNCTIONS_OF_READER: &str = "uptime_between, day_numbers, count_of";

/// Lets `role`, which is quoted, store.
pub(super) fn grant_ingest(role: &str, schema: &SchemaName) -> String {
    let mut lines = vec![format!("GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {role};\n")];
    lines.extend(OF_INGEST.iter().map(|(table, rights)| format!("GRANT {rights} ON {table} TO {role};\n")));
    lines.push(format!("GRANT EXECUTE ON FUNCTION {} TO {role};\n", FUNCTIONS_OF_INGEST.join(", ")));
    lines.concat()
}

/// Lets `role`, which is quoted, read the public views.
pub(super) fn grant_reader(role: &str) -> String {
    format!("GRANT SELECT ON {OF_READER} TO {role};\n{}", grant_functions_of_reader(role))
}

/// Lets `role`, which is quoted and may read the views, call what they are made of.
pub(super) fn grant_functions_of_reader(role: &str) -> String {
    format!("GRANT EXECUTE ON FUNCTION {FUNCTIONS_OF_READER} TO {role};\n")
}

/// Takes all rights from `roles`, which are quoted, and all functions from PUBLIC.
pub(super) fn revoke_all(roles: &str, schema: &SchemaName) -> String {
    format!(
        "REVOKE CREATE ON SCHEMA {schema} FROM {roles};\n\
         REVOKE ALL ON ALL TABLES IN SCHEMA {schema} FROM {roles};\n\
         REVOKE ALL ON FUNCTION {FUNCTIONS} FROM PUBLIC, {roles};\n"
    )
}
