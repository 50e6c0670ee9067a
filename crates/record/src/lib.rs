//! When to ask the sources, and whom to tell.
