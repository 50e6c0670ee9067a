//! Chores of the project, run as `cargo xtask CHORE`.
//!
//! `bless` writes the files that follow from the declarations in the source; `bless --check` says whether they still do. `pictures` makes those of the
//! README: it records an example and has the program draw it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, bail};
use barograph_model::{markdown, schema_text};

fn main() -> anyhow::Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["bless"] => bless(),
        ["bless", "--check"] => check(),
        ["pictures"] => pictures(),
        _ => bail!("usage: cargo xtask bless [--check] | pictures"),
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}

/// The files that are made from the declarations, and what belongs in them.
fn made() -> Vec<(PathBuf, String)> {
    let (tables, root) = (barograph_sources::tables(), root());
    vec![(root.join("schema.txt"), schema_text(&tables)), (root.join("docs/metrics.md"), markdown(&tables))]
}

/// Needs chromium and tmux beside what the build needs.
fn pictures() -> anyhow::Result<ExitCode> {
    let (root, target) = (root(), std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from));
    run(Command::new("cargo").args(["build", "--release", "--locked", "-p", "barograph-cli"]).current_dir(root))?;
    let program = target.join("release/barograph");
    let folder = std::env::temp_dir().join(format!("barograph-pictures-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let job = root.join("examples/jobs/training.py");
    fs::copy(&job, folder.join("training.py")).with_context(|| job.display().to_string())?;
    run(Command::new(&program).args(["run", "-q", "-i", "100ms", "-o", "training.baro", "--", "python3", "training.py"]).current_dir(&folder))?;
    let pictures = root.join("docs/pictures");
    fs::create_dir_all(&pictures)?;
    run(Command::new("node")
        .arg(root.join("tests/browser/pictures.mjs"))
        .args([&folder.join("training.baro"), &pictures])
        .env("BAROGRAPH", &program))?;
    fs::remove_dir_all(&folder)?;
    Ok(ExitCode::SUCCESS)
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let status = command.status().with_context(|| format!("{command:?}"))?;
    if status.success() { Ok(()) } else { bail!("{command:?}: {status}") }
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
