//! What programs say at the beacon, in bare lines of JSON: it stands in the recording, and what can't be taken is counted.
#![allow(clippy::print_stderr, reason = "a test that was left out says so")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use barograph_store::Timeline;

use crate::harness::{BAROGRAPH, Place, eventually, finish, python, rows, text};

/// Says these lines, each a datagram, in Python without a library of ours.
pub(crate) fn say(lines: &str) -> String {
    format!(
        "import os, socket, time\n\
         beacon = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n\
         address = os.environ['BAROGRAPH_BEACON']\n\
         beacon.connect('\\0' + address[1:] if address[0] == '@' else address)\n\
         say = lambda line: beacon.send(line if isinstance(line, bytes) else line.encode())\n\
         {lines}"
    )
}

fn texts(timeline: &Timeline, table: &str, column: &str) -> Vec<Option<String>> {
    rows(timeline, table).unwrap().texts(column).into_iter().map(|text| text.map(str::to_owned)).collect()
}

fn count(timeline: &Timeline, notice: &str) -> u64 {
    timeline.facts().notices.iter().find(|known| known.name == notice).map_or(0, |notice| notice.count)
}

#[test]
fn what_a_program_says_stands_on_the_clock_of_the_recording() {
    let place = Place::new();
    let ran = place.run_python(
        &[],
        &say("before = time.clock_gettime_ns(time.CLOCK_BOOTTIME)\n\
              say('{\"mark\": \"half \\\\u00e9\", \"t\": %d, \"tid\": 7, \"attributes\": {\"a\": [1]}}' % time.monotonic_ns())\n\
              say('{\"begin\": \"load\", \"span\": \"1\", \"cpu\": 1000000000, \"t\": 5}\\n{\"end\": \"1\", \"status\": \"error\", \"detail\": \"no\"}\\n')\n\
              say('{\"gauge\": \"loss\", \"value\": 0.25}')\n\
              for wrong in [b'hello', b'{}', b'\\xff', b'x' * 65537]: say(wrong)\n\
              open('times', 'w').write('%d %d' % (before, time.clock_gettime_ns(time.CLOCK_BOOTTIME)))"),
    );
    assert_eq!(ran.code(), 0, "{}", ran.stderr());
    let timeline = ran.timeline();
    let events = rows(&timeline, "events").unwrap();
    let mark = (0..events.len()).find(|row| events.texts("by")[*row] == Some("program")).unwrap();
    assert_eq!((events.texts("name")[mark], events.texts("attributes")[mark]), (Some("half é"), Some("{\"a\": [1]}")));
    let times = fs::read_to_string(place.path("times")).unwrap();
    let times: Vec<i64> = times.split(' ').map(|time| time.parse().unwrap()).collect();
    assert!((times[0]..=times[1]).contains(&events.monotonic()[mark]), "{} {times:?}", events.monotonic()[mark]);
    assert_eq!(events.ints("thread")[mark], Some(7));
    let pid = events.ints("pid")[mark].unwrap();
    assert_eq!(pid, timeline.facts().root.unwrap().pid.cast_signed(), "the kernel told who it was");
    let edges = rows(&timeline, "span_edges").unwrap();
    assert_eq!(texts(&timeline, "span_edges", "edge"), ["begin", "end"].map(|edge| Some(edge.to_owned())));
    assert_eq!((edges.floats("thread_cpu_seconds")[0], edges.texts("status")[1], edges.texts("detail")[1]), (Some(1.0), Some("error"), Some("no")));
    assert!(edges.monotonic()[0] >= times[0], "a time of another clock is none");
    assert_eq!(rows(&timeline, "gauges").unwrap().floats("value"), [Some(0.25)]);
    assert_eq!((count(&timeline, "beacon_malformed"), count(&timeline, "beacon_oversized")), (3, 1));
}

#[test]
fn the_socket_is_its_owners_alone_and_goes_with_the_recorder() {
    let place = Place::new();
    let ran = place.run(&[], &["sh", "-c", "echo $BAROGRAPH_BEACON; stat -c %a $BAROGRAPH_BEACON $(dirname $BAROGRAPH_BEACON)"]);
    let said = ran.stdout();
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[1..], ["600", "700"], "{said}");
    assert!(!PathBuf::from(lines[0]).exists());
    assert_eq!(ran.timeline().facts().beacon.as_deref(), Some(lines[0]));
    assert!(lines[0].contains(&ran.timeline().facts().id));
}

#[test]
fn where_no_folder_will_do_a_name_without_one_does() {
    let place = Place::new();
    // Too long for a socket's path, and a folder that others may enter.
    let long = place.path("x".repeat(100));
    let open = place.path("open");
    let user = open.join(format!("barograph-{}", rustix::process::geteuid().as_raw()));
    for folder in [&long, &user] {
        fs::create_dir_all(folder).unwrap();
        fs::set_permissions(folder, fs::Permissions::from_mode(0o777)).unwrap();
    }
    // The last folder is one in memory that all tests have: where it can't be our own, others would see this recorder, and give it orders.
    let own_memory = |command: &str| ["unshare", "--mount", "sh", "-c", &format!("mount -t tmpfs tmpfs /dev/shm && {command}")].map(str::to_owned);
    let mut try_it = place.command("unshare");
    if !try_it.args(&own_memory("true")[1..]).output().is_ok_and(|output| output.status.success()) {
        eprintln!("left out: only root can have a /dev/shm of his own");
        return;
    }
    let user = rustix::process::geteuid().as_raw();
    for (takes_the_last, expected) in
        [("true", format!("/dev/shm/barograph-{user}/")), ("touch /dev/shm/barograph-$(id -u)", "@barograph/".to_owned())]
    {
        let code = say("print(address)\nsay('{\"mark\": \"here\"}')");
        let job = ["run", "-q", "--force", "-o", "run", "--", python(), "-c", &code];
        let mut command = place.command("unshare");
        command.args(&own_memory(&format!("{takes_the_last}; exec \"$0\" \"$@\""))[1..]).arg(BAROGRAPH).args(job);
        command.env("XDG_RUNTIME_DIR", &long).env("TMPDIR", &open);
        let output = finish(command);
        assert!(text(&output.stdout).starts_with(&expected), "{output:?}");
        let timeline = Timeline::open(place.path("run.baro")).unwrap();
        assert!(texts(&timeline, "events", "name").contains(&Some("here".to_owned())));
    }
}

#[test]
fn a_recorder_that_is_killed_leaves_all_that_was_published_and_its_job_goes_on() {
    let place = Place::new();
    let code = say("say('{\"begin\": \"work\", \"span\": \"1\"}')\n\
                    open('ready', 'w').write('1')\n\
                    while os.path.exists('ready'): time.sleep(0.01)\n\
                    try: say('{\"end\": \"1\"}')\n\
                    except OSError as error: open('told', 'w').write(error.strerror)");
    let mut command = place.run_command(&["-w", "50ms", "-i", "50ms"], &[python(), "-c", &code]);
    // Whoever looks for recorders clears up, the tests beside this one too.
    command.env("TMPDIR", place.path("")).env_remove("XDG_RUNTIME_DIR");
    let mut recorder = command.spawn().unwrap();
    eventually("the span to be on disk", || {
        let timeline = Timeline::open(place.path("run.baro")).ok()?;
        timeline.has_table("span_edges").then_some(())
    });
    recorder.kill().unwrap();
    recorder.wait().unwrap();
    fs::remove_file(place.path("ready")).unwrap();
    let told = eventually("the job to go on", || fs::read_to_string(place.path("told")).ok().filter(|told| !told.is_empty()));
    assert_eq!(told, "Connection refused");
    let timeline = Timeline::open(place.path("run.baro")).unwrap();
    assert_eq!(texts(&timeline, "span_edges", "edge"), [Some("begin".to_owned())]);
    // Whoever looks next clears up after it.
    let socket = PathBuf::from(timeline.facts().beacon.clone().unwrap());
    assert!(socket.exists());
    let mut look = place.barograph(["mark", "is anybody there?"]);
    look.env("TMPDIR", place.path("")).env_remove("XDG_RUNTIME_DIR").env_remove("BAROGRAPH_BEACON");
    assert!(finish(look).status.success());
    assert!(!socket.exists());
}
