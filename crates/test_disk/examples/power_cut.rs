//! Cuts the power under a real program: `power_cut FOLDER STATES -- COMMAND…` runs the command on a disk of its own, and writes into the folder so many
//! states in which a power cut could have left that disk, at random moments, each with its moment in `cut.json`. `bench/lost.py` looks at them.
#![allow(clippy::print_stderr, clippy::exit, reason = "a program for a person at a terminal")]

use std::error::Error;
use std::path::Path;
use std::process::{Command, exit};
use std::{env, fs};

use barograph_test_disk::{Law, TestDisk};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [folder, states, dashes, program, rest @ ..] = arguments.as_slice() else { usage() };
    if dashes != "--" {
        usage();
    }
    let (folder, states) = (Path::new(folder), states.parse::<usize>()?);
    let disk = TestDisk::mount()?;
    let status = Command::new(program).args(rest).current_dir(disk.path()).status()?;
    let mut life = disk.history();
    let (began, ended) = life.time();
    eprintln!("{status}; {} changes and syncs in {:.1} s", life.moments(), (ended - began) as f64 / 1e9);
    fs::write(folder.join("began.json"), format!("{{\"boot_nanos\": {began}}}"))?;
    for state in 0..states {
        // Evenly spread over the time, and so over what the program did all the while.
        let cut_at = began + ((ended - began) as f64 * state as f64 / states as f64) as i64;
        life.advance(life.moment_at(cut_at));
        let into = folder.join(format!("{state:06}"));
        fs::create_dir(&into)?;
        life.cut(if state % 2 == 0 { Law::Ordered } else { Law::AnyOrder }, state as u64, &into)?;
        fs::write(into.join("cut.json"), format!("{{\"boot_nanos\": {cut_at}}}"))?;
    }
    Ok(())
}

fn usage() -> ! {
    eprintln!("usage: power_cut FOLDER STATES -- COMMAND…");
    exit(2)
}
