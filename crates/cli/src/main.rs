//! The barograph program.
fn main() {}
