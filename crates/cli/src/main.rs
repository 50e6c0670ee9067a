//! The barograph program.

use std::process::ExitCode;

/// A recorder whose first stack, or whose C library, finds no memory still sees its job to the end.
#[allow(unsafe_code, reason = "it must be called by the loader, before Rust's runtime begins; it needs none")]
#[used]
#[unsafe(link_section = ".init_array")]
static STAND_BY: extern "C" fn() = barograph_record::stand_by;

fn main() -> ExitCode {
    barograph_cli::main()
}
