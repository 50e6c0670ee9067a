//! Spans of real jobs, said in bare lines of JSON: what they cost by our account, beside what getrusage(2), stat(2) and the job's own clock say.

use barograph_store::{How, Span, SpanQuery, Spans, Status, Timeline};

use crate::beacon::say;
use crate::harness::{Place, python};

/// The kernel tells CPU time of a process in ticks of 10 ms, twice in each sum of two.
const TICKS_SECONDS: f64 = 0.04;

fn spans(timeline: &Timeline) -> Spans {
    timeline.spans(&SpanQuery::default()).unwrap()
}

fn named<'a>(spans: &'a Spans, name: &str) -> Span<'a> {
    spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("no span {name}"))
}

fn near(ours: Option<f64>, theirs: f64, tolerance: f64, what: &str) {
    assert!(ours.is_some_and(|ours| (ours - theirs).abs() <= tolerance), "{what}: {ours:?} of ours, {theirs} of theirs, tolerance {tolerance}");
}

/// A span in the middle of which work is done, with a rest at both edges so that samples stand around the work; then what the kernel says of it.
const WORK: &str = "import json, resource, subprocess, sys\n\
    def used(who):\n\
    \x20   usage = resource.getrusage(who)\n\
    \x20   return usage.ru_utime + usage.ru_stime\n\
    def work():\n\
    \x20   before = [used(resource.RUSAGE_SELF), used(resource.RUSAGE_CHILDREN), time.monotonic()]\n\
    \x20   say(json.dumps({'begin': 'work', 'span': 'w', **read()}))\n\
    \x20   time.sleep(0.5)\n\
    \x20   until = time.process_time() + 0.6\n\
    \x20   while time.process_time() < until: pass\n\
    \x20   memory = bytearray(96 << 20)\n\
    \x20   open('out', 'wb').write(memory[:24 << 20])\n\
    \x20   open('out', 'rb').read()\n\
    \x20   time.sleep(0.3)\n\
    \x20   del memory\n\
    \x20   subprocess.run([sys.executable, '-c', 'import time\\nwhile time.process_time() < 0.5: pass'])\n\
    \x20   time.sleep(0.5)\n\
    \x20   say(json.dumps({'end': 'w', **read()}))\n\
    \x20   after = [used(resource.RUSAGE_SELF), used(resource.RUSAGE_CHILDREN), time.monotonic()]\n\
    \x20   time.sleep(0.5)\n\
    \x20   print(*[b - a for a, b in zip(before, after)])\n";

fn witnessed(said: &str) -> [f64; 3] {
    let numbers: Vec<f64> = said.split_whitespace().map(|number| number.parse().unwrap()).collect();
    numbers.try_into().unwrap()
}

#[test]
fn what_a_span_cost_by_samples_is_what_getrusage_says() {
    for is_root in [true, false] {
        let place = Place::new();
        // It says when, as the recorder may hear it late on a busy machine, and nothing of what it used.
        let code = say(&format!("{WORK}def read(): return {{'t': time.monotonic_ns()}}\nwork()"));
        let ran = match is_root {
            true => place.run_python(&["-i", "50ms"], &code),
            false => place.run(&["-i", "50ms"], &["sh", "-c", "\"$0\" -c \"$1\"; true", python(), &code]),
        };
        let timeline = ran.timeline();
        let [own, children, wall] = witnessed(&ran.stdout());
        let spans = spans(&timeline);
        let span = named(&spans, "work");
        let cost = span.cost;
        assert_eq!((span.status, cost.cpu_how, cost.tree), (Status::Ok, Some(How::Sampled), Some(if is_root { "job" } else { "process" })));
        near(span.wall_seconds(), wall, 0.2, "wall");
        near(cost.cpu_seconds, own, TICKS_SECONDS, "CPU of the process");
        near(cost.tree_cpu_seconds, own + children, 2.0 * TICKS_SECONDS, "CPU of the tree");
        assert!(children >= 0.5);
        // It read its file, and what a new Python reads is its child's: by /proc/PID/io a parent has that of the children that it collected.
        let bytes = f64::from(24 << 20);
        assert!(cost.written_bytes.is_some_and(|written| (bytes..bytes * 1.01).contains(&written)), "{cost:?}");
        assert!(cost.read_bytes.is_some_and(|read| (bytes..bytes * 1.5).contains(&read)), "{cost:?}");
        let (begin, peak) = (cost.begin_resident_bytes.unwrap(), cost.peak_resident_bytes.unwrap());
        assert!((peak - begin - f64::from(96 << 20)).abs() < f64::from(40 << 20), "{cost:?}");
        assert_eq!(cost.thread_cpu_seconds, None);
    }
}

#[test]
fn what_the_sender_read_is_exact_and_so_close_to_getrusage() {
    let place = Place::new();
    let read = "def read():\n\
        \x20   io = dict(line.split(': ') for line in open('/proc/self/io').read().splitlines())\n\
        \x20   return {'t': time.monotonic_ns(), 'tid': 1, 'cpu': time.thread_time_ns(), 'process_cpu': time.process_time_ns(), 'read': int(io['rchar']), 'written': int(io['wchar'])}\n";
    let ran = place.run_python(&["-i", "1s"], &say(&format!("{WORK}{read}work()")));
    let timeline = ran.timeline();
    let [own, _, wall] = witnessed(&ran.stdout());
    let spans = spans(&timeline);
    let span = named(&spans, "work");
    let cost = span.cost;
    near(span.wall_seconds(), wall, 0.2, "wall");
    near(cost.cpu_seconds, own, 0.01, "CPU of the process");
    near(cost.thread_cpu_seconds, own, 0.01, "CPU of its only thread");
    assert_eq!((cost.cpu_how, cost.bytes_how, cost.self_cpu_seconds), (Some(How::Exact), Some(How::Exact), cost.thread_cpu_seconds));
    let bytes = f64::from(24 << 20);
    assert!(cost.written_bytes.is_some_and(|written| (bytes..bytes * 1.01).contains(&written)), "{cost:?}");
}

#[test]
fn a_worker_that_is_killed_leaves_its_span_open_until_its_end() {
    let place = Place::new();
    let ran = place.run_python(
        &["-i", "50ms"],
        // They say when, as the recorder may hear one of them late on a busy machine.
        &say("say('{\"begin\": \"all\", \"span\": \"a\", \"t\": %d}' % time.monotonic_ns())\n\
              child = os.fork()\n\
              if child == 0:\n\
              \x20   say('{\"begin\": \"worker\", \"span\": \"b\", \"parent\": \"a\", \"t\": %d}' % time.monotonic_ns())\n\
              \x20   while time.process_time() < 0.5: pass\n\
              \x20   os.kill(os.getpid(), 9)\n\
              os.waitpid(child, 0)\n\
              time.sleep(2)\n\
              say('{\"end\": \"a\", \"status\": \"error\", \"detail\": \"a worker died\"}')"),
    );
    let timeline = ran.timeline();
    let spans = spans(&timeline);
    let (all, worker) = (named(&spans, "all"), named(&spans, "worker"));
    assert_eq!((all.status, all.detail, worker.status), (Status::Error, Some("a worker died"), Status::Open));
    assert_eq!((worker.parent, worker.depth, worker.note), (Some("a"), 1, None));
    let (wall, whole) = (worker.wall_seconds().unwrap(), all.wall_seconds().unwrap());
    assert!(wall >= 0.5 && wall + 0.5 < whole, "{wall} s of {whole} s: it ends with its process and not with the recording");
    assert!(worker.cost.cpu_seconds.is_some_and(|cpu| cpu > 0.2 && cpu <= 0.5 + TICKS_SECONDS), "{:?}", worker.cost);
}

#[test]
fn a_shell_script_says_its_blocks_by_socat() {
    if std::process::Command::new("socat").arg("-V").output().is_err() {
        eprintln!("skipped: there is no socat here");
        return;
    }
    let place = Place::new();
    let script = "say() { printf \"$@\" | socat -u - UNIX-SENDTO:$BAROGRAPH_BEACON; }\n\
        say '{\"begin\": \"block\", \"span\": \"1\", \"pid\": %d, \"attributes\": {\"n\": 1}}' $$\n\
        sleep 0.4\n\
        \"$0\" -c 'import time\nwhile time.process_time() < 0.7: pass'\n\
        sleep 0.4\n\
        say '{\"end\": \"1\", \"pid\": %d}' $$\n\
        say '{\"begin\": \"nobody\", \"span\": \"2\"}'\n\
        sleep 0.3\n\
        say '{\"mark\": \"done\"}'\n\
        times\n\
        sleep 0.4\n";
    let ran = place.run(&["-i", "50ms"], &["bash", "-c", script, python()]);
    let timeline = ran.timeline();
    let spans = spans(&timeline);
    let block = named(&spans, "block");
    assert_eq!((block.pid, block.attributes), (Some(timeline.facts().root.unwrap().pid.cast_signed()), Some("{\"n\": 1}")));
    assert_eq!(block.cost.tree, Some("job"));
    // What the shell says of all its children so far, and what those that talk took of it.
    let children: f64 = ran.stdout().lines().nth(1).unwrap().split_whitespace().map(seconds_of_times).sum();
    assert!(
        block.cost.tree_cpu_seconds.is_some_and(|cpu| cpu >= 0.7 - TICKS_SECONDS && cpu <= children + TICKS_SECONDS),
        "{:?} {children}",
        block.cost
    );
    // The sender's process was most often over before anybody could look at it. One that dawdles is seen, with what little it used.
    let nobody = named(&spans, "nobody");
    assert_eq!(nobody.status, Status::Open);
    assert!(nobody.cost.cpu_seconds.is_none_or(|cpu| cpu <= children + TICKS_SECONDS), "{:?} {children}", nobody.cost);
    assert!(timeline.events(&barograph_store::Query::all()).unwrap().texts("name").contains(&Some("done")));
}

/// `0m1.250s`.
fn seconds_of_times(text: &str) -> f64 {
    let (minutes, seconds) = text.trim_end_matches('s').split_once('m').unwrap();
    minutes.parse::<f64>().unwrap() * 60.0 + seconds.parse::<f64>().unwrap()
}
