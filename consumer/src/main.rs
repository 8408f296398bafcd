//! The consumer's program; all of it is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    isitup_consumer::main()
}
