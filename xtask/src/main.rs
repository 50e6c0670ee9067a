//! Chores of the project, run as `cargo xtask CHORE`.
//!
//! `bless` writes the files that follow from the declarations in the source; `bless --check` says whether they still do. `pictures` makes those of the
//! README, and the spans in its text: it records an example and has the program draw it.

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
    let report = Command::new(&program).args(["report", "training.baro"]).current_dir(&folder).output()?;
    let readme = root.join("README.md");
    let text = fs::read_to_string(&readme).with_context(|| readme.display().to_string())?;
    fs::write(&readme, with_spans(&text, &String::from_utf8(report.stdout)?)?)?;
    fs::remove_dir_all(&folder)?;
    Ok(ExitCode::SUCCESS)
}

/// The README with the bars and the table of spans as this report has them.
fn with_spans(readme: &str, report: &str) -> anyhow::Result<String> {
    let lines: Vec<&str> = report.lines().collect();
    let part = |begin: &dyn Fn(&str) -> bool| -> anyhow::Result<String> {
        let first = lines.iter().position(|line| begin(line)).context("a report without spans")?;
        Ok(lines[first..].iter().take_while(|line| !line.is_empty()).map(|line| format!("{line}\n")).collect())
    };
    // The bars stand below the axis of the curves.
    let bars = part(&|line| line.starts_with("      ") && line.contains(" ───"))?;
    let table = part(&|line| line.starts_with("  SPANS "))?;
    let inside = readme.find("\n  SPANS ").context("a README without spans")?;
    let begin = readme[..inside].rfind("```\n").context("spans outside of a block")? + 4;
    let end = inside + readme[inside..].find("\n```").context("a block without an end")? + 1;
    Ok(format!("{}{bars}\n{table}{}", &readme[..begin], &readme[end..]))
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

#[cfg(test)]
mod tests {
    #[test]
    fn spans_in_the_readme_are_those_of_the_report() {
        let readme = "before\n```\nother\n```\nthen\n```\nold bars\n\n  SPANS old\n  old\n```\nafter\n```\nlast\n```\n";
        let report =
            "  TITLE ───\n\n  OVER TIME\n  CPU  ▁▂\n          07:38 ─── 2 s ───\n  load ━━\n\n  PID\n\n  SPANS COUNT\n  load      1\n\n  MARKS\n";
        let expected = "          07:38 ─── 2 s ───\n  load ━━\n\n  SPANS COUNT\n  load      1\n";
        let told = super::with_spans(readme, report).unwrap();
        assert_eq!(told, readme.replace("old bars\n\n  SPANS old\n  old\n", expected));
        assert_eq!(super::with_spans(&told, report).unwrap(), told);
        assert!(super::with_spans(readme, "  TITLE\n").is_err() && super::with_spans("nothing", report).is_err());
    }
}
