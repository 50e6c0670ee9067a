//! `barograph view`: what it prints, what it refuses, and how it ends. The server itself is tested where it is made.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use barograph_store::{State, Timeline};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::harness::{BAROGRAPH, Place, copy_program, ended, eventually, finish, output_of, text};

/// A server that has said where it is.
struct Viewer {
    child: Child,
    said: Value,
}

impl Viewer {
    fn start(place: &Place, arguments: &[&str]) -> Viewer {
        let mut command = place.barograph([&["view", "--json", "--port", "0"], arguments].concat());
        command.env("TMPDIR", place.path("")).stdout(Stdio::piped()).stderr(Stdio::piped());
        Viewer::of(command)
    }

    fn of(mut command: Command) -> Viewer {
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let said = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        Viewer { child, said }
    }

    fn request(&self, line: &str, body: &str) -> String {
        let answer = self.ask(line, body);
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        answer.split_once("\r\n\r\n").unwrap().1.to_owned()
    }

    fn ask(&self, line: &str, body: &str) -> String {
        let port = u16::try_from(self.said["port"].as_u64().unwrap()).unwrap();
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(120))).unwrap();
        let token = self.said["token"].as_str().unwrap();
        write!(
            stream,
            "{line} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn facts(&self, run: &Value) -> Value {
        serde_json::from_str(&self.request(&format!("GET /api/runs/{}", run["id"].as_str().unwrap()), "")).unwrap()
    }

    fn session(&self) -> Value {
        serde_json::from_str(&self.request("GET /api/session", "")).unwrap()
    }

    /// Ends it as Ctrl-C does.
    fn interrupt(self) -> std::process::Output {
        kill_process(Pid::from_child(&self.child), Signal::INT).unwrap();
        output_of(self.child)
    }
}

#[test]
fn recordings_are_shown_and_ctrl_c_ends_it_with_nothing_lost() {
    let place = Place::new();
    assert_eq!(place.run(&[], &["true"]).code(), 0);
    let viewer = Viewer::start(&place, &["."]);
    assert_eq!(viewer.said["pid"], viewer.child.id());
    let url = viewer.said["url"].as_str().unwrap();
    let token = viewer.said["token"].as_str().unwrap();
    assert!(url == format!("http://127.0.0.1:{}/?token={token}", viewer.said["port"]) && token.len() == 32, "{url}");
    let session = viewer.session();
    assert_eq!(session["runs"].as_array().unwrap().len(), 2, "{session}");
    let began = viewer.request("POST /api/control", r#"{"do":"start","settings":{"path":"page","intervalSeconds":0.05}}"#);
    assert!(began.contains("page.baro"), "{began}");
    let output = viewer.interrupt();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(ended(&place.path("page.baro")).state(), State::Ended);
    let left: Vec<_> = std::fs::read_dir(place.path("")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().starts_with("barograph-view-")), "{left:?}");
}

#[test]
fn what_is_no_recording_is_told_before_anything_is_served() {
    let place = Place::new();
    std::fs::write(place.path("notes.txt"), "hello").unwrap();
    std::fs::create_dir(place.path("half.baro")).unwrap();
    std::fs::write(place.path("a.csv"), "a,b\n1,2\n").unwrap();
    for (path, why) in
        [("gone.baro", "no such recording"), ("notes.txt", "it has hello"), ("half.baro", "no recording.json"), ("a.csv", "no column has times")]
    {
        let output = finish(place.barograph(["view", "--no-open", "--port", "0", path]));
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{path}");
        assert!(said.contains(path) && said.contains(why) && said.lines().count() == 1, "{said}");
    }
}

#[test]
fn a_port_in_use_and_an_address_of_others_are_told() {
    let place = Place::new();
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    for (arguments, why) in [
        (["--port", port.as_str()], format!("port {port} is taken; choose another with --port")),
        (["--bind", "192.0.2.1"], "no address of this machine".to_owned()),
        (["--bind", "here"], "invalid".to_owned()),
        (["--port", "70000"], "invalid".to_owned()),
    ] {
        let output = finish(place.barograph([&["view", "--no-open"], &arguments[..]].concat()));
        assert!(!output.status.success() && text(&output.stderr).contains(&why), "{}", text(&output.stderr));
    }
}

#[test]
fn a_browser_is_opened_by_an_address_that_is_good_once() {
    let place = Place::new();
    // It keeps what it was told to open, and asks for it as a browser would.
    let browser = place.path("xdg-open");
    std::fs::write(place.path("browser"), "#!/bin/sh\necho \"$1\" > opened.part && mv opened.part opened\n").unwrap();
    copy_program(place.path("browser"), &browser);
    std::fs::set_permissions(&browser, PermissionsExt::from_mode(0o755)).unwrap();
    let mut command = place.barograph(["view", "--port", "0", "--read-only"]);
    let path = format!("{}:{}", place.path("").display(), std::env::var("PATH").unwrap());
    command.env("PATH", path).env("DISPLAY", ":7").stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let opened = loop {
        match std::fs::read_to_string(place.path("opened")) {
            Ok(opened) => break opened.trim().to_owned(),
            Err(_) => thread::sleep(Duration::from_millis(20)),
        }
    };
    let (host, query) = opened.strip_prefix("http://").and_then(|rest| rest.split_once('/')).unwrap();
    let ask = || {
        let mut stream = TcpStream::connect(host).unwrap();
        write!(stream, "GET /{query} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    assert!(ask().contains("303"));
    assert!(ask().contains("401"));
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    let output = output_of(child);
    let (printed, said) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success() && printed.lines().count() == 1 && printed.starts_with(&format!("http://{host}/?token=")), "{printed}");
    assert!(!printed.contains(&opened) && said.contains("nothing is recorded or changed"), "{said}");
}

#[test]
fn without_a_screen_and_with_all_addresses_one_is_told_what_that_means() {
    let place = Place::new();
    let mut command = place.barograph(["view", "--port", "0", "--bind", "0.0.0.0"]);
    command.env_remove("DISPLAY").env_remove("WAYLAND_DISPLAY").env_remove("BROWSER").env("TMPDIR", place.path(""));
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    let mut said = String::new();
    let mut lines = BufReader::new(child.stderr.take().unwrap());
    while !said.contains("no screen") {
        assert!(lines.read_line(&mut said).unwrap() > 0, "{said}");
    }
    assert!(said.contains("other machines can reach this page") && said.contains("from there it is http://"), "{said}");
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    assert!(output_of(child).status.success());
}

#[test]
fn a_server_that_was_killed_leaves_nothing_for_long() {
    let place = Place::new();
    let mut first = Viewer::start(&place, &["."]);
    let session = first.session();
    let of = |session: &Value| {
        let machine = session["runs"].as_array().unwrap().iter().find(|run| run["id"] == session["machine"]).cloned().unwrap();
        std::path::PathBuf::from(machine["path"].as_str().unwrap())
    };
    let left = of(&session);
    first.child.kill().unwrap();
    first.child.wait().unwrap();
    assert_eq!(Timeline::open(&left).unwrap().state(), State::Interrupted);
    let second = Viewer::start(&place, &["."]);
    assert!(!left.exists() && of(&second.session()).exists());
    assert!(second.interrupt().status.success());
}

#[test]
fn files_are_shown_under_their_names_and_leave_nothing() {
    let place = Place::new();
    assert_eq!(place.run(&[], &["true"]).code(), 0);
    assert!(finish(place.barograph(["export", "run.baro", "-o", "flat.csv"])).status.success());
    std::fs::write(place.path("weather.csv"), "time,rain\n2026-11-20 09:20:00,1\n2026-11-20 09:20:01,2\n").unwrap();
    let made = || {
        std::fs::read_dir(place.path(""))
            .unwrap()
            .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().starts_with("barograph-"))
            .count()
    };
    let viewer = Viewer::start(&place, &["flat.csv", "weather.csv", "--zone", "Europe/Berlin", "--read-only"]);
    assert_eq!(made(), 2);
    let session = viewer.session();
    let named =
        |name: &str| session["runs"].as_array().unwrap().iter().find(|run| run["name"] == name).unwrap_or_else(|| panic!("{name}: {session}"));
    let flat = named("flat.csv");
    assert_eq!((&flat["path"], &flat["state"], &flat["writable"]), (&"flat.csv".into(), &"ended".into(), &false.into()));
    assert_eq!(viewer.facts(named("weather.csv"))["zone"], "Europe/Berlin");
    let flat = viewer.facts(flat);
    assert!(flat["panels"].as_array().unwrap().iter().any(|panel| panel["id"] == "memory"), "{flat}");
    assert!(viewer.interrupt().status.success());
    assert_eq!(made(), 0);
    // What was made of a file goes with the server: nobody's words are to be lost with it.
    let viewer = Viewer::start(&place, &["flat.csv"]);
    let at = flat["from"].as_f64().unwrap();
    let refused = viewer.ask(&format!("POST /api/runs/{}/events", flat["id"].as_str().unwrap()), &format!(r#"{{"at":{at},"name":"a"}}"#));
    assert!(refused.starts_with("HTTP/1.1 409") && refused.contains("stays as it is"), "{refused}");
    let flat = viewer.facts(&flat);
    assert!(flat["zone"].is_null(), "{flat}");
    assert!(viewer.interrupt().status.success());
    assert_eq!(made(), 0);
}

#[test]
fn files_of_all_kinds_are_served_wherever_it_runs_until_it_is_ended() {
    let place = Place::new();
    assert_eq!(place.run(&[], &["true"]).code(), 0);
    for kind in ["csv", "tsv", "jsonl", "parquet", "feather"] {
        let file = format!("flat.{kind}");
        assert!(finish(place.barograph(["export", "run.baro", "-o", &file])).status.success());
        // As a terminal that goes leaves what was begun below nohup: without somebody to read from or write to, and told to hang up.
        let script = format!("trap '' HUP; exec <&- 2>&-; exec '{BAROGRAPH}' view --json --port 0 {file}");
        let mut command = place.command("sh");
        command.args(["-c", &script]).env("TMPDIR", place.path("")).stdout(Stdio::piped()).stderr(Stdio::piped());
        let viewer = Viewer::of(command);
        kill_process(Pid::from_child(&viewer.child), Signal::HUP).unwrap();
        let session = viewer.session();
        assert!(session["runs"].as_array().unwrap().iter().any(|run| run["name"] == file.as_str()), "{session}");
        assert!(viewer.interrupt().status.success(), "{kind}");
    }
}

#[test]
fn a_file_that_is_being_read_leaves_nothing_for_long() {
    let place = Place::new();
    let mut rows = String::from("time,a,b,c,d\n");
    for row in 0..400_000 {
        writeln!(rows, "{},1.5,2.5,3.5,{row}", 1_795_166_400 + row).unwrap();
    }
    std::fs::write(place.path("long.csv"), rows).unwrap();
    let read = || std::fs::read_dir(place.path("")).unwrap().map(|entry| entry.unwrap().path());
    let made = || read().find(|path| path.file_name().unwrap().to_string_lossy().starts_with("barograph-file-"));
    let stopped_by = |signal: Signal| {
        let mut command = place.barograph(["view", "--json", "--port", "0", "long.csv"]);
        let child = command.env("TMPDIR", place.path("")).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let left = eventually("the folder that it is read into", made);
        kill_process(Pid::from_child(&child), signal).unwrap();
        assert_eq!(output_of(child).status.signal(), Some(signal.as_raw()));
        left
    };
    assert!(!stopped_by(Signal::INT).exists() && made().is_none());
    assert!(stopped_by(Signal::KILL).exists());
    let viewer = Viewer::start(&place, &["long.csv", "--read-only"]);
    assert_eq!(read().filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("barograph-file-")).count(), 1);
    assert!(viewer.interrupt().status.success() && made().is_none());
}
