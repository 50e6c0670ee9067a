//! Prints what a recording would show: `cargo run -p barograph-view --example look -- RUN.baro`.

#![allow(clippy::print_stdout)]

use std::path::Path;

use barograph_view::{View, Window};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("which recording?")?;
    let view = View::open(Path::new(&path))?;
    let (from, to) = view.range();
    println!("{:?}, {:.1} s", view.state(), (to - from) as f64 / 1e9);
    for panel in view.panels() {
        println!("\n{}{} [{:?}] {:?}", panel.id, if panel.shown { "" } else { " (offered)" }, panel.unit, panel.limits);
        for line in view.lines(&panel.specs, Window { from, to, buckets: 20 })?.lines {
            let numbers: Vec<String> = line.points.mean.iter().map(|value| format!("{value:.3}")).collect();
            println!("  {} {:?} {:?}\n    {}", line.label, line.kind, line.summary, numbers.join(" "));
        }
    }
    println!("\n{:?}", view.lines(&[], Window { from, to, buckets: 20 })?.gaps);
    for process in view.processes_at(from + (to - from) / 2)? {
        println!("{process:?}");
    }
    Ok(())
}
