//! The barograph program.

use std::ffi::{c_char, c_int};
use std::process::ExitCode;

/// A recorder whose first stack, C library or allocator finds no memory still sees its job to the end. Before libraries begin, as one of them may be an
/// allocator by LD_PRELOAD that gives up.
#[allow(unsafe_code, reason = "it must be called by the loader, before Rust's runtime begins; it needs none")]
#[used]
#[cfg_attr(target_env = "gnu", unsafe(link_section = ".preinit_array"))]
#[cfg_attr(not(target_env = "gnu"), unsafe(link_section = ".init_array"))]
static STAND_BY: extern "C" fn(c_int, *const *const c_char, *const *const c_char) = barograph_record::stand_by;

fn main() -> ExitCode {
    barograph_cli::main()
}
