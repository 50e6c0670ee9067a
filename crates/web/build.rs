//! Has the page built by npm from its lock file, so that the program carries it. Nothing of it is kept in the repository.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::fs::{FlockOperation, flock};

/// What the page is made of, beside the packages that the lock file names.
const SOURCES: [&str; 5] = ["src", "build.mjs", "package.json", "package-lock.json", "tsconfig.json"];

fn main() {
    let page = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo says where the crate is")).join("page");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo says where to put things")).join("page");
    for source in SOURCES {
        println!("cargo::rerun-if-changed={}", page.join(source).display());
    }
    // Builds of several profiles share the packages.
    let lock = File::open(page.join("package-lock.json")).expect("the lock file of the page");
    flock(&lock, FlockOperation::LockExclusive).expect("nobody else installs packages");
    if !is_installed(&page) {
        run(&page, "npm", &["ci", "--no-audit", "--no-fund", "--loglevel=error"]);
        fs::copy(page.join("package-lock.json"), page.join(INSTALLED)).expect("a folder of packages");
    }
    run(&page, "node", &["build.mjs", out.to_str().expect("a path in UTF-8")]);
}

/// A copy of the lock file that the installed packages follow.
const INSTALLED: &str = "node_modules/.installed";

fn is_installed(page: &Path) -> bool {
    let read = |name: &str| fs::read(page.join(name)).ok();
    read(INSTALLED).is_some_and(|installed| Some(installed) == read("package-lock.json"))
}

fn run(page: &Path, program: &str, arguments: &[&str]) {
    let line = format!("{program} {}", arguments.join(" "));
    match Command::new(program).args(arguments).current_dir(page).status() {
        Ok(status) if status.success() => {}
        Ok(status) => panic!("`{line}` in {} failed: {status}", page.display()),
        Err(error) => panic!(
            "`{line}` could not be started ({error}). The page of `barograph view` is built by Node.js and npm: install them (Debian: apt install nodejs npm), \
             or build without it: cargo build -p barograph-cli --no-default-features"
        ),
    }
}
