//! The barograph program.

use std::process::ExitCode;

fn main() -> ExitCode {
    barograph_cli::main()
}
