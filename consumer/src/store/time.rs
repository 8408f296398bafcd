//! Moments as PostgreSQL takes them in binary form.

use std::error::Error;

use isitup_shared::time::UtcTime;
use postgres::types::private::BytesMut;
use postgres::types::{IsNull, ToSql, Type, to_sql_checked};

/// Microseconds from 1970 to 2000, where PostgreSQL counts from.
const EPOCH_SHIFT: i64 = 946_684_800_000_000;

/// A moment, written straight as PostgreSQL's own number: `jiff`'s calendar arithmetic costs too much on a path of
/// four moments a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PgTime(pub UtcTime);

impl ToSql for PgTime {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        let micros = self.0.as_micros().saturating_sub(EPOCH_SHIFT);
        out.extend_from_slice(&micros.to_be_bytes());
        Ok(IsNull::No)
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::TIMESTAMPTZ
    }

    to_sql_checked!();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_written_as_the_driver_itself_writes_it() {
        for text in ["2026-11-21T02:26:08.123456Z", "1999-12-31T23:59:59.999999Z", "2000-01-01T00:00:00Z"] {
            let time: UtcTime = text.parse().unwrap();
            let (mut ours, mut theirs) = (BytesMut::new(), BytesMut::new());
            PgTime(time).to_sql(&Type::TIMESTAMPTZ, &mut ours).unwrap();
            jiff::Timestamp::from(time).to_sql(&Type::TIMESTAMPTZ, &mut theirs).unwrap();
            assert_eq!(ours, theirs, "{text}");
        }
    }
}
