//! Bytes written and sent, against what the job knows that it wrote and sent, and other counters of the kernel over the same time.

#![allow(clippy::print_stderr, reason = "a comparison that was left out says so")]

use std::os::unix::fs::PermissionsExt;

use barograph_store::Frame;

use crate::harness::{BAROGRAPH, Place, Ran, finish, job, last, python, rows};
use crate::truth::{assert_same, report};

const MIB: f64 = (1 << 20) as f64;

/// The numbers in the last line that the job printed.
fn printed<const N: usize>(ran: &Ran) -> [f64; N] {
    let stdout = ran.stdout();
    let numbers: Vec<f64> = stdout.lines().next_back().unwrap_or_default().split(' ').filter_map(|word| word.parse().ok()).collect();
    numbers.try_into().unwrap_or_else(|_| panic!("{:?} {}", ran.output, ran.stderr()))
}

/// By how much a counter of one subject grew from its first row to its last.
fn growth(frame: &Frame, key: &str, subject: &str, column: &str) -> f64 {
    let values: Vec<f64> =
        frame.texts(key).into_iter().zip(frame.floats(column)).filter(|row| row.0 == Some(subject)).filter_map(|row| row.1).collect();
    values.last().unwrap() - values[0]
}

#[test]
fn bytes_on_disk_are_those_that_were_written() {
    let place = Place::new();
    let ran = place.run(&["-i", "100ms"], &[python(), &job("write.py"), "100"]);
    let [write_bytes, wchar, sectors] = printed(&ran);
    let timeline = ran.timeline();
    let table = rows(&timeline, "job").unwrap();
    assert_same("write(2), by /proc/self/io", last(&table, "written_bytes"), wchar, 0.0);
    assert_same("write(2), by the job", last(&table, "written_bytes"), 100.0 * MIB, 0.0);
    assert_same("to storage, by /proc/self/io", last(&table, "storage_written_bytes"), write_bytes, 0.0);
    let report = report(&place);
    assert_same("report", report["job"]["written"]["total"].as_f64().unwrap(), wchar, 0.0);
    if write_bytes == 0.0 || sectors < 100.0 * MIB {
        eprintln!("left out: this folder is not on a disk of its own that counts sectors");
        return;
    }
    assert_same("to storage, by the job", last(&table, "storage_written_bytes"), 100.0 * MIB, 0.0);
    // Which of the disks it was, its own growth tells: whatever others write meanwhile is in both.
    let disk = rows(&timeline, "disk").unwrap();
    let mut names: Vec<&str> = disk.texts("device").into_iter().flatten().collect();
    names.sort_unstable();
    names.dedup();
    let grown = names.iter().map(|name| growth(&disk, "device", name, "written_bytes")).fold(0.0, f64::max);
    // Others may write between the job's readings and ours, and what is written is at least what the job wrote.
    assert!(grown >= sectors * 0.999, "{grown} of {sectors}");
    assert!(grown <= sectors * 1.5 + 64.0 * MIB, "sectors are not of 512 bytes: {grown}, and the job says {sectors}");
}

#[test]
fn bytes_over_the_loopback_are_those_that_were_sent() {
    // In a network namespace nobody else sends. Who may not make one compares on the machine's own `lo`, and has others on it.
    let place = Place::new();
    let alone = place.command("unshare").args(["--net", "true"]).status().is_ok_and(|status| status.success());
    std::fs::set_permissions(place.path(""), std::fs::Permissions::from_mode(0o755)).unwrap();
    let wrapper: &[&str] = if alone { &["unshare", "--net"] } else { &["env"] };
    let mut command = place.command(wrapper[0]);
    command.args(&wrapper[1..]).args([BAROGRAPH, "run", "-q", "-o", "run", "-i", "100ms", "--"]);
    command.args([python(), &job("transfer.py"), "64", "2"]).args(alone.then_some("up"));
    let ran = Ran { output: finish(command), recording: place.path("run.baro") };
    let [sent, counted] = printed(&ran);
    let timeline = ran.timeline();
    let network = rows(&timeline, "network").unwrap();
    for column in ["received_bytes", "sent_bytes"] {
        let ours = growth(&network, "interface", "lo", column);
        if alone {
            assert_same(&format!("{column}, by IP"), ours, counted, 0.0);
            assert_same(&format!("{column}, by the job"), ours, sent, 0.0);
        } else {
            assert!(ours >= sent * 0.98, "{column}: {ours} of {sent}");
        }
    }
    // recv(2) and send(2) are not among reads and writes, as the help of the columns says.
    let table = rows(&timeline, "job").unwrap();
    assert!(last(&table, "written_bytes") < MIB, "{}", last(&table, "written_bytes"));
}
