//! End to end: the real binary on real jobs, and what its recordings then say.
//!
//! Nothing here asserts how fast anything is. Where a test must wait, it asks again and again until a deadline far beyond what a loaded machine needs.
#![allow(clippy::unwrap_used, reason = "a test that can't go on should say where")]

mod beacon;
mod commands;
mod confined;
mod container;
mod control;
mod crash;
mod disks;
mod exit;
mod failures;
mod harness;
mod hostile;
mod library;
#[cfg(feature = "lines")]
mod lines;
mod little_room;
mod numbers;
mod output;
mod places;
mod preloaded;
mod rules;
mod says;
mod signals;
mod spans;
mod terminal;
#[cfg(feature = "top")]
mod top;
mod tree;
mod truth;
mod truth_bytes;
mod truth_memory;
mod truth_unprivileged;
mod untouched;
#[cfg(feature = "web")]
mod view;
