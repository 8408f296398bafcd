//! The least rights: which role may do what with the objects of the schema.

/// What storing takes beside reading: each table with the rights on it.
pub(super) const OF_INGEST: [(&str, &str); 20] = [
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
    ("refinery_schema_history", "SELECT"),
];

/// What storing calls that runs as the owner.
pub(super) const FUNCTIONS_OF_INGEST: [&str; 2] = ["make_result_day", "drop_result_day"];

/// What a reader may read: the public views.
pub(super) const OF_READER: &str = "check_result, latest_status, uptime, audit";
