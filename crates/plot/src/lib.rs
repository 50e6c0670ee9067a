//! Recordings on paper: the figures of `barograph plot`, as SVG, PNG and PDF, and in the terminal.
