//! A soak: processes fetch datasets from faulty servers and are killed at random, and what they left is damaged.
//!
//! ```text
//! cargo test --test soak -- --ignored --nocapture
//! ```
//! Each round takes its choices from a seed, which is printed where something is wrong. `SOAK_SECONDS` says how long
//! (1,800 by default), `SOAK_SEED` where to begin: a single round is repeated with `SOAK_SECONDS=0`.
//!
//! A round makes a dataset, a web seed, a peer and a catalog, and fetches into a store, into a directory of the user's, or
//! in a real `cargo build`. Attempts end by `kill -9` after a random time; between them the servers get other faults, and
//! the partial dataset is damaged. The last attempt meets honest servers. Counted are:
//!
//! - wrong: an attempt that succeeded, or a stamp, without the dataset's exact bytes
//! - lost: a file of the user's that changed, or a last attempt that failed
//! - hung: an attempt that took longer than [`LONGEST`]

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

/// What any attempt may take: servers' faults cost seconds, and `TIMEOUT` is shorter.
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
    // What all rounds with `cargo build` share is compiled before any is timed.
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
