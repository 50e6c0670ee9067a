//! What a person sees in a browser: the server and its page.
//!
//! [`Server::bind`] finds the recordings and begins to record this machine; [`Server::run`] answers until it is interrupted. What page and server say to each
//! other stands in `page/src/api.ts`. Async is for sockets alone: whatever reads or writes a recording is done on a thread that may wait.

mod api;
mod assets;
mod failure;
mod guard;
#[cfg(any(test, feature = "fuzzing"))]
#[path = "../tests/hour/mod.rs"]
mod hour;
mod library;
mod machine;
mod making;
mod report;
mod server;
mod warm;

#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub use api::fuzzing;
pub use library::Refused;
pub use report::{Report, ReportError, ReportOptions, report};
pub use server::{DEFAULT_PORT, Error, Options, Server};
