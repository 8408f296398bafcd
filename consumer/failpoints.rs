//! The consumer's program for tests, which dies or stands still where the environment says: see `isitup_shared::crash`.

use std::process::ExitCode;

fn main() -> ExitCode {
    isitup_shared::crash::arm();
    isitup_consumer::main()
}
