//! A rate, smoothed over the last seconds. Time by argument.

use std::collections::VecDeque;
use std::time::Duration;

const WINDOW: Duration = Duration::from_secs(5);
/// Samples closer than this add nothing to a window of seconds.
const SPACING: Duration = Duration::from_millis(250);
/// A rate of less than this is noise: the first bytes came in one gulp.
const SHORTEST: Duration = Duration::from_millis(500);

/// Bytes a second over a sliding window of five seconds.
#[derive(Debug, Default)]
pub(super) struct Rate {
    /// Oldest first; the oldest is the last one that is at least a window old, where there is one.
    samples: VecDeque<(Duration, u64)>,
}

impl Rate {
    /// Takes how many bytes there are `now`, and says how many came a second.
    pub(super) fn push(&mut self, now: Duration, bytes: u64) -> u64 {
        // A count that falls was begun anew.
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
