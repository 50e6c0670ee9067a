//! What the fuzz target `said` of `fuzz/` calls: any lines as what a program sends to the beacon.
#![allow(clippy::unwrap_used, reason = "a fuzz target says what is wrong by panicking")]

use crate::beacon::take_any;
use crate::order::understand;

/// The lines of a datagram: each becomes at most one row with nothing in it that is too long, or an order that can be sent again, or is refused.
pub fn said(bytes: &[u8]) {
    for line in bytes.split(|byte| *byte == b'\n') {
        take_any(line);
        let sent = understand(line);
        if let Ok(order) = sent.order {
            let again = understand(&order.to_line(&sent.id));
            assert_eq!((format!("{:?}", again.order.unwrap()), again.id), (format!("{order:?}"), sent.id));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    #[test]
    fn every_input_of_the_fuzzer_is_rows_orders_or_refused() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/said");
        let inputs: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(!inputs.is_empty());
        for input in inputs {
            assert!(std::panic::catch_unwind(|| said(&fs::read(&input).unwrap())).is_ok(), "{}", input.display());
        }
    }
}
