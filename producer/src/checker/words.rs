//! Quantities as people read them.

use std::time::Duration;

use isitup_shared::time::UtcTime;

const DAY: u64 = 24 * 3600;

/// `2.5 s`, `150 ms`, `14 days`.
pub(super) fn duration(duration: Duration) -> String {
    let (seconds, millis) = (duration.as_secs(), duration.subsec_millis());
    match (seconds, millis) {
        (DAY, 0) => "1 day".into(),
        (seconds, _) if seconds >= 2 * DAY => format!("{} days", seconds / DAY),
        (0, 0) => format!("{} µs", duration.as_micros()),
        (0, millis) => format!("{millis} ms"),
        (seconds, 0) => format!("{seconds} s"),
        (seconds, millis) => format!("{} s", format!("{seconds}.{millis:03}").trim_end_matches('0')),
    }
}

/// `1 MiB`, `1500 bytes`.
pub(super) fn size(bytes: u64) -> String {
    const KIB: u64 = 1 << 10;
    const MIB: u64 = 1 << 20;
    match bytes {
        1 => "1 byte".into(),
        bytes if bytes >= MIB && bytes.is_multiple_of(MIB) => format!("{} MiB", bytes / MIB),
        bytes if bytes >= KIB && bytes.is_multiple_of(KIB) => format!("{} KiB", bytes / KIB),
        bytes => format!("{bytes} bytes"),
    }
}

/// `2026-11-01`.
pub(super) fn date(time: UtcTime) -> String {
    time.to_string().split('T').next().unwrap_or_default().to_owned()
}

/// `text`, cut where it would no longer be one short line.
pub(super) fn short(text: &str) -> String {
    const MOST: usize = 120;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_written_as_people_write_them() {
        let cases =
            [(10_000, "10 s"), (2_500, "2.5 s"), (150, "150 ms"), (14 * 86_400_000, "14 days"), (1_001, "1.001 s")];
        for (millis, words) in cases {
            assert_eq!(duration(Duration::from_millis(millis)), words);
        }
        for (bytes, words) in [(1 << 20, "1 MiB"), (512 << 10, "512 KiB"), (1500, "1500 bytes"), (1, "1 byte")] {
            assert_eq!(size(bytes), words);
        }
        assert_eq!(date(UtcTime::EPOCH), "1970-01-01");
        assert_eq!(short(&"é".repeat(200)).chars().count(), 121);
    }
}
