//! As in a container: pid 1 in a root folder with our program, its libraries and a job, and nothing else; and with limits.
#![allow(clippy::print_stderr, reason = "a test that was left out says so")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::harness::{BAROGRAPH, Place, copy_program, ended, eventually, finish, job, rows, text};

/// A control group of the test's own, gone with it.
pub(crate) struct Group {
    folder: PathBuf,
    /// Where a container would find its group.
    mounted: &'static str,
}

impl Group {
    /// `None`, said aloud, where there is no such controller or we may not use it.
    pub(crate) fn new(controller: &str) -> Option<Group> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let root = Path::new("/sys/fs/cgroup");
        let unified = root.join("cgroup.controllers").exists();
        if unified {
            // Refused where it is on already or not to be had; making the group tells.
            let _ = fs::write(root.join("cgroup.subtree_control"), format!("+{controller}"));
        }
        let name = format!("barograph-test-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let parent = if unified { root.to_owned() } else { root.join(controller) };
        let folder = parent.join(name);
        let controlled =
            || if unified { fs::read_to_string(folder.join("cgroup.controllers")).is_ok_and(|list| list.contains(controller)) } else { true };
        let mounted = match (unified, controller) {
            (true, _) => "sys/fs/cgroup",
            (_, "memory") => "sys/fs/cgroup/memory",
            (_, "cpu") => "sys/fs/cgroup/cpu",
            _ => "sys/fs/cgroup/pids",
        };
        let made = parent.is_dir() && fs::create_dir(&folder).is_ok();
        let group = Group { folder: folder.clone(), mounted };
        if made && controlled() {
            return Some(group);
        }
        eprintln!("left out: there is no control group of {controller} that we may use");
        None
    }

    pub(crate) fn set(&self, file: &str, value: &str) {
        fs::write(self.folder.join(file), value).unwrap_or_else(|error| panic!("{file}: {error}"));
    }

    pub(crate) fn set_either(&self, first: (&str, &str), second: (&str, &str)) {
        let (file, value) = if self.folder.join(first.0).exists() { first } else { second };
        self.set(file, value);
    }

    /// Sets what not every kernel has.
    pub(crate) fn set_if_there(&self, file: &str, value: &str) {
        if self.folder.join(file).exists() {
            self.set(file, value);
        }
    }

    /// The line of shell by which a shell enters it.
    pub(crate) fn enter(&self) -> String {
        format!("echo $$ > {}/cgroup.procs", self.folder.display())
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Its last process may still be on its way out.
        if self.folder.exists() {
            eventually("the end of a control group", || fs::remove_dir(&self.folder).ok());
        }
    }
}

/// Fills a folder with our program, the libraries that it is linked to, and a job that needs none.
fn fill(root: &Path, place: &Place) {
    let mut libraries = place.command("ldd");
    libraries.arg(BAROGRAPH);
    let listed = text(&finish(libraries).stdout);
    let copy = |from: &str| {
        let to = root.join(from.trim_start_matches('/'));
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        copy_program(from, to);
    };
    listed.split_whitespace().filter(|word| word.starts_with('/')).for_each(copy);
    copy_program(BAROGRAPH, root.join("barograph"));
    let mut compiler = place.command("cc");
    compiler.args(["-O1", "-static", "-o"]).arg(root.join("job")).arg(job("bare.c"));
    let compiled = finish(compiler);
    assert!(compiled.status.success(), "{}", text(&compiled.stderr));
    for folder in ["proc", "sys", "out"] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
}

#[test]
fn as_pid_one_in_an_empty_image_with_limits() {
    let (Some(memory), Some(cpu)) = (Group::new("memory"), Group::new("cpu")) else { return };
    memory.set_either(("memory.max", "134217728"), ("memory.limit_in_bytes", "134217728"));
    cpu.set_either(("cpu.max", "50000 100000"), ("cpu.cfs_quota_us", "50000"));
    let place = Place::new();
    let root = place.path("root");
    fs::create_dir(&root).unwrap();
    fill(&root, &place);
    // With one hierarchy a process is in one group only.
    let both = memory.mounted != cpu.mounted;
    if !both {
        memory.set("cpu.max", "50000 100000");
    }
    let enter = if both { format!("{}; {}", memory.enter(), cpu.enter()) } else { memory.enter() };
    let group = |group: &Group| {
        format!("mkdir -p root/{mounted} && mount --bind {folder} root/{mounted}", mounted = group.mounted, folder = group.folder.display())
    };
    let groups = if both { format!("{} && {}", group(&memory), group(&cpu)) } else { group(&memory) };
    let run = "env -i /usr/sbin/chroot root /barograph run -i 50ms -o out/run -- /job 64 0.3";
    let inside = format!("mount -t proc proc root/proc && mount -t tmpfs tmpfs root/sys && {groups} && exec {run}");
    let mut command = place.command("sh");
    command.args(["-c", &format!("{enter}; exec unshare --mount --pid --fork sh -c '{inside}'")]);
    let output = finish(command);
    assert_eq!(output.status.code(), Some(7), "{}", text(&output.stderr));
    let timeline = ended(&root.join("out/run.baro"));
    let facts = timeline.facts();
    assert_eq!(facts.recorder.pid, 1);
    assert_eq!((facts.limits.memory_bytes, facts.limits.cores), (Some(128 << 20), Some(0.5)), "{:?}", facts.limits);
    // The orphan became ours, and was waited for and collected.
    let changes = rows(&timeline, "processes").unwrap();
    assert!(changes.texts("change").iter().filter(|change| **change == Some("exited")).count() >= 2);
    let report = text(&finish(place.barograph(["report", "root/out/run.baro"])).stdout);
    assert!(report.contains("0.5 cores · 128 MiB") && report.contains("of its limit of 128 MiB") && report.contains("of the 0.5 cores"), "{report}");
}
