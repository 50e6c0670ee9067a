//! A control group with too little memory: whom the kernel kills there, and what is known of it afterwards.

use std::os::unix::process::ExitStatusExt;
use std::process::Output;

use barograph_store::{State, Timeline};
use rustix::process::Signal;

use crate::container::Group;
use crate::harness::{BAROGRAPH, Place, ended, finish, python, rows, text};

/// Runs `barograph run OPTIONS -- sh -c JOB` in a control group that may have 64 MiB; `None`, said aloud, where none can be made.
fn in_little_room(place: &Place, options: &str, job: &str) -> Option<Output> {
    const ROOM: &str = "67108864";
    let group = Group::new("memory")?;
    group.set_either(("memory.max", ROOM), ("memory.limit_in_bytes", ROOM));
    // Where there is swap it would be room too.
    group.set_if_there("memory.swap.max", "0");
    group.set_if_there("memory.memsw.limit_in_bytes", ROOM);
    let line = format!("{}; exec $BAROGRAPH run -q -i 20ms -w 50ms {options} -o run -- sh -c \"$JOB\"", group.enter());
    let mut command = place.command("bash");
    command.args(["-c", &line]).env("BAROGRAPH", BAROGRAPH).env("JOB", job).env("PYTHON", python());
    Some(finish(command))
}

/// What the report says, in one line.
fn report(place: &Place) -> String {
    text(&finish(place.barograph(["report", "run.baro"])).stdout).split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn of_a_job_that_is_killed_there_the_report_gives_the_limit() {
    let place = Place::new();
    let job = "until [ -e run.baro/job/000000.parquet ]; do sleep 0.02; done; exec $PYTHON -c 'all = []\nwhile True: all.append(b\".\" * (1 << 20))'";
    let Some(output) = in_little_room(&place, "", job) else { return };
    assert_eq!(output.status.code(), Some(128 + 9), "{output:?}");
    let timeline = ended(&place.path("run.baro"));
    let notices = &timeline.facts().notices;
    assert!(notices.iter().any(|notice| notice.name == "oom_kills" && notice.count == 1), "{notices:?}");
    let report = report(&place);
    // Others may be killed on this machine meanwhile.
    assert!(report.contains("of this run's control group") && report.contains("may use 64 MiB"), "{report}");
}

#[test]
fn a_recorder_that_is_killed_there_leaves_the_job_and_what_was_published() {
    let place = Place::new();
    // The kernel is told whom to take when many small ones have taken all there is. The job's output passes through a process of ours, which must be left.
    let job = r#"until [ -e run.baro/job/000000.parquet ]; do sleep 0.02; done
echo 1000 > /proc/$PPID/oom_score_adj
while grep -q 'State:.[^ZX]' /proc/$PPID/status; do
    $PYTHON -c 'import signal; all = b"." * (8 << 20); signal.alarm(60); signal.pause()' & all="$all $!"
    sleep 0.1
done
kill $all; echo lives > lives; echo said"#;
    let Some(output) = in_little_room(&place, "--mark-on nothing", job) else { return };
    assert_eq!((output.status.signal(), text(&output.stdout).as_str()), (Some(Signal::KILL.as_raw()), "said\n"), "{output:?}");
    assert!(place.path("lives").exists(), "the job was killed in its stead");
    let timeline = Timeline::open(place.path("run.baro")).unwrap();
    assert_eq!((timeline.state(), timeline.damaged().len()), (State::Interrupted, 0));
    assert!(rows(&timeline, "job").unwrap().len() > 1);
    let report = report(&place);
    assert!(report.contains("The recorder was cut off") && report.contains("how the job ended is not known"), "{report}");
}
