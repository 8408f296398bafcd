//! `isitup-dev`: see `isitup-dev --help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    isitup_dev::cli::main()
}
