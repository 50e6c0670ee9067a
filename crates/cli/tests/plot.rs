//! `barograph plot` as a program, on recordings of which every number is known.

#![cfg(feature = "plot")]
#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

#[allow(dead_code, reason = "each test program uses a part of it")]
mod sample;

use std::fs;
use std::path::Path;

use sample::{barograph, complained, said};

fn golden(name: &str, found: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("BLESS").is_some() {
        fs::write(&path, found).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert!(expected == found, "{} is not what is drawn now; look at both, and BLESS=1 writes it anew", path.display());
}

#[test]
fn a_recording_is_a_figure_in_every_format_and_the_same_each_time() {
    let folder = tempfile::tempdir().unwrap();
    sample::write_said(folder.path());
    for (name, begins) in [("f.svg", b"<svg".as_slice()), ("f.png", b"\x89PNG"), ("f.pdf", b"%PDF")] {
        let draw = |file: &str| {
            said(folder.path(), &["plot", "said.baro", "-o", file]);
            fs::read(folder.path().join(file)).unwrap()
        };
        let (first, second) = (draw(name), draw(&format!("again-{name}")));
        assert!(first == second && first.starts_with(begins), "{name}");
    }
    let svg = said(folder.path(), &["plot", "said.baro", "-o", "-", "--format", "svg"]);
    assert_eq!(svg, fs::read_to_string(folder.path().join("f.svg")).unwrap());
    golden("plot.svg", &svg);
    assert!(
        fs::read_dir(folder.path()).unwrap().all(|entry| !entry.unwrap().file_name().to_string_lossy().starts_with('.')),
        "nothing half done is left"
    );
}

#[test]
fn what_is_drawn_is_what_was_recorded() {
    let folder = tempfile::tempdir().unwrap();
    sample::write(folder.path());
    let draw = |options: &[&str]| said(folder.path(), &[&["plot", "train.baro", "-o", "-", "--format", "svg"], options].concat());
    // Of the process 4001: half a core all the time; of 4002, nine tenths from 60 to 180 s.
    let cpu = draw(&["--panel", "cpu-by-process"]);
    assert!(cpu.contains(">0.50<") && cpu.contains(">0.90<") && cpu.contains("limit of the job 2.5 cores"), "{cpu}");
    assert!(!cpu.contains(">Memory"), "nothing but what was asked for");
    // The machine slept from 100 to 125 s: that is hatched, and not drawn.
    let metric = draw(&["--metric", "memory.available_bytes", "--from", "+30s", "--to", "+60s", "--title", "A & B", "--tz", "Europe/Berlin"]);
    assert!(metric.contains(">A &amp; B<") && metric.contains("10:20:40") && metric.contains("Europe/Berlin (+01:00)"), "{metric}");
    assert!(metric.contains(">29.8 GiB<") && !metric.contains("10:21:40"), "the peak is that of the window: {metric}");
}

#[test]
fn runs_lie_over_each_other() {
    let folder = tempfile::tempdir().unwrap();
    sample::write(folder.path());
    sample::write_said(folder.path());
    let svg = said(folder.path(), &["plot", "train.baro", "said.baro", "-o", "-", "--format", "svg"]);
    assert!(svg.contains(">train<") && svg.contains(">said<") && svg.contains("2 runs, aligned by their starts"));
    assert!(complained(folder.path(), &["plot", "train.baro", "said.baro", "-o", "x.svg", "--clock"]).contains("--clock is for one"));
}

#[test]
fn a_terminal_has_letters_and_no_colours_where_nobody_sees_them() {
    let folder = tempfile::tempdir().unwrap();
    sample::write_said(folder.path());
    let text = said(folder.path(), &["plot", "said.baro", "--terminal", "--width", "90"]);
    assert!(!text.contains('\x1b'));
    for line in text.lines() {
        assert!(barograph_view::text::columns(line) <= 90, "{line}");
    }
    golden("plot-90.txt", &text);
}

#[test]
fn short_recordings_are_drawn_and_empty_ones_say_so() {
    let folder = tempfile::tempdir().unwrap();
    sample::write_short(folder.path(), "one.baro", 1);
    sample::write_short(folder.path(), "two.baro", 2);
    sample::write_short(folder.path(), "none.baro", 0);
    let one = said(folder.path(), &["plot", "one.baro", "-o", "-", "--format", "svg", "--panel", "job-cpu,job-memory"]);
    assert!(one.contains("no values in this time"), "one reading makes no rate: {one}");
    said(folder.path(), &["plot", "two.baro", "-o", "two.pdf"]);
    assert!(complained(folder.path(), &["plot", "none.baro", "-o", "none.svg"]).contains("nothing in it to draw"));
    assert!(!folder.path().join("none.svg").exists());
}

#[test]
fn what_is_wrong_is_told_with_what_would_be_right() {
    let folder = tempfile::tempdir().unwrap();
    sample::write(folder.path());
    let wrong = |options: &[&str]| complained(folder.path(), &[&["plot", "train.baro"], options].concat());
    assert!(wrong(&["-o", "x.svg", "--panel", "memry"]).contains("memory"));
    assert!(wrong(&["-o", "x.svg", "--panel", "weather"]).contains("cpu-by-process"));
    assert!(wrong(&["-o", "x.svg", "--metric", "memory.availible_bytes"]).contains("do you mean memory.available_bytes"));
    assert!(wrong(&["-o", "x.gif"]).contains(".svg, .png or .pdf"));
    assert!(wrong(&["-o", "-"]).contains("--format"));
    assert!(wrong(&["-o", "x.svg", "--size", "12parsecs"]).contains("180mmx120mm"));
    assert!(wrong(&["-o", "x.svg", "--size", "30mmx10mm"]).contains("too small"));
    assert!(wrong(&["-o", "x.svg", "--size", "90mmx50mm", "--panel", "cpu,memory,disk,network,pressure"]).contains("there is room for"));
    let small = said(folder.path(), &["plot", "train.baro", "-o", "-", "--format", "svg", "--size", "90mmx50mm"]);
    assert!(small.contains(">CPU by process<") && !small.contains(">Network<"), "what nobody asked for gives way");
    assert!(wrong(&["-o", "x.svg", "--from", "+2h"]).contains("nothing in this time"));
    assert!(complained(folder.path(), &["plot", "gone.baro", "-o", "x.svg"]).contains("no such recording"));
    fs::write(folder.path().join("x.svg"), "mine").unwrap();
    assert!(wrong(&["-o", "x.svg"]).contains("--force"));
    assert_eq!(fs::read_to_string(folder.path().join("x.svg")).unwrap(), "mine");
    assert!(barograph(folder.path(), &["plot", "train.baro", "-o", "x.svg", "--force"]).status.success());
    let list = said(folder.path(), &["plot", "train.baro", "--list"]);
    assert!(list.contains("cpu-by-process") && list.contains("bytes per second"));
}
