//! A figure in letters: to begin with, the panels as curves of blocks.

use std::fmt::Write;

use crate::figure::{Look, Run};

/// The panels in so many columns of text, with colours or without.
pub fn terminal(runs: &[Run], look: &Look, width: usize, _colours: bool) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "{} {width} {}", look.title, runs.len());
    out
}
