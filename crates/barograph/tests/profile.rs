//! Functions of every shape under `#[profile]`: they still do what they did, and their spans end as they did.
#![cfg(feature = "macros")]
#![allow(clippy::unwrap_used, reason = "a test that can't go on should say where")]
#![allow(unsafe_code, reason = "a function may be unsafe")]

use std::fmt;
use std::future::Future;
use std::os::unix::net::UnixDatagram;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use barograph::profile;
use barograph_beacon::{Address, connect_to};

struct Table {
    rows: Vec<u32>,
}

/// An error that nobody can show.
struct Mute;

/// One that only programmers see.
#[derive(Debug)]
struct Blunt;

#[derive(Debug)]
struct Polite;

impl fmt::Display for Polite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not today")
    }
}

impl std::error::Error for Polite {}

type Outcome = Result<u32, Polite>;

impl Table {
    #[profile(rows = self.rows.len())]
    fn first(&self) -> Option<&u32> {
        self.rows.first()
    }

    #[profile]
    fn first_mut(&mut self) -> Result<&mut u32, Polite> {
        self.rows.first_mut().ok_or(Polite)
    }

    #[profile("grow")]
    fn grown(mut self, by: u32) -> Self {
        self.rows.push(by);
        self
    }

    #[profile]
    async fn sum(&self) -> Result<u32, Box<dyn std::error::Error>> {
        let first = *self.first().ok_or(Polite)?;
        Ok(first + self.rows.len() as u32)
    }
}

#[profile]
fn parse<T: std::str::FromStr>(mut text: String) -> Result<T, T::Err> {
    text.push('0');
    text.parse()
}

#[profile]
fn evens(up_to: u32) -> impl Iterator<Item = u32> {
    (0..up_to).step_by(2)
}

#[profile]
fn odds(up_to: u32) -> Result<impl Iterator<Item = u32>, Polite> {
    if up_to == 0 {
        return Err(Polite);
    }
    Ok((1..up_to).step_by(2))
}

#[profile]
fn mute() -> Result<(), Mute> {
    Err(Mute)
}

#[profile]
fn blunt() -> Result<(), Blunt> {
    Err(Blunt)
}

/// A name for a `Result` that is not written so is not looked into.
#[profile]
fn alias() -> Outcome {
    Err(Polite)
}

#[profile]
unsafe fn read(from: *const u32) -> u32 {
    // SAFETY: the caller's promise.
    unsafe { *from }
}

#[profile]
fn r#loop(depth: u32) -> u32 {
    if depth == 0 { 0 } else { 1 + r#loop(depth - 1) }
}

/// Runs a future that never has to wait.
fn run<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => unreachable!("nothing is waited for"),
    }
}

#[test]
fn functions_do_what_they_did_and_their_spans_end_as_they_did() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let socket = UnixDatagram::bind(&path).unwrap();
    assert!(connect_to(Address::Path(path)));
    let mut buffer = vec![0; 65_536];
    // What is said by a call.
    let mut said = |call: &mut dyn FnMut()| {
        call();
        assert_eq!(barograph::current(), None);
        socket.set_nonblocking(true).unwrap();
        let mut text = String::new();
        while let Ok(length) = socket.recv(&mut buffer) {
            text += std::str::from_utf8(&buffer[..length]).unwrap();
        }
        text
    };
    let is_error = |text: &str, why: &str| text.contains(&format!("\"status\":\"error\",\"detail\":\"{why}\""));

    let mut table = Table { rows: vec![7, 8] };
    let text = said(&mut || assert_eq!(table.first(), Some(&7)));
    assert!(text.starts_with("{\"begin\":\"first\"") && text.contains("\"attributes\":{\"rows\":2}") && !text.contains("error"), "{text}");
    assert!(text.contains("\"end\":\"") && text.lines().count() == 2);
    said(&mut || *table.first_mut().unwrap() = 9);
    assert_eq!(table.rows[0], 9);
    assert!(is_error(&said(&mut || assert!(Table { rows: Vec::new() }.first_mut().is_err())), "not today"));
    let mut grown = None;
    let text = said(&mut || grown = Some(Table { rows: vec![1] }.grown(2)));
    assert!(text.starts_with("{\"begin\":\"grow\"") && grown.as_ref().unwrap().rows == [1, 2]);
    let text = said(&mut || assert_eq!(run(table.sum()).unwrap(), 11));
    assert!(text.lines().count() == 4 && !text.contains("error"), "{text}");
    assert!(is_error(&said(&mut || assert!(run(Table { rows: Vec::new() }.sum()).is_err())), "not today"));

    said(&mut || assert_eq!(parse::<u32>("12".to_owned()), Ok(120)));
    // Of a type that stands for any, nobody knows there how it shows itself.
    assert!(is_error(&said(&mut || assert!(parse::<u32>("x".to_owned()).is_err())), "failed"));
    said(&mut || assert_eq!(evens(5).sum::<u32>(), 6));
    said(&mut || assert_eq!(odds(5).unwrap().sum::<u32>(), 4));
    assert!(is_error(&said(&mut || assert!(odds(0).is_err())), "not today"));
    assert!(is_error(&said(&mut || assert!(mute().is_err())), "failed"));
    assert!(is_error(&said(&mut || assert!(blunt().is_err())), "Blunt"));
    assert!(!said(&mut || assert!(alias().is_err())).contains("error"));
    // SAFETY: it is read from a variable.
    said(&mut || assert_eq!(unsafe { read(&5) }, 5));

    let text = said(&mut || assert_eq!(r#loop(3), 3));
    let begins: Vec<&str> = text.lines().filter(|line| line.starts_with("{\"begin\":\"loop\"")).collect();
    let id = |line: &str, key: &str| line.split(&format!("\"{key}\":\"")).nth(1).map(|rest| rest[..16].to_owned());
    assert_eq!(begins.len(), 4);
    assert!(begins.windows(2).all(|pair| id(pair[1], "parent") == id(pair[0], "span")), "{text}");
}
