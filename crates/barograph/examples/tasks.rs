//! Asynchronous tasks: each call is one span, however often and on whatever threads it has its turns.
//! `barograph run -o tasks.baro -- cargo run --example tasks`

use std::hint::black_box;
use std::time::Duration;

#[barograph::profile(number)]
async fn fetch(number: u32) -> Result<u64, String> {
    tokio::time::sleep(Duration::from_millis(20)).await;
    if number == 7 {
        return Err(format!("{number} is not there"));
    }
    Ok(parse(number).await)
}

#[barograph::profile]
async fn parse(number: u32) -> u64 {
    let mut sum = 0_u64;
    for turn in 0..10 {
        sum = (0..1_000_000).fold(sum, |sum, step| black_box(sum.wrapping_add(step ^ u64::from(number))));
        if turn % 2 == 0 {
            tokio::task::yield_now().await;
        }
    }
    sum
}

async fn all() -> usize {
    // What is spawned begins anew on any thread; a task that is made here says that it lies within what is open here.
    let fetches: Vec<_> = (0..8).map(|number| tokio::spawn(barograph::task!("spawned", number).run(fetch(number)))).collect();
    let mut found = 0;
    for fetch in fetches {
        found += usize::from(matches!(fetch.await, Ok(Ok(_))));
    }
    found
}

fn main() -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build()?;
    let found = runtime.block_on(barograph::task!("all").run(all()));
    barograph::mark!("all fetched", found);
    Ok(())
}
