//! Recordings and the live machine in a terminal: `barograph top`.
