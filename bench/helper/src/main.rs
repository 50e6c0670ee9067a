//! What the benches need beside the programs that they compare: loads to watch, the least that watching could cost, and peers that are libraries of Rust.
//!
//! Plain libc and `unsafe`: a load of ten thousand processes is forked without exec, and a limit must not pay for a library.

mod hot;
mod limit;
mod load;
mod raw;
mod wrap;

use std::process::ExitCode;

const USAGE: &str = "\
bench-helper [--cgroup FOLDER] COMMAND
  crowd COUNT [ACTIVE_PERCENT [HZ]]      processes that sleep; so many per cent of them wake HZ times a second. Prints 'ready'
  threads COUNT                          one process of sleeping threads. Prints 'ready'
  work HZ                                one process that works a little, HZ times a second. Prints 'ready'
  storm PER_SECOND SECONDS               starts and collects short processes at this rate, as far as it can; prints what came of it
  births COUNT                           the same, so many as fast as can be
  steal BUSY_MS IDLE_MS                  takes each core from everybody for up to BUSY_MS at a time, with up to IDLE_MS between, until it is ended
  limit-all kept|open HZ FILE            records stat and io of all processes, raw, until SIGTERM
  limit-one PID HZ FILE                  the same of one process
  hot all|crowd PARENT ROUNDS            what one reading costs, by method: JSON
  wrap ROUNDS [NAME=COMMAND LINE]…       wall time of commands, started in turn: JSON";

fn main() -> ExitCode {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|word| word == "--cgroup") && arguments.len() > 2 {
        // A job that is started by the recorder under test leaves its control group, so that what is counted there is the recorder alone.
        if let Err(error) = std::fs::write(format!("{}/cgroup.procs", arguments[1]), "0") {
            eprintln!("bench-helper: can't join {}: {error}", arguments[1]);
            return ExitCode::FAILURE;
        }
        arguments.drain(..2);
    }
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["crowd", count] => load::crowd(number(count), 0, 1.0),
        ["crowd", count, percent] => load::crowd(number(count), number(percent), 1.0),
        ["crowd", count, percent, hz] => load::crowd(number(count), number(percent), float(hz)),
        ["threads", count] => load::threads(number(count)),
        ["work", hz] => load::work(float(hz)),
        ["storm", rate, seconds] => load::storm(Some(float(rate)), float(seconds), u64::MAX),
        ["births", count] => load::storm(None, f64::INFINITY, number(count) as u64),
        ["steal", busy, idle] => load::steal(number(busy), number(idle)),
        ["limit-all", how, hz, file] => limit::all(*how == "kept", float(hz), file),
        ["limit-one", pid, hz, file] => limit::one(number(pid) as u32, float(hz), file),
        ["hot", which, parent, rounds] => hot::measure(*which == "all", number(parent) as u32, number(rounds)),
        ["wrap", rounds, commands @ ..] => wrap::measure(number(rounds), commands),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::FAILURE;
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench-helper: {error}");
            ExitCode::FAILURE
        }
    }
}

fn number(word: &str) -> usize {
    word.parse().unwrap_or_else(|_| panic!("{word} is no number"))
}

fn float(word: &str) -> f64 {
    word.parse().unwrap_or_else(|_| panic!("{word} is no number"))
}
