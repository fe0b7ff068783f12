//! The mean data rate over a recent window. Pure: time and bytes are arguments.

use std::collections::VecDeque;
use std::time::Duration;

/// The rate, in bytes per second, below which a source or download counts as stalled; a modem is
/// faster.
pub const TRICKLE: u64 = 1 << 10;

/// Marks per window: the actual window is at most a sixteenth longer than requested.
const MARKS: u32 = 16;

/// Measures the mean rate over a sliding window.
#[derive(Clone, Debug)]
pub struct Pace {
    window: Duration,
    /// Times, and the number of bytes received by then; the first mark is the beginning of the
    /// window.
    marks: VecDeque<(Duration, u64)>,
}

impl Pace {
    /// Starts a measurement at `now`, when `bytes` bytes have been received.
    pub fn new(window: Duration, now: Duration, bytes: u64) -> Pace {
        Pace { window, marks: VecDeque::from([(now, bytes)]) }
    }

    /// Returns the mean rate over the window, or since the start of the measurement, in bytes per
    /// second.
    pub fn mean(&self, now: Duration, bytes: u64) -> u64 {
        let Some((since, before)) = self.marks.front() else { return 0 };
        let millis = now.saturating_sub(*since).as_millis().max(1);
        let came = u128::from(bytes.saturating_sub(*before));
        u64::try_from(came * 1000 / millis).unwrap_or(u64::MAX)
    }

    /// Whether the mean rate over the window is below [`TRICKLE`]; false until a whole window has
    /// passed.
    pub fn trickles(&mut self, now: Duration, bytes: u64) -> bool {
        let spacing = self.window / MARKS;
        if self.marks.back().is_none_or(|(at, _)| now.saturating_sub(*at) >= spacing) {
            self.marks.push_back((now, bytes));
        }
        while self.marks.get(1).is_some_and(|(at, _)| now.saturating_sub(*at) >= self.window) {
            self.marks.pop_front();
        }
        let Some((since, before)) = self.marks.front() else { return false };
        let elapsed = now.saturating_sub(*since);
        let came = u128::from(bytes.saturating_sub(*before));
        elapsed >= self.window && came * 1000 < u128::from(TRICKLE) * elapsed.as_millis()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(30);

    /// Returns the seconds, of two minutes, at which a source counts as trickling if it sends this
    /// many bytes in each second.
    fn trickles(bytes_in: impl Fn(u64) -> u64) -> Vec<u64> {
        let mut pace = Pace::new(WINDOW, Duration::ZERO, 0);
        let mut bytes = 0;
        let mut found = Vec::new();
        for second in 1..=120 {
            bytes += bytes_in(second);
            if pace.trickles(Duration::from_secs(second), bytes) {
                found.push(second);
            }
        }
        found
    }

    #[test]
    fn what_brings_a_byte_now_and_then_trickles_and_a_modem_does_not() {
        assert_eq!(trickles(|_| 1), (30..=120).collect::<Vec<_>>());
        assert_eq!(trickles(|_| 1023), (30..=120).collect::<Vec<_>>());
        assert_eq!(trickles(|_| 0), (30..=120).collect::<Vec<_>>());
        assert!(trickles(|_| 1024).is_empty());
        // In bursts, as pieces arrive.
        assert!(trickles(|second| if second % 15 == 0 { 16 << 10 } else { 0 }).is_empty());
    }

    #[test]
    fn what_came_long_ago_does_not_count_and_a_pause_is_forgiven() {
        let stopped = trickles(|second| if second <= 20 { 1 << 20 } else { 0 });
        assert!(stopped.first().is_some_and(|first| (50..=53).contains(first)), "{stopped:?}");
        let paused = trickles(|second| if second % 40 < 15 { 10_000 } else { 0 });
        assert!(paused.is_empty(), "{paused:?}");
    }

    #[test]
    fn the_mean_is_that_of_the_window() {
        let mut pace = Pace::new(WINDOW, Duration::ZERO, 500);
        assert_eq!(pace.mean(Duration::ZERO, 500), 0);
        assert_eq!(pace.mean(Duration::from_secs(10), 540), 4);
        for second in 1..=100 {
            pace.trickles(Duration::from_secs(second), 500 + 3 * second.min(70));
        }
        assert_eq!(pace.mean(Duration::from_secs(100), 500 + 3 * 70), 0);
        assert_eq!(pace.mean(Duration::from_secs(100), 500 + 3 * 70 + 600), 20);
    }

    #[test]
    fn marks_are_few_however_often_it_is_asked() {
        let mut pace = Pace::new(WINDOW, Duration::ZERO, 0);
        for millis in 0..200_000 {
            pace.trickles(Duration::from_millis(millis), millis);
        }
        assert!(pace.marks.len() <= MARKS as usize + 2, "{}", pace.marks.len());
    }
}
