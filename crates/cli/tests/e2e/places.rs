//! Below other launchers: nohup, xargs, make, cron, ssh, setsid, script.
#![allow(clippy::print_stderr, reason = "a test that was left out says so")]

use std::fs;
use std::net::TcpListener;
use std::process::{Child, Output, Stdio};

use barograph_store::{Facts, State, Timeline};

use crate::harness::{BAROGRAPH, Place, ended, eventually, finish, is_there, python, send, text, written};

fn shell(place: &Place, line: &str) -> Output {
    let mut command = place.command("sh");
    command.args(["-c", line]).env("BAROGRAPH", BAROGRAPH);
    finish(command)
}

/// How many recordings a folder has, all of which must have ended.
fn recordings(place: &Place) -> usize {
    let names = fs::read_dir(place.path("")).unwrap().map(|entry| entry.unwrap().path());
    names.filter(|path| path.extension().is_some_and(|ending| ending == "baro")).inspect(|path| drop(ended(path))).count()
}

#[test]
fn below_nohup() {
    let place = Place::new();
    let output = shell(&place, "nohup $BAROGRAPH run -q -o run -- sh -c 'kill -HUP $$; kill -HUP $PPID; echo on; exit 3'");
    assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(3), "on\n"), "{}", text(&output.stderr));
    ended(&place.path("run.baro"));
}

#[test]
fn below_xargs_each_has_a_recording_of_its_own() {
    let place = Place::new();
    // All at once, and all of the same name.
    let line = "seq 8 | xargs -P 4 -I{} \"$BAROGRAPH\" run -q -o run -- sh -c 'echo {}; test {} != 5'";
    let output = shell(&place, line);
    assert_eq!(output.status.code(), Some(123), "one of them failed, and xargs says so: {}", text(&output.stderr));
    let mut said: Vec<String> = text(&output.stdout).lines().map(str::to_owned).collect();
    said.sort_unstable();
    assert_eq!(said, ["1", "2", "3", "4", "5", "6", "7", "8"]);
    assert_eq!(recordings(&place), 8);
}

#[test]
fn below_make_and_above_it() {
    if !is_there("make") {
        return;
    }
    let place = Place::new();
    // A make below us must find the jobserver of the one above, in descriptors that it inherits.
    let rules = "
all: a b c d below
a b c d:
\t@$(BAROGRAPH) run -q -o $@ -- sh -c 'echo $@'
below:
\t+@$(BAROGRAPH) run -q -o below -- $(MAKE) --no-print-directory e f
e f:
\t@echo $@
fails:
\t@$(BAROGRAPH) run -q -o fails -- sh -c 'exit 3'
";
    fs::write(place.path("Makefile"), rules).unwrap();
    let output = shell(&place, "\"$BAROGRAPH\" run -q -o above -- make --no-print-directory -j4");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(text(&output.stderr), "", "such as that the jobserver is not available");
    let mut said: Vec<String> = text(&output.stdout).lines().map(str::to_owned).collect();
    said.sort_unstable();
    assert_eq!(said, ["a", "b", "c", "d", "e", "f"]);
    assert_eq!(recordings(&place), 6);
    let output = shell(&place, "make fails");
    assert!(output.status.code() == Some(2) && text(&output.stderr).contains("Error 3"), "{output:?}");
}

#[test]
fn with_what_cron_gives() {
    let place = Place::new();
    let folder = place.path("");
    // crontab(5): a shell, a short PATH, the folder /, and a pipe that becomes a mail.
    let line = format!(
        "cd / && exec env -i SHELL=/bin/sh PATH=/usr/bin:/bin LOGNAME=root BAROGRAPH_DIR={} {BAROGRAPH} run -- sh -c 'pwd; exit 3' 2>&1 | cat",
        folder.display()
    );
    let output = shell(&place, &line);
    let said = text(&output.stdout);
    assert!(said.starts_with("/\n") && said.contains("exit 3") && said.contains("recorded in"), "{said}");
    assert_eq!(recordings(&place), 1);
}

#[test]
fn below_setsid() {
    let place = Place::new();
    let output = shell(&place, "setsid --wait \"$BAROGRAPH\" run -q -o run -- sh -c 'exit 3'");
    assert_eq!(output.status.code(), Some(3));
    ended(&place.path("run.baro"));
}

#[test]
fn below_script() {
    if !is_there("script") {
        return;
    }
    let place = Place::new();
    let output = shell(&place, "script -qec \"$BAROGRAPH run -q -o run -- sh -c 'test -t 0 && test -t 1 && echo terminal; exit 3'\" log");
    assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(3), "terminal\r\n"), "{}", text(&output.stderr));
    assert!(fs::read_to_string(place.path("log")).unwrap().contains("terminal"));
    ended(&place.path("run.baro"));
}

/// An SSH server of the test's own, on a port of the loopback.
struct Server {
    daemon: Child,
    port: u16,
}

impl Server {
    /// `None`, said aloud, where there is no server to start.
    fn start(place: &Place) -> Option<Server> {
        if !is_there("/usr/sbin/sshd") || !is_there("ssh") {
            return None;
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let here = place.path("");
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {0}/host\nAuthorizedKeysFile {0}/mine.pub\nStrictModes no\nUsePAM no\nPidFile none\nPermitRootLogin yes\n",
            here.display()
        );
        fs::write(place.path("config"), config).unwrap();
        // The folder that it wants in /run is its own affair, and goes with the mount.
        let line = "for key in host mine; do ssh-keygen -q -t ed25519 -N '' -f $key || exit 98; done; \
                    test \"$(id -u)\" = 0 && mount -t tmpfs tmpfs /run && mkdir /run/sshd && exec /usr/sbin/sshd -D -e -f config";
        let mut command = place.command("unshare");
        command.args(["--mount", "sh", "-c", line]).stdout(Stdio::null()).stderr(fs::File::create(place.path("server.log")).unwrap());
        let mut daemon = command.spawn().ok()?;
        let listens = eventually("the server", || {
            let ended = daemon.try_wait().unwrap().is_some();
            (ended || fs::read_to_string(place.path("server.log")).unwrap().contains("Server listening")).then_some(!ended)
        });
        if !listens {
            eprintln!("left out: no sshd can be started: {}", fs::read_to_string(place.path("server.log")).unwrap());
        }
        listens.then_some(Server { daemon, port })
    }

    fn client(&self, place: &Place, command: &str) -> std::process::Command {
        let mut client = place.command("ssh");
        client.args(["-tt", "-q", "-F", "none", "-i", "mine", "-p", &self.port.to_string()]);
        client.args(["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=known", "-o", "IdentitiesOnly=yes", "127.0.0.1", command]);
        client
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

#[test]
fn below_ssh() {
    let place = Place::new();
    let Some(server) = Server::start(&place) else { return };
    let run = format!("{BAROGRAPH} run -q -i 20ms -o {}/run", place.path("").display());
    let output = finish(server.client(&place, &format!("{run} -- sh -c 'test -t 0 && echo terminal; exit 3'")));
    assert_eq!(
        (output.status.code(), text(&output.stdout).as_str()),
        (Some(3), "terminal\r\n"),
        "{}{}",
        text(&output.stderr),
        fs::read_to_string(place.path("server.log")).unwrap()
    );
    ended(&place.path("run.baro"));

    // A connection that is lost: the job hears of it, and the recording is complete.
    let code = "import signal, sys, time; signal.signal(signal.SIGHUP, lambda *_: sys.exit(9)); open(\"pid\", \"w\").write(\"1\\n\"); time.sleep(60)";
    let here = place.path("");
    let line = format!("cd {} && exec {run}-lost -- {} -c '{code}'", here.display(), python());
    let client = server.client(&place, &line).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    written(&place.path("pid"));
    send(client.id(), rustix::process::Signal::KILL);
    crate::harness::output_of(client);
    let lost = place.path("run-lost.baro");
    eventually("the end of the recording", || (Timeline::open(&lost).ok()?.state() == State::Ended).then_some(()));
    assert_eq!(Facts::read(&lost).unwrap().end.unwrap().exit.unwrap().code, Some(9));
}
