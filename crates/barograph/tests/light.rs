//! What the library brings along: nothing heavy that was not asked for.
#![allow(clippy::unwrap_used, reason = "a test that can't go on should say where")]

use std::collections::BTreeSet;
use std::process::Command;

/// The crates that a program gets with the library, the library itself left out.
fn crates(options: &[&str]) -> BTreeSet<String> {
    let mut tree = Command::new(env!("CARGO"));
    tree.args(["tree", "--package", "barograph", "--edges", "normal", "--prefix", "none", "--format", "{p}", "--offline", "--locked"]).args(options);
    let output = tree.current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    text.lines().filter_map(|line| line.split(' ').next()).filter(|name| !name.is_empty() && *name != "barograph").map(str::to_owned).collect()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().copied().map(str::to_owned).collect()
}

#[test]
fn the_client_alone_is_light() {
    let client = set(&["barograph-beacon", "bitflags", "linux-raw-sys", "rustix"]);
    assert_eq!(crates(&["--no-default-features"]), client);
    let compiling = set(&["barograph-macros", "proc-macro2", "quote", "syn", "unicode-ident"]);
    assert_eq!(crates(&[]), client.union(&compiling).cloned().collect());
    let tracing = crates(&["--no-default-features", "--features", "tracing"]);
    assert!(tracing.contains("tracing-subscriber") && tracing.len() < 16, "{tracing:?}");
    let record = crates(&["--features", "record"]);
    assert!(record.contains("parquet"));
    assert!(record.iter().all(|name| !["tokio", "clap", "tracing-subscriber"].contains(&name.as_str())), "{record:?}");
}
