//! How the program is linked.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let target = std::env::var("CARGO_CFG_TARGET_OS").unwrap_or_default();
    if target == "linux" {
        // At a fixed address: 27,000 pointers need not be moved at every start, nor the pages that hold them be copied.
        println!("cargo::rustc-link-arg-bins=-no-pie");
        if std::env::var("CARGO_CFG_TARGET_ENV").is_ok_and(|environment| environment == "gnu") {
            // What unwinds the stack becomes part of the program: a library less for the loader to open, map and relocate at every start.
            println!("cargo::rustc-link-lib=static:-bundle=gcc_eh");
        }
    }
}
