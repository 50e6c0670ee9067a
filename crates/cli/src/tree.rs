//! `barograph tree`: a process and its descendants now, with what they use.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

use barograph_session::{Node, tree};
use clap::Args;
use serde_json::json;

use crate::options::MachineOptions;
use crate::paint::cut;
use crate::{attach, human, paint};

/// How long CPU use is watched, unless told: short enough to wait for, long enough to count some of the kernel's ticks of 10 ms.
const SAMPLE: &str = "300ms";

/// No process has this pid.
const NOBODY: i64 = -1;

/// Print the tree of a process: threads, memory and CPU of each, totals, and sums by command.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  barograph tree 4312
  barograph tree postgres
  barograph tree 1 --depth 2
  barograph tree $$ --json | jq .totals")]
pub(crate) struct TreeArgs {
    /// A pid, or the name of a program.
    #[arg(value_name = "PID|NAME")]
    process: String,
    /// Show this many generations; the rest is counted all the same.
    #[arg(long, value_name = "N")]
    depth: Option<usize>,
    /// How long to watch for the column of cores.
    #[arg(long, value_name = "TIME", default_value = SAMPLE, value_parser = crate::options::parse_duration)]
    sample: Duration,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    machine: MachineOptions,
}

pub(crate) fn run(args: &TreeArgs) -> anyhow::Result<ExitCode> {
    let machine = args.machine.open()?;
    let roots = attach::find(&machine, std::slice::from_ref(&args.process))?;
    let nodes = tree(&machine, roots, args.sample)?;
    anyhow::ensure!(!nodes.is_empty(), "{} has ended meanwhile", args.process);
    let mut out = std::io::stdout().lock();
    if args.json {
        paint::write_json(&mut out, &to_json(&nodes))?;
    } else {
        write_text(&mut out, &nodes, args.depth.unwrap_or(usize::MAX), std::io::stdout().is_terminal().then(|| paint::width(None)))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Sums over processes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Sum {
    processes: usize,
    threads: i64,
    resident_bytes: i64,
    cpu_seconds: f64,
    cores: f64,
}

fn sum<'a>(nodes: impl Iterator<Item = &'a Node>) -> Sum {
    nodes.fold(Sum::default(), |sum, node| Sum {
        processes: sum.processes + 1,
        threads: sum.threads + node.threads,
        resident_bytes: sum.resident_bytes + node.resident_bytes,
        cpu_seconds: sum.cpu_seconds + node.cpu_seconds,
        cores: sum.cores + node.cores,
    })
}

/// Sums of all processes of each name, the largest memory first.
fn by_name(nodes: &[Node]) -> Vec<(&str, Sum)> {
    let mut groups: BTreeMap<&str, Vec<&Node>> = BTreeMap::new();
    for node in nodes {
        groups.entry(&node.name).or_default().push(node);
    }
    let mut sums: Vec<_> = groups.into_iter().map(|(name, group)| (name, sum(group.into_iter()))).collect();
    sums.sort_by_key(|(_, sum)| std::cmp::Reverse(sum.resident_bytes));
    sums
}

/// The nodes in the order of the tree, each with its depth and with whether it, and each of its ancestors below the root, is the last of its siblings.
fn walk(nodes: &[Node]) -> Vec<(&Node, Vec<bool>)> {
    let mut children: HashMap<i64, Vec<&Node>> = HashMap::new();
    let pids: HashSet<i64> = nodes.iter().map(|node| node.pid).collect();
    for node in nodes {
        // Who has no parent among them is a root, the child of nobody.
        children.entry(if pids.contains(&node.parent) { node.parent } else { NOBODY }).or_default().push(node);
    }
    let of = |pid: i64| children.get(&pid).map_or(&[][..], Vec::as_slice);
    let mut waiting: Vec<(&Node, Vec<bool>)> = of(NOBODY).iter().rev().map(|&root| (root, Vec::new())).collect();
    let mut order = Vec::new();
    while let Some((node, path)) = waiting.pop() {
        let children = of(node.pid);
        for (index, &child) in children.iter().enumerate().rev() {
            let mut child_path = path.clone();
            child_path.push(index + 1 == children.len());
            waiting.push((child, child_path));
        }
        order.push((node, path));
    }
    order
}

/// The lines that lead to a node, as `│ ├─`.
fn branches(path: &[bool]) -> String {
    let Some((last, above)) = path.split_last() else { return String::new() };
    let above: String = above.iter().map(|&last| if last { "   " } else { "│  " }).collect();
    above + if *last { "└─ " } else { "├─ " }
}

/// Lines longer than `width` are cut, where it is given.
fn write_text(out: &mut impl Write, nodes: &[Node], depth: usize, width: Option<usize>) -> std::io::Result<()> {
    let fit = |line: String| width.map_or_else(|| line.clone(), |width| cut(&line, width).into_owned());
    writeln!(out, "{:>9}  {:>7}  {:>9}  {:>12}  {:>6}  COMMAND", "PID", "THREADS", "MEMORY", "CPU TIME", "CORES")?;
    let mut hidden = 0;
    for (node, path) in walk(nodes) {
        if path.len() > depth {
            hidden += 1;
            continue;
        }
        let zombie = if node.state == "Z" { " (ended, not collected)" } else { "" };
        let command = human::escape(&node.command);
        let line = format!("{}{command}{zombie}", branches(&path));
        let columns = columns(node.threads, node.resident_bytes, node.cpu_seconds, node.cores, &line);
        writeln!(out, "{}", fit(format!("{:>9}  {columns}", node.pid)))?;
    }
    if hidden > 0 {
        writeln!(out, "{:>9}  and {hidden} deeper in the tree", "")?;
    }
    let total = sum(nodes.iter());
    let word = if total.processes == 1 { "process" } else { "processes" };
    let line = format!("{} {word} in all", total.processes);
    writeln!(out, "\n{:>9}  {}", "total", columns(total.threads, total.resident_bytes, total.cpu_seconds, total.cores, &line))?;
    if nodes.len() > 1 {
        writeln!(out, "\nBy command:")?;
        for (name, sum) in by_name(nodes) {
            let times = if sum.processes > 1 { format!("{} ×{}", human::escape(name), sum.processes) } else { human::escape(name) };
            writeln!(out, "{:>9}  {}", "", columns(sum.threads, sum.resident_bytes, sum.cpu_seconds, sum.cores, &times))?;
        }
    }
    Ok(())
}

fn columns(threads: i64, resident_bytes: i64, cpu_seconds: f64, cores: f64, text: &str) -> String {
    let (memory, cpu) = (human::bytes(resident_bytes.unsigned_abs()), human::seconds(cpu_seconds));
    format!("{threads:>7}  {memory:>9}  {cpu:>12}  {cores:>6.2}  {text}")
}

fn to_json(nodes: &[Node]) -> serde_json::Value {
    let sum_json = |sum: Sum| {
        json!({
            "processes": sum.processes, "threads": sum.threads, "resident_bytes": sum.resident_bytes,
            "cpu_seconds": sum.cpu_seconds, "cores": sum.cores,
        })
    };
    let process = |node: &Node| {
        json!({
            "pid": node.pid, "parent_pid": node.parent, "name": node.name, "command_line": node.command, "state": node.state,
            "threads": node.threads, "resident_bytes": node.resident_bytes, "cpu_seconds": node.cpu_seconds, "cores": node.cores,
        })
    };
    let by_command: serde_json::Map<String, serde_json::Value> =
        by_name(nodes).into_iter().map(|(name, sum)| (name.to_owned(), sum_json(sum))).collect();
    json!({
        "processes": walk(nodes).into_iter().map(|(node, _)| process(node)).collect::<Vec<_>>(),
        "totals": sum_json(sum(nodes.iter())),
        "by_command": by_command,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(pid: i64, parent: i64, name: &str) -> Node {
        Node { pid, parent, name: name.to_owned(), command: name.to_owned(), threads: 2, resident_bytes: 1024, ..Node::default() }
    }

    #[test]
    fn a_tree_is_drawn_with_its_branches() {
        let nodes = [node(5, 1, "make"), node(6, 5, "cc"), node(7, 5, "cc"), node(8, 6, "as\x1b[31m")];
        let mut text = Vec::new();
        write_text(&mut text, &nodes, usize::MAX, None).unwrap();
        let text = String::from_utf8(text).unwrap();
        let begin = text.find("COMMAND").unwrap();
        let commands: Vec<String> = text.lines().skip(1).take(4).map(|line| line.chars().skip(begin).collect()).collect();
        assert_eq!(commands, ["make", "├─ cc", "│  └─ as\\x1b[31m", "└─ cc"]);
        assert!(text.contains("4 processes in all") && text.contains("cc ×2"), "{text}");
    }

    #[test]
    fn sums_are_by_name() {
        let nodes = [node(5, 1, "make"), node(6, 5, "cc"), node(7, 5, "cc")];
        let sums = by_name(&nodes);
        assert_eq!((sums[0].0, sums[0].1.processes, sums[0].1.resident_bytes), ("cc", 2, 2048));
        assert_eq!(sum(nodes.iter()).threads, 6);
    }
}
