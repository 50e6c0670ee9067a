//! A plain program that says what it is doing: `barograph run -o words.baro -- cargo run --example words`, then `barograph report words.baro`.

use std::hint::black_box;

/// Each call is a span; a `Result` that is an error ends it in that error.
#[barograph::profile(rows)]
fn sort(rows: u64) -> Result<u64, String> {
    let mut table: Vec<u64> = (0..rows).map(|row| row.wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect();
    table.sort_unstable();
    let largest = table.last().copied().ok_or_else(|| "there is nothing to sort".to_owned());
    black_box(largest)
}

fn main() {
    for epoch in 0..3_u32 {
        let _epoch = barograph::span!("epoch", number = epoch);
        for rows in [0, 10_000, 1_000_000] {
            if let Err(error) = sort(rows) {
                barograph::mark!("passed over", error = %error);
            }
        }
        barograph::gauge!("loss", 1.0 / f64::from(epoch + 1));
    }
    barograph::mark!("done");
}
