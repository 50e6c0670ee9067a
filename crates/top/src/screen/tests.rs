//! Whole screens of a recording of which all is known, to the letter.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

use barograph_model::{Batch, EventRow, Events, Moment, Rows, Sink, SpanEdges};
use barograph_sources::{Disk, Job, Memory, Own, Pressure, Process, Processes};
use barograph_store::{Clock, Durability, End, Exit, Facts, Host, Limits, Options, Recording};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use jiff::tz::TimeZone;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier};

use super::{Layout, Screen};
use crate::app::{App, Shown};
use crate::look::Look;
use crate::reader::Reader;
use crate::scene::Scene;

const S: i64 = 1_000_000_000;

/// 2026-11-20 10:20:00 in Berlin.
const BEGIN: i64 = 1_795_166_400 * S;

const MIB: u64 = 1 << 20;

fn at(seconds: f64) -> Moment {
    let nanos = (seconds * 1e9) as i64;
    Moment { utc_nanos: BEGIN + nanos, monotonic_nanos: 5000 * S + nanos }
}

fn facts() -> Facts {
    Facts {
        command: Some(["python3", "train.py", "--name", "a\x1b[31mb"].map(str::to_owned).to_vec()),
        host: Host { name: "build-7".to_owned(), cores: 8, memory_bytes: 32 << 30, ticks_per_second: 100, ..Host::default() },
        limits: Limits { memory_bytes: Some(4 << 30), cores: Some(2.5), origin: "/job".to_owned(), ..Limits::default() },
        clock: Clock { utc_nanos: BEGIN, monotonic_nanos: 5000 * S, zone: "Europe/Berlin".to_owned() },
        interval_seconds: 1.0,
        ..Facts::default()
    }
}

/// A job of a minute: from 0:10 on with two workers, of which one is killed at 0:50; nothing is known of the time from 0:30 to 0:36.
fn recorded(folder: &Path) -> PathBuf {
    let path = folder.join("run.baro");
    let mut recording = Recording::create(&path, facts(), Options::default()).unwrap();
    let (mut job, mut process, mut memory) = (Rows::<Job>::new(), Rows::<Process>::new(), Rows::<Memory>::new());
    let (mut disk, mut own, mut pressure) = (Rows::<Disk>::new(), Rows::<Own>::new(), Rows::<Pressure>::new());
    for second in (0..=60_u64).filter(|second| !(31..36).contains(second)) {
        let (time, moment) = (second as f64, at(second as f64));
        let busy = second.saturating_sub(10) as f64 * 1.75 + second.min(10) as f64 * 0.5;
        let has_workers = (10..50).contains(&second);
        job.row(moment)
            .set(Job::processes, if has_workers { 3 } else { 1 })
            .set(Job::threads, if has_workers { 12 } else { 4 })
            .set(Job::user, busy)
            .set(Job::system, 0.0)
            .set(Job::resident, if second < 50 { 200 + second * 64 } else { 900 } * MIB);
        let mut row = |pid: u64, began: u64, cores: f64, mib: u64, threads: u64| {
            process
                .row(moment)
                .set(Process::pid, pid)
                .set(Process::start_ticks, 500_000 + began * 100)
                .text(Process::state, if cores > 0.1 { b"R".as_slice() } else { b"S" })
                .set(Process::threads, threads)
                .set(Process::user, (second - began) as f64 * cores)
                .set(Process::system, 0.0)
                .set(Process::resident, mib * MIB)
                .set(Process::read, second * MIB)
                .set(Process::written, 0)
                .set(Process::run_delay, time * 0.02);
        };
        row(4001, 0, 0.5, 210, 4);
        if has_workers {
            row(4002, 10, 1.25, second * 60, 7);
            row(4003, 10, 0.0, 3, 1);
        }
        memory
            .row(moment)
            .set(Memory::total, 32 << 30)
            .set(Memory::available, 20 << 30)
            .set(Memory::swap_total, 2 << 30)
            .set(Memory::swap_free, (2 << 30) - second * MIB);
        disk.row(moment).text(Disk::device, b"sda".as_slice()).set(Disk::counted, 1).set(Disk::read, 0).set(Disk::written, (second / 20) * 300 * MIB);
        pressure.row(moment).set(Pressure::cpu_some, time * 0.12).set(Pressure::io_some, 0.0);
        own.row(moment).set(Own::ticks, second).set(Own::suspended, 0.0);
    }
    let mut identities = Rows::<Processes>::new();
    let mut who = |seconds: f64, pid: u64, began: u64, parent: u64, change: &str, name: &str, command: &str, signal: Option<u64>| {
        identities
            .row(at(seconds))
            .set(Processes::pid, pid)
            .set(Processes::start_ticks, 500_000 + began * 100)
            .text(Processes::change, change.as_bytes())
            .set(Processes::parent_pid, parent)
            .text(Processes::name, name.as_bytes())
            .text(Processes::command_line, command.as_bytes())
            .text(Processes::user, b"ada".as_slice())
            .text(Processes::cgroup, b"/job".as_slice())
            .set(Processes::exit_signal, signal);
    };
    let worker = "/opt/worker --shard 1 --input /data/a/very/long/path/to/the/input/file.parquet";
    who(0.0, 4001, 0, 1, "seen", "python3", "/usr/bin/python3 train.py", None);
    who(10.0, 4002, 10, 4001, "seen", "worker", worker, None);
    who(10.0, 4003, 10, 4002, "seen", "ev\x1b[2Jil", "", None);
    who(50.0, 4002, 10, 4001, "exited", "worker", worker, Some(9));
    let mut edges = Rows::<SpanEdges>::new();
    let mut edge = |seconds: f64, edge: &str, span: &str, parent: Option<&str>, name: &str| {
        edges
            .row(at(seconds))
            .text(SpanEdges::edge, edge.as_bytes())
            .text(SpanEdges::span, span.as_bytes())
            .text(SpanEdges::parent, parent.map(str::as_bytes))
            .text(SpanEdges::name, if edge == "begin" { Some(name.as_bytes()) } else { None })
            .text(SpanEdges::status, if edge == "end" { Some(name.as_bytes()) } else { None });
    };
    edge(0.5, "begin", "1", None, "load");
    edge(10.0, "end", "1", None, "ok");
    edge(10.0, "begin", "2", None, "epoch 1");
    edge(12.0, "begin", "3", Some("2"), "evaluate");
    edge(20.0, "end", "3", None, "error");
    edge(28.0, "end", "2", None, "ok");
    edge(28.0, "begin", "4", None, "epoch 2");
    let mut events = Rows::<Events>::new();
    for (seconds, name, detail) in [(0.0, "started", None), (22.0, "checkpoint", Some("loss 0.3")), (50.5, "killed\x07", Some("worker"))] {
        events.add(EventRow { at: at(seconds), by: "program", name: Some(name), detail, ..EventRow::default() });
    }
    let batches: [&Batch; 9] = [&job, &process, &memory, &disk, &pressure, &own, &identities, &edges, &events];
    for batch in batches {
        recording.take(batch).unwrap();
    }
    let ended = at(60.2);
    let end = End {
        utc_nanos: ended.utc_nanos,
        monotonic_nanos: ended.monotonic_nanos,
        reason: "exited".to_owned(),
        exit: Some(Exit { code: Some(1), signal: None }),
        ..End::default()
    };
    recording.finish(end, Durability::Crash).unwrap();
    path
}

/// Presses keys on a screen of this size, drawing after each, and returns what is there in the end.
fn screen(keys: &str, width: u16, height: u16, colours: bool) -> Buffer {
    let folder = tempfile::tempdir().unwrap();
    screen_of(&recorded(folder.path()), keys, width, height, colours)
}

fn screen_of(path: &Path, keys: &str, width: u16, height: u16, colours: bool) -> Buffer {
    let mut reader = Reader::open(path).unwrap();
    let mut app = App::new(reader.times());
    let mut shown = Shown::default();
    let mut scene = Scene::default();
    let zone = TimeZone::get("Europe/Berlin").unwrap();
    let understand = |words: &str, (begin, _): (i64, i64)| words.parse::<i64>().map(|seconds| begin + seconds * S).map_err(|_| "no time".to_owned());
    let mut buffer = Buffer::empty(Rect::new(0, 0, width, height));
    for char in std::iter::once(None).chain(keys.chars().map(Some)) {
        if let Some(char) = char {
            let code = match char {
                '\n' => KeyCode::Enter,
                '↓' => KeyCode::Down,
                char => KeyCode::Char(char),
            };
            app.press(KeyEvent::new(code, KeyModifiers::NONE), reader.times(), &shown, &understand);
        }
        let layout = Layout::of(width, height, reader.wanted()).unwrap();
        scene = reader.scene(&app, &layout, scene.window).unwrap();
        let identity = |line: &crate::table::Line| (scene.processes[line.place].pid, scene.processes[line.place].start_ticks);
        shown = Shown { processes: scene.lines.iter().map(identity).collect(), rows: layout.table, window: scene.window.length() };
        app.keep_in_sight(&shown);
        buffer.reset();
        Screen { app: &app, scene: &scene, layout: &layout, look: Look { colours }, zone: &zone }.draw(&mut buffer);
    }
    buffer
}

fn text(buffer: &Buffer) -> String {
    let width = usize::from(buffer.area.width);
    buffer.content.chunks(width).map(|row| row.iter().map(|cell| cell.symbol()).collect::<String>().trim_end().to_owned() + "\n").collect()
}

/// Compares with what is kept. With BLESS=1 in the environment, keeps what is there now.
fn golden(name: &str, found: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/screen/golden").join(name);
    if std::env::var_os("BLESS").is_some() {
        fs::write(&path, found).unwrap();
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == found, "{name} should be\n{kept}\nand is\n{found}");
}

#[test]
fn a_moment_in_the_middle() {
    for (width, height) in [(80, 24), (120, 40), (40, 10)] {
        golden(&format!("middle-{width}x{height}.txt"), &text(&screen("b25\nv", width, height, false)));
    }
}

#[test]
fn spans_that_are_not_drawn_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("many.baro");
    let mut recording = Recording::create(&path, facts(), Options::default()).unwrap().unsynced();
    let (mut own, mut edges) = (Rows::<Own>::new(), Rows::<SpanEdges>::new());
    for second in 0..=60_u64 {
        own.row(at(second as f64)).set(Own::ticks, second).set(Own::suspended, 0.0);
    }
    for span in 0..20_003 {
        let (begin, id) = (f64::from(span) * 0.002, span.to_string());
        for (seconds, edge) in [(begin, "begin"), (begin + 0.001, "end")] {
            let name = (edge == "begin").then_some(b"batch".as_slice());
            edges.row(at(seconds)).text(SpanEdges::edge, edge.as_bytes()).text(SpanEdges::span, id.as_bytes()).text(SpanEdges::name, name);
        }
    }
    recording.take(&own).unwrap();
    recording.take(&edges).unwrap();
    let ended = at(60.2);
    let end = End { utc_nanos: ended.utc_nanos, monotonic_nanos: ended.monotonic_nanos, reason: "exited".to_owned(), ..End::default() };
    recording.finish(end, Durability::Crash).unwrap();
    let shown = text(&screen_of(&path, "", 80, 24, false));
    let head = shown.lines().nth(1).unwrap();
    assert!(head.starts_with("first 20") && head.contains("003 spans"), "{head}");
    assert!(!text(&screen("", 80, 24, false)).contains("spans ·"));
}

#[test]
fn the_life_of_a_worker_that_was_killed() {
    for (width, height) in [(80, 24), (120, 40)] {
        golden(&format!("life-{width}x{height}.txt"), &text(&screen("b45\nP↓\n", width, height, false)));
    }
}

#[test]
fn who_has_ended_is_not_there_any_more() {
    let processes =
        |second: &str| text(&screen(&format!("b{second}\nN"), 120, 40, false)).lines().filter(|line| line.contains("worker --shard")).count();
    assert_eq!([processes("49"), processes("51")], [1, 0]);
}

#[test]
fn what_is_typed_what_is_wrong_and_what_helps() {
    golden("help-80x24.txt", &text(&screen("?", 80, 24, false)));
    golden("zoomed-80x24.txt", &text(&screen("b40\nwww/wor", 80, 24, false)));
    let wrong = text(&screen("bnever\n", 80, 24, false));
    assert!(wrong.ends_with("no time\n"), "{wrong}");
}

#[test]
fn strangers_words_are_harmless() {
    for keys in ["b25\n", "b25\n/ev\n↓\n", "G"] {
        let shown = text(&screen(keys, 160, 50, true));
        assert!(!shown.chars().any(|char| char.is_control() && char != '\n'), "{shown:?}");
        assert!(shown.contains("a\\x1b[31mb"), "{shown}");
    }
}

#[test]
fn colours_are_there_only_where_they_are_wanted_and_red_is_kept_for_what_is_wrong() {
    let plain = screen("b25\n", 120, 40, false);
    assert!(plain.content.iter().all(|cell| (cell.fg, cell.bg) == (Color::Reset, Color::Reset)));
    let coloured = screen("b25\n", 120, 40, true);
    assert_eq!(text(&plain), text(&coloured), "colours change nothing else");
    let of = |colour: Color| coloured.content.iter().filter(|cell| cell.fg == colour).map(|cell| cell.symbol()).collect::<String>();
    assert!(of(Color::Red).replace(' ', "").contains("exit1") && of(Color::Red).contains("evaluat"), "{:?}", of(Color::Red));
    assert!(of(Color::Green).contains('▂'), "{:?}", of(Color::Green));
    assert!(coloured.content.iter().all(|cell| cell.bg == Color::Reset), "the terminal's own background");
    assert!(coloured.content.iter().any(|cell| cell.modifier.contains(Modifier::BOLD)));
}

#[test]
fn no_size_is_too_odd() {
    for (width, height) in [(24, 5), (25, 80), (400, 6), (61, 17), (99, 23), (300, 100)] {
        for keys in ["b25\n", "b25\nv↓\n", "?", "b"] {
            screen(keys, width, height, true);
        }
    }
}
