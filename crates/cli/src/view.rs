//! `barograph view`: recordings and this machine, in a browser.

use std::env;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use barograph_formats::AsRecording;
use barograph_store::FACTS_FILE;
use barograph_view::human;
use barograph_web::{DEFAULT_PORT, Options, Server};
use clap::Args;
use serde_json::json;

use crate::open::{FileZone, leave_signals, open};

/// Look at recordings, and at this machine as it is now, in a browser.
#[derive(Args, Debug)]
#[command(after_help = "\
The page shows the recordings that are given, those in the folders that are given, and this machine, which is recorded into a temporary folder for as long
as the page is served: of it the last one to five hours are kept. Only who knows the token in the address may look.

Examples:
  barograph view
  barograph view night.baro
  barograph view numbers.csv --zone Europe/Berlin
  barograph view ~/runs /scratch/runs --read-only
  ssh -L 10132:127.0.0.1:10132 HOST barograph view --no-open")]
pub(crate) struct ViewArgs {
    /// Recordings, folders with recordings, or files with times (CSV, JSON lines, Parquet …). By default $BAROGRAPH_DIR, or else the folder that we are in.
    #[arg(value_name = "RUN|FOLDER|FILE")]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    file_zone: FileZone,
    /// Listen at this port; 0 is any that is free. By default 10132, or any if that is taken.
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,
    /// Listen at this address of the machine: 0.0.0.0 is all of them, for other machines to look.
    #[arg(long, value_name = "ADDRESS", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    bind: IpAddr,
    /// Change and record nothing.
    #[arg(long)]
    read_only: bool,
    /// Don't open a browser.
    #[arg(long)]
    no_open: bool,
    /// Print one line of JSON with url, port, token and pid, and open no browser.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &ViewArgs) -> anyhow::Result<ExitCode> {
    // What is made of files lives until nobody is served any more.
    let opened = args.paths.iter().map(|path| opened(path, &args.file_zone)).collect::<anyhow::Result<Vec<_>>>()?;
    let given = if opened.is_empty() { vec![default_folder()] } else { opened.iter().map(|opened| opened.folder().to_owned()).collect() };
    let server = Server::bind(Options { paths: given, bind: args.bind, port: args.port, read_only: args.read_only })?;
    leave_signals();
    let address = server.address();
    if args.json {
        let line = json!({ "url": server.url(), "port": address.port(), "token": server.token(), "pid": std::process::id() });
        // Whoever has started us reads it, or ends us.
        say(&mut std::io::stdout(), &line.to_string());
    } else {
        tell(args, &server);
        if !args.no_open {
            open_browser(&server)?;
        }
    }
    server.run();
    drop(opened);
    Ok(ExitCode::SUCCESS)
}

fn default_folder() -> PathBuf {
    env::var_os("BAROGRAPH_DIR").filter(|folder| !folder.is_empty()).map_or_else(|| PathBuf::from("."), PathBuf::from)
}

/// What was typed should be something that can be shown, or become so while we look.
fn opened(path: &Path, zone: &FileZone) -> anyhow::Result<AsRecording> {
    let opened = open(path, zone)?;
    let is_folder_of_runs = path.is_dir() && !path.join(FACTS_FILE).exists() && path.extension().is_none_or(|ending| ending != "baro");
    if !is_folder_of_runs {
        barograph_store::Timeline::open(&opened)?;
    }
    Ok(opened)
}

/// Says where the page is, and what is odd about it.
fn tell(args: &ViewArgs, server: &Server) {
    let address = server.address();
    let mut out = std::io::stdout();
    say(&mut out, &server.url());
    let mut err = std::io::stderr();
    if args.port.is_none() && address.port() != DEFAULT_PORT {
        say(&mut err, &format!("barograph: port {DEFAULT_PORT} is taken, so this is another one"));
    }
    if !address.ip().is_loopback() {
        let what = "other machines can reach this page, by a connection that anybody on the way can read: whoever has the address with its token sees all that \
            is shown, and may record and mark unless --read-only is given";
        say(&mut err, &format!("barograph: {what}"));
        if let Some(url) = server.url_for_others() {
            say(&mut err, &format!("barograph: from there it is {url}"));
        }
    }
    let recordings = human::plural(server.recordings() as u64, "recording", "recordings");
    let machine = match (args.read_only, server.cannot_record()) {
        (true, _) => "nothing is recorded or changed".to_owned(),
        (false, Some(why)) => format!("this machine can't be recorded: {why}"),
        (false, None) => "this machine is recorded while you look".to_owned(),
    };
    say(&mut err, &format!("barograph: {recordings}; {machine}; Ctrl-C ends it"));
    for refused in server.refused() {
        say(&mut err, &format!("barograph: {}: {}", human::escape(&refused.path), human::escape(&refused.why)));
    }
}

/// Nobody to read it is no reason to stop.
fn say(out: &mut dyn Write, line: &str) {
    let _ = writeln!(out, "{line}");
    let _ = out.flush();
}

/// Opens a browser where there is a screen. That there is none is told, as the address is all that is needed.
fn open_browser(server: &Server) -> anyhow::Result<()> {
    let is_set = |name: &str| env::var_os(name).is_some_and(|value| !value.is_empty());
    if !["DISPLAY", "WAYLAND_DISPLAY", "BROWSER"].into_iter().any(is_set) {
        say(&mut std::io::stderr(), "barograph: there is no screen here: open the address in a browser of yours; --no-open says nothing of it");
        return Ok(());
    }
    let url = server.url_for_browser()?;
    let browser = env::var("BROWSER").ok().filter(|browser| !browser.is_empty());
    let named: Vec<&str> = browser.iter().flat_map(|list| list.split(':')).filter(|name| !name.contains("%s")).collect();
    for program in ["xdg-open"].into_iter().chain(named) {
        let mut command = Command::new(program);
        command.arg(&url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        // It is no child of a recording, and is not waited for.
        if command.spawn().is_ok() {
            return Ok(());
        }
    }
    say(&mut std::io::stderr(), "barograph: no browser could be started (xdg-open, $BROWSER): open the address yourself");
    Ok(())
}
