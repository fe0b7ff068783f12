//! Whether the cost of work grows with its size, or with the square of it. Independent of how fast the machine is.

use std::time::{Duration, Instant};

/// Runs the work with 4,000 and with 64,000 items. Asserts that 16 times as many take less than 80 times as long: with quadratic
/// cost, they would take 256 times as long.
#[track_caller]
pub fn assert_linear(work: impl Fn(usize)) {
    let time = |items| {
        let begun = Instant::now();
        work(items);
        begun.elapsed()
    };
    // The shortest of several runs: another process may have interrupted the others.
    let few: Duration = (0..5).map(|_| time(4_000)).min().unwrap();
    let many: Duration = (0..2).map(|_| time(64_000)).min().unwrap();
    assert!(many < few * 80, "{few:?} for 4,000 items, {many:?} for 64,000");
}
