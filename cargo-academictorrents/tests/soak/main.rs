//! A soak test: processes download from faulty servers, are killed at random times, and resume from partial
//! downloads that were damaged in between.
//!
//! ```text
//! cargo test --test soak -- --ignored --nocapture
//! ```
//! Each round derives its choices from a seed, which is printed with every fault. `SOAK_SECONDS` sets the
//! duration (1,800 by default) and `SOAK_SEED` the first seed; `SOAK_SECONDS=0` repeats a single round.
//!
//! A round creates a dataset, a web seed, a peer and a catalog. It downloads into a store, into a user's
//! directory, or in a real `cargo build`. Attempts end by `kill -9` after a random time; between attempts, the
//! servers get other faults and the partial download is damaged. The servers of the last attempt have no faults.
//! The faults that are counted:
//!
//! - wrong: an attempt succeeded, or left a stamp, without the dataset's exact bytes
//! - lost: a file of the user changed, or the last attempt failed
//! - hung: the last attempt took longer than [`LONGEST`]

#![cfg(unix)]
#![allow(unreachable_pub, reason = "the modules of a test binary are public to one another")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "test code"
)]

#[allow(dead_code, reason = "the other tests use the rest")]
#[path = "../../../tests/it/fixture.rs"]
mod fixture;
mod round;
#[allow(unused_imports, reason = "the other tests use the rest")]
#[path = "../../../tests/it/swarm/mod.rs"]
mod swarm;

use std::time::{Duration, Instant};

use round::{Outcome, round};

/// The limit of the last attempt. Faults of servers cost seconds, and `TIMEOUT` is shorter.
const LONGEST: Duration = Duration::from_secs(90);

#[test]
#[ignore = "takes half an hour"]
fn soak() {
    let number = |name: &str, default: u64| {
        std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
    };
    let duration = Duration::from_secs(number("SOAK_SECONDS", 1_800));
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let mut seed = number("SOAK_SEED", now.as_millis() as u64);
    let (begun, mut said, mut total) = (Instant::now(), Instant::now(), Outcome::default());
    println!("seeds from {seed}");
    // Compiles the dependencies that all rounds with `cargo build` share before any round is timed.
    fixture::Fixture::new("soak", "").main("fn main() {}").cargo(&["build"]).ok();
    loop {
        let outcome = round(seed);
        for fault in &outcome.faults {
            println!("seed {seed}: {fault}");
        }
        total.add(outcome);
        seed += 1;
        let is_over = begun.elapsed() >= duration;
        if is_over || said.elapsed() > Duration::from_secs(60) {
            said = Instant::now();
            println!("{:>5} s, next seed {seed}: {total}", begun.elapsed().as_secs());
        }
        if is_over {
            break;
        }
    }
    assert!(total.faults.is_empty(), "{:#?}", total.faults);
}
