//! Chores of the project, run as `cargo xtask CHORE`.
//!
//! `bless` writes the files that follow from the declarations in the source; `bless --check` says whether they still do.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use barograph_model::{markdown, schema_text};

fn main() -> anyhow::Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["bless"] => bless(),
        ["bless", "--check"] => check(),
        _ => bail!("usage: cargo xtask bless [--check]"),
    }
}

/// The files that are made from the declarations, and what belongs in them.
fn made() -> Vec<(PathBuf, String)> {
    let tables = barograph_sources::tables();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."));
    vec![(root.join("schema.txt"), schema_text(&tables)), (root.join("docs/metrics.md"), markdown(&tables))]
}

fn bless() -> anyhow::Result<ExitCode> {
    for (path, text) in made() {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(&path, text).with_context(|| path.display().to_string())?;
    }
    Ok(ExitCode::SUCCESS)
}

fn check() -> anyhow::Result<ExitCode> {
    for (path, text) in made() {
        let there = fs::read_to_string(&path).unwrap_or_default();
        if there != text {
            bail!("{} is stale; `cargo xtask bless` writes it anew", path.display());
        }
    }
    Ok(ExitCode::SUCCESS)
}
