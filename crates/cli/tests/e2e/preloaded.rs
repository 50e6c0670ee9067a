//! With a library by LD_PRELOAD, such as an allocator of somebody else's.
#![allow(clippy::print_stderr, reason = "a test that was left out says so")]

use std::fs;
use std::path::{Path, PathBuf};

use crate::failures::with_memory;
use crate::harness::{BAROGRAPH, Place, ended, finish, rows, text};

/// Compiles a library that does this when it begins, in whatever program.
fn library(place: &Place, code: &str) -> PathBuf {
    let (source, library) = (place.path("library.c"), place.path("library.so"));
    fs::write(&source, format!("#define _GNU_SOURCE\n#include <errno.h>\n#include <stdlib.h>\n#include <string.h>\n{code}")).unwrap();
    let mut compiler = place.command("cc");
    compiler.args(["-shared", "-fPIC", "-o"]).args([&library, &source]);
    let compiled = finish(compiler);
    assert!(compiled.status.success(), "{}", text(&compiled.stderr));
    library
}

/// Allocators where Debian has them.
fn allocators() -> Vec<PathBuf> {
    let folders = fs::read_dir("/usr/lib").into_iter().flatten().flatten().map(|entry| entry.path()).chain([PathBuf::from("/usr/lib")]);
    let places = folders.flat_map(|folder| ["libjemalloc.so.2", "libtcmalloc_minimal.so.4", "libmimalloc.so.2"].map(|name| folder.join(name)));
    places.filter(|path| path.exists()).collect()
}

#[test]
fn one_that_gives_up_before_our_begin_does_not_keep_the_job_from_running() {
    let place = Place::new();
    // As tcmalloc does without memory, and only in our program: the job has the library too.
    let code = "__attribute__((constructor)) static void give_up(void) { if (!strcmp(program_invocation_short_name, \"barograph\")) abort(); }";
    let library = library(&place, code);
    let job = "echo \"$LD_PRELOAD $0 $1\"; exit 5";
    for (options, word) in [(&["-q"][..], "a"), (&["-i", "20ms", "-o", "run"], "--")] {
        let mut command = place.command(BAROGRAPH);
        command.arg("run").args(options).args(["--", "sh", "-c", job, "zero", word]).env("LD_PRELOAD", &library);
        let output = finish(command);
        let said = text(&output.stderr);
        assert_eq!((output.status.code(), text(&output.stdout)), (Some(5), format!("{} zero {word}\n", library.display())), "{said}");
        assert!(said.contains("nothing was recorded"), "{said}");
    }
    // Nobody but `run` becomes a command.
    let mut command = place.command(BAROGRAPH);
    command.args(["report", "--", "true"]).env("LD_PRELOAD", &library);
    assert_eq!(finish(command).status.code(), None);
}

#[test]
fn with_another_allocator_it_records_as_ever() {
    let found = allocators();
    if found.is_empty() {
        eprintln!("left out: there is no allocator but the C library's");
    }
    let record = |allocator: &Path| {
        let place = Place::new();
        let mut command = place.run_command(&["-i", "20ms", "-w", "50ms"], &["sh", "-c", "echo \"$LD_PRELOAD\"; sleep 0.3; exit 5"]);
        command.env("LD_PRELOAD", allocator);
        let output = finish(command);
        assert_eq!((output.status.code(), text(&output.stdout)), (Some(5), format!("{}\n", allocator.display())), "{output:?}");
        assert!(output.stderr.is_empty(), "{output:?}");
        assert!(rows(&ended(&place.path("run.baro")), "job").unwrap().len() > 2);
        // From where it finds no memory to where it has enough, with the same rules as without it.
        let ran = (30_000..100_000).step_by(3_500).filter_map(|kibibytes| with_memory(kibibytes, allocator.to_str().unwrap()));
        assert!(ran.count() > 3);
    };
    found.iter().for_each(|allocator| record(allocator));
}
