//! A rate, smoothed over the last seconds. Time is passed as an argument.

use std::collections::VecDeque;
use std::time::Duration;

const WINDOW: Duration = Duration::from_secs(5);
/// Samples at shorter intervals add nothing to a window of seconds.
const SPACING: Duration = Duration::from_millis(250);
/// A rate over less than this is noise, because the first bytes arrive in a burst.
const SHORTEST: Duration = Duration::from_millis(500);

/// Bytes per second over a sliding window of five seconds.
#[derive(Debug, Default)]
pub(super) struct Rate {
    /// Oldest first. At most the first sample is older than the window.
    samples: VecDeque<(Duration, u64)>,
}

impl Rate {
    /// Records the byte count at time `now`, and returns the rate.
    pub(super) fn push(&mut self, now: Duration, bytes: u64) -> u64 {
        // A decreasing count means that counting restarted.
        if self.samples.back().is_some_and(|(_, last)| bytes < *last) {
            self.samples.clear();
        }
        if self.samples.back().is_none_or(|(last, _)| now.saturating_sub(*last) >= SPACING) {
            self.samples.push_back((now, bytes));
        }
        while self.samples.get(1).is_some_and(|(second, _)| now.saturating_sub(*second) >= WINDOW) {
            self.samples.pop_front();
        }
        let Some((since, before)) = self.samples.front() else { return 0 };
        let span = now.saturating_sub(*since);
        if span < SHORTEST {
            return 0;
        }
        (bytes.saturating_sub(*before) as f64 / span.as_secs_f64()) as u64
    }
}
