//! Programs that use the library `barograph`: this very test program, started as a job that is told by a variable which part to play.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::thread;
use std::time::Duration;

use barograph::{gauge, mark, profile, record::Recorder, span, task};
use barograph_store::{Frame, SpanQuery, Timeline};
use tracing_subscriber::prelude::*;

use crate::harness::{Place, Ran, ended, finish, rows};

/// Which part the job plays.
const PART: &str = "BAROGRAPH_TEST_PART";

/// Plays a part, in a process that was started for it. Everywhere else this does nothing.
#[test]
fn part() {
    let Ok(part) = std::env::var(PART) else { return };
    match part.as_str() {
        "threads" => threads(),
        "tasks" => tasks(),
        "killed" => killed(),
        "recorder" => recorder(),
        _ => plain(),
    }
}

fn job(part: &str) -> (Place, Vec<String>) {
    let this = std::env::current_exe().unwrap().display().to_string();
    let command = ["env", &format!("{PART}={part}"), &this, "--exact", "library::part", "--nocapture", "--test-threads=1"];
    (Place::new(), command.map(str::to_owned).to_vec())
}

fn run(part: &str) -> (Place, Ran) {
    let (place, command) = job(part);
    let ran = place.run(&["-i", "20ms"], &command);
    (place, ran)
}

fn cpu_seconds() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn burn(seconds: f64) {
    let until = cpu_seconds() + seconds;
    while cpu_seconds() < until {
        black_box(0);
    }
}

/// A span, as its edges tell of it.
#[derive(Debug, Default)]
struct Seen {
    id: String,
    parent: Option<String>,
    name: String,
    attributes: String,
    said_at_end: String,
    begin_thread: Option<i64>,
    began: i64,
    ended: Option<i64>,
    status: Option<String>,
    detail: String,
    /// CPU time of its thread at both edges.
    cpu: [f64; 2],
}

impl Seen {
    fn cpu_seconds(&self) -> f64 {
        self.cpu[1] - self.cpu[0]
    }
}

fn text(frame: &Frame, column: &str, row: usize) -> String {
    frame.texts(column)[row].unwrap_or_default().to_owned()
}

/// All spans, by id. Each begins once and ends at most once.
fn spans(timeline: &Timeline) -> BTreeMap<String, Seen> {
    let edges = rows(timeline, "span_edges").unwrap();
    let mut spans: BTreeMap<String, Seen> = BTreeMap::new();
    for row in 0..edges.len() {
        let id = text(&edges, "span", row);
        let cpu = edges.floats("thread_cpu_seconds")[row].unwrap();
        if text(&edges, "edge", row) == "begin" {
            let seen = Seen {
                id: id.clone(),
                parent: edges.texts("parent")[row].map(str::to_owned),
                name: text(&edges, "name", row),
                attributes: text(&edges, "attributes", row),
                begin_thread: edges.ints("thread")[row],
                began: edges.monotonic()[row],
                cpu: [cpu, 0.0],
                ..Seen::default()
            };
            assert!(spans.insert(id.clone(), seen).is_none(), "{id} began twice");
        } else {
            let seen = spans.get_mut(&id).unwrap_or_else(|| panic!("{id} ended and never began"));
            assert!(seen.ended.is_none(), "{id} ended twice");
            seen.ended = Some(edges.monotonic()[row]);
            seen.status = Some(text(&edges, "status", row));
            seen.detail = text(&edges, "detail", row);
            seen.said_at_end = text(&edges, "attributes", row);
            seen.cpu[1] = cpu;
        }
    }
    spans
}

fn named<'a>(spans: &'a BTreeMap<String, Seen>, name: &str) -> Vec<&'a Seen> {
    let mut found: Vec<&Seen> = spans.values().filter(|span| span.name == name).collect();
    found.sort_by_key(|span| span.began);
    found
}

fn is_within(inner: &Seen, outer: &Seen) -> bool {
    inner.parent.as_deref() == Some(&outer.id) && inner.began >= outer.began && inner.ended.is_none() | (inner.ended <= outer.ended)
}

const WORKERS: usize = 4;
const DEPTH: u32 = 5;

#[tracing::instrument(fields(leaf = tracing::field::Empty))]
fn descend(worker: usize, depth: u32) {
    thread::yield_now();
    if depth == DEPTH {
        tracing::Span::current().record("leaf", true);
        tracing::debug!("not marked");
        tracing::warn!(worker, "at the bottom");
    } else {
        descend(worker, depth + 1);
    }
}

#[tracing::instrument(err)]
fn fail() -> Result<(), std::io::Error> {
    Err(std::io::Error::other("no such luck"))
}

fn threads() {
    tracing_subscriber::registry().with(barograph::tracing::layer()).init();
    // All say their first word at once, when none has looked for a recorder yet.
    let start = std::sync::Arc::new(std::sync::Barrier::new(WORKERS));
    let workers: Vec<_> = (0..WORKERS)
        .map(|worker| {
            let start = start.clone();
            thread::spawn(move || {
                start.wait();
                for round in 0..10 {
                    let _round = tracing::info_span!("round", worker, round).entered();
                    descend(worker, 1);
                    descend(worker, DEPTH);
                    // A span of our own is in that of `tracing`, and one of `tracing` in ours.
                    let own = span!("own", worker);
                    let inner = tracing::info_span!("inner");
                    drop(own);
                    drop(inner);
                    // Four threads that say nothing but words are a flood.
                    thread::sleep(Duration::from_millis(2));
                }
            })
        })
        .collect();
    workers.into_iter().for_each(|worker| worker.join().unwrap());
    assert!(fail().is_err());
}

#[test]
fn threads_and_recursion_under_tracing_are_never_confused() {
    let (_place, ran) = run("threads");
    let timeline = ran.timeline();
    let spans = spans(&timeline);
    let rounds = named(&spans, "round");
    assert_eq!(rounds.len(), WORKERS * 10);
    assert_eq!(rounds.iter().filter_map(|round| round.begin_thread).collect::<std::collections::BTreeSet<_>>().len(), WORKERS);
    for round in rounds {
        assert_eq!(round.parent, None);
        let children: Vec<&Seen> = spans.values().filter(|span| span.parent.as_deref() == Some(&round.id)).collect();
        let count = |name: &str| children.iter().filter(|child| child.name == name).count();
        assert_eq!((count("descend"), count("own"), children.len()), (2, 1, 3), "{round:?} has {children:#?}");
        assert!(children.iter().all(|child| is_within(child, round) && child.begin_thread == round.begin_thread));
        let own = children.iter().find(|child| child.name == "own").unwrap();
        assert!(spans.values().any(|span| span.name == "inner" && span.parent.as_deref() == Some(&own.id)));
        // One of the two goes all the way down.
        let worker = round.attributes.split("\"worker\":").nth(1).unwrap().split([',', '}']).next().unwrap();
        let mut deepest = 0;
        for first in children.iter().filter(|child| child.name == "descend") {
            let (mut span, mut steps) = (*first, 1);
            while let Some(next) = spans.values().find(|next| next.parent.as_deref() == Some(&span.id)) {
                assert!(next.attributes.contains(&format!("\"worker\":{worker},")), "{next:?} is within {span:?}");
                assert!(is_within(next, span) && next.begin_thread == span.begin_thread);
                (span, steps) = (next, steps + 1);
            }
            assert!(span.attributes.contains(&format!("\"depth\":{DEPTH}")) && span.said_at_end.contains("\"leaf\":true"), "{span:?}");
            deepest = deepest.max(steps);
        }
        assert_eq!(deepest, DEPTH);
    }
    // What was known only at the end is an attribute like those of the begin.
    let told = timeline.spans(&SpanQuery::default()).unwrap();
    assert_eq!(told.len(), spans.len());
    let leaves = told.iter().filter(|span| span.attributes.is_some_and(|said| said.contains("\"depth\":") && said.contains("\"leaf\":true")));
    assert_eq!(leaves.count(), WORKERS * 10 * 2);
    let failed = named(&spans, "fail");
    assert_eq!((failed.len(), failed[0].status.as_deref(), failed[0].detail.as_str()), (1, Some("error"), "no such luck"));
    assert!(spans.values().filter(|span| span.name != "fail").all(|span| span.status.as_deref() == Some("ok")));
    let events = rows(&timeline, "events").unwrap();
    let bottoms: Vec<usize> = (0..events.len()).filter(|row| text(&events, "name", *row) == "at the bottom").collect();
    assert_eq!(bottoms.len(), WORKERS * 10 * 2);
    assert!(text(&events, "attributes", bottoms[0]).contains("\"level\":\"WARN\""));
    assert!(!events.texts("name").contains(&Some("not marked")));
    assert!(timeline.facts().notices.iter().all(|notice| !notice.name.starts_with("beacon")), "{:?}", timeline.facts().notices);
}

#[profile(number, seconds)]
async fn fetch(number: u32, seconds: f64) -> Result<u32, String> {
    for _ in 0..5 {
        parse(number, seconds / 5.0).await;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    if number == 3 { Err(format!("{number} is not there")) } else { Ok(number) }
}

#[profile("parse", number)]
async fn parse(number: u32, seconds: f64) {
    burn(seconds);
    tokio::task::yield_now().await;
    inner(number);
}

#[profile]
fn inner(number: u32) -> u32 {
    black_box(number)
}

fn tasks() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();
    runtime.block_on(task!("all").run(async {
        let all = barograph::current();
        // What is spawned lies where it is said to lie, or nowhere.
        let tasks: Vec<_> =
            (0..6).map(|number| tokio::spawn(task!(parent: all, "spawned", number).run(fetch(number, 0.02 * f64::from(number))))).collect();
        let aborted = tokio::spawn(task!("aborted").run(tokio::time::sleep(Duration::from_secs(600))));
        for task in tasks {
            let _ = task.await.unwrap();
        }
        aborted.abort();
        let _ = aborted.await;
    }));
}

#[test]
fn a_call_of_an_asynchronous_function_is_one_span_and_costs_what_its_turns_cost() {
    let (_place, ran) = run("tasks");
    let timeline = ran.timeline();
    let spans = spans(&timeline);
    let (all, spawned) = (named(&spans, "all"), named(&spans, "spawned"));
    assert_eq!((all.len(), spawned.len(), named(&spans, "fetch").len()), (1, 6, 6));
    assert!(spawned.iter().all(|task| is_within(task, all[0])));
    for fetch in named(&spans, "fetch") {
        let number = fetch.attributes.split("\"number\":").nth(1).unwrap().split([',', '}']).next().unwrap();
        let outer = spawned.iter().find(|task| fetch.parent.as_deref() == Some(&task.id)).unwrap();
        assert!(outer.attributes.contains(&format!("\"number\":{number}")), "{fetch:?} is within {outer:?}");
        let parses: Vec<&Seen> = spans.values().filter(|span| span.parent.as_deref() == Some(&fetch.id)).collect();
        assert_eq!(parses.len(), 5);
        for parse in &parses {
            assert!(parse.name == "parse" && is_within(parse, fetch) && parse.attributes.contains(&format!("\"number\":{number}")), "{parse:?}");
            let inner: Vec<&Seen> = spans.values().filter(|span| span.parent.as_deref() == Some(&parse.id)).collect();
            assert!(inner.len() == 1 && inner[0].name == "inner", "{inner:?}");
        }
        // Others burned meanwhile, on the same threads: of this nothing is charged.
        let (number, of_parses) = (number.parse::<f64>().unwrap(), parses.iter().map(|parse| parse.cpu_seconds()).sum::<f64>());
        assert!(of_parses >= 0.02 * number && fetch.cpu_seconds() >= of_parses, "{fetch:?}");
        assert!(fetch.cpu_seconds() < 0.02 * number + 0.02, "{number}: {} s", fetch.cpu_seconds());
        let failed = fetch.status.as_deref() == Some("error");
        assert!(failed == (number == 3.0) && failed == (fetch.detail == "3 is not there"), "{fetch:?}");
    }
    let aborted = named(&spans, "aborted");
    assert!(aborted[0].status.as_deref() == Some("error") && aborted[0].detail.contains("cancelled"), "{aborted:?}");
}

fn killed() {
    let _outer = span!("outer");
    let _inner = span!("inner", why = "it is killed within");
    mark!("about to die");
    // What was said is in the recorder's socket by now.
    rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL).unwrap();
}

#[test]
fn a_span_of_a_killed_program_stays_open() {
    let (_place, ran) = run("killed");
    assert_eq!(ran.code(), 128 + 9);
    let timeline = ended(&ran.recording);
    let spans = spans(&timeline);
    let (outer, inner) = (named(&spans, "outer"), named(&spans, "inner"));
    assert!(outer.len() == 1 && inner.len() == 1 && is_within(inner[0], outer[0]));
    assert!(outer[0].ended.is_none() && inner[0].ended.is_none(), "{spans:#?}");
    assert!(rows(&timeline, "events").unwrap().texts("name").contains(&Some("about to die")));
}

fn plain() {
    let name = String::from("with \"quotes\",\nlines and \0");
    mark!(name, rows = 3_u64, share = 0.5, none = Option::<i32>::None, debug = ?[1, 2], shown = %"é".repeat(2), http.status = 404, "a b" = true,);
    for step in 0..3 {
        gauge!("loss", 1.0 / f64::from(step + 1));
    }
    let outer = span!("outer");
    let id = outer.id();
    thread::spawn(move || drop(span!(parent: id, "elsewhere"))).join().unwrap();
    let mut failing = span!("failing");
    failing.fail("on purpose");
    // Not in the order of their begins.
    drop(outer);
    drop(span!("within failing"));
    drop(failing);
    assert!(
        thread::spawn(|| {
            let _span = span!("panicking");
            panic!("on purpose");
        })
        .join()
        .is_err()
    );
    assert_eq!(barograph::current(), None);
}

#[test]
fn what_a_program_says_stands_in_its_recording() {
    let (_place, ran) = run("plain");
    let timeline = ran.timeline();
    let events = rows(&timeline, "events").unwrap();
    let row = (0..events.len()).find(|row| text(&events, "by", *row) == "program").unwrap();
    assert_eq!(text(&events, "name", row), "with \"quotes\",\nlines and \0");
    let expected = r#"{"rows":3,"share":0.5,"none":null,"debug":"[1, 2]","shown":"éé","http.status":404,"a b":true}"#;
    assert_eq!(text(&events, "attributes", row), expected);
    let gauges = rows(&timeline, "gauges").unwrap();
    assert_eq!(gauges.floats("value"), [Some(1.0), Some(0.5), Some(1.0 / 3.0)]);
    let spans = spans(&timeline);
    let one = |name: &str| {
        let found = named(&spans, name);
        assert_eq!(found.len(), 1, "{name}");
        found[0]
    };
    let (outer, elsewhere) = (one("outer"), one("elsewhere"));
    assert!(is_within(elsewhere, outer) && elsewhere.begin_thread != outer.begin_thread);
    assert_eq!(one("failing").parent.as_deref(), Some(outer.id.as_str()));
    assert_eq!(one("within failing").parent.as_deref(), Some(one("failing").id.as_str()));
    assert_eq!((one("failing").status.as_deref(), one("failing").detail.as_str()), (Some("error"), "on purpose"));
    assert_eq!((one("panicking").status.as_deref(), one("panicking").detail.as_str()), (Some("error"), "panicked"));
}

fn recorder() {
    mark!("before");
    let recorder = Recorder::builder().interval(Duration::from_millis(20)).path("own").start().unwrap();
    {
        let _span = span!("within");
        burn(0.1);
        std::process::Command::new("sleep").arg("0.1").envs(recorder.environment()).status().unwrap();
    }
    mark!("just before a look");
    recorder.snapshot().unwrap();
    let seen = barograph::record::open(recorder.path()).unwrap();
    assert!(rows(&seen, "events").unwrap().texts("name").contains(&Some("just before a look")));
    let own = i64::from(std::process::id());
    let tree = barograph::record::tree(std::process::id(), Duration::from_millis(50)).unwrap();
    assert!(tree.len() == 1 && tree[0].pid == own && tree[0].threads >= 3, "{tree:?}");
    let now = barograph::record::snapshot().unwrap();
    let process = now.iter().find(|batch| batch.table().name == "process").unwrap();
    assert!((0..process.len()).any(|row| process.column("pid").unwrap().int(row) == Some(own)));
    recorder.stop().unwrap();
    assert!(!recorder.is_running());
    mark!("after");
}

#[test]
fn a_program_records_itself_and_what_it_says_meanwhile_goes_there() {
    let (place, command) = job("recorder");
    let alone = finish({
        let mut alone = place.command(&command[0]);
        alone.args(&command[1..]);
        alone
    });
    assert!(alone.status.success(), "{alone:?}");
    let check_own = |path: &str| {
        let timeline = ended(&place.path(path));
        let events = rows(&timeline, "events").unwrap();
        let said: Vec<String> =
            (0..events.len()).filter(|row| text(&events, "by", *row) == "program").map(|row| text(&events, "name", row)).collect();
        assert_eq!(said, ["just before a look"]);
        let spans = spans(&timeline);
        assert!(spans.len() == 1 && named(&spans, "within")[0].cpu_seconds() >= 0.1);
        let root = timeline.facts().root.unwrap().pid as i64;
        let pids: std::collections::BTreeSet<i64> = rows(&timeline, "process").unwrap().ints("pid").into_iter().flatten().collect();
        assert!(pids.contains(&root) && pids.len() >= 2, "{pids:?}");
    };
    check_own("own.baro");
    // Under a recorder that was there before, what is said before and after goes to that.
    let ran = place.run(&["-i", "20ms"], &command);
    let timeline = ran.timeline();
    check_own("own-2.baro");
    let events = rows(&timeline, "events").unwrap();
    let said: Vec<String> = (0..events.len()).filter(|row| text(&events, "by", *row) == "program").map(|row| text(&events, "name", row)).collect();
    assert_eq!(said, ["before", "after"]);
    assert!(rows(&timeline, "span_edges").is_none());
}
