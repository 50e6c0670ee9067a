//! What was true: recordings on disk, written and read.
