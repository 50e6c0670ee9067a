//! What the documents point at is there: the files of their links, and the tests that docs/traps.md names.
#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// All files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// The documents of the project: those at its top, and all in `docs`.
fn documents() -> Vec<PathBuf> {
    let top = fs::read_dir(root()).unwrap().map(|entry| entry.unwrap().path());
    top.chain(files(&root().join("docs"))).filter(|path| path.extension().is_some_and(|ending| ending == "md")).collect()
}

#[test]
fn every_link_leads_to_a_file() {
    let mut links = 0;
    for document in documents() {
        let text = fs::read_to_string(&document).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link) {
            let path = link.split('#').next().unwrap();
            if path.is_empty() || path.contains("://") {
                continue;
            }
            links += 1;
            assert!(document.parent().unwrap().join(path).exists(), "{}: {link}", document.display());
        }
    }
    assert!(links > 50, "{links}");
}

/// The folders of a room's tests, as docs/traps.md calls it.
fn tests_of(room: &str) -> Vec<PathBuf> {
    let crates = root().join("crates");
    match room {
        "e2e" => vec![crates.join("cli/tests/e2e")],
        "live" | "machines" | "crowd" | "iterator" | "list" => vec![crates.join("sources/tests")],
        _ => ["src", "tests"].map(|folder| crates.join(room).join(folder)).into_iter().filter(|folder| folder.is_dir()).collect(),
    }
}

/// Whether there is such a test, whose name may end in `…`, or a file or folder of tests.
fn is_there(room: &str, name: &str) -> bool {
    let function = name.strip_suffix('…').map_or_else(|| format!("fn {name}("), |beginning| format!("fn {beginning}"));
    tests_of(room).iter().flat_map(|folder| files(folder)).any(|path| {
        let is_called_so = path.ends_with(name) || path.with_extension("").ends_with(name) || path.parent().unwrap().ends_with(name);
        let has_it = || path.extension().is_some_and(|ending| ending == "rs") && fs::read_to_string(&path).unwrap().contains(&function);
        is_called_so || name.contains('_') && has_it()
    })
}

#[test]
fn every_test_that_closes_a_trap_is_there() {
    let traps = fs::read_to_string(root().join("docs/traps.md")).unwrap();
    let (mut tests, mut missing) = (0, Vec::new());
    for tests_of_trap in traps.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").nth(2)) {
        for part in tests_of_trap.split(';') {
            // In front of what is quoted stands what it is: a machine, or in the quotes a room, for all that follow.
            let mut room = None;
            for (place, text) in part.split('`').enumerate() {
                if place % 2 == 0 {
                    room = if text.trim_end().ends_with("machine") || text.trim_end().ends_with("machines") { Some("machine") } else { room };
                    continue;
                }
                let name = text.split_once(": ").map_or(text, |(before, name)| {
                    room = Some(before);
                    name
                });
                let found = match room {
                    None => continue,
                    Some("machine") => root().join("fixtures/machines").join(name).is_dir(),
                    Some(room) => is_there(room, name),
                };
                tests += 1;
                missing.extend((!found).then(|| text.to_owned()));
            }
        }
    }
    assert_eq!(missing, [""; 0]);
    assert!(tests > 100, "{tests}");
}
