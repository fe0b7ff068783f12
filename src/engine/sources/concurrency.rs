//! How many connections a web seed gets: more as long as they add throughput.
//!
//! Throughput may be limited per connection (by its round trip, or by a server that throttles each
//! one) or as a whole; then more connections only add cost. So the number is doubled while that
//! adds throughput, up to a ceiling, which drops when the server refuses. Pure: time and bytes are
//! arguments.

use std::time::Duration;

/// Initial number of connections: as in browsers.
const FIRST: usize = 6;

/// Limit on connections to one web seed: what browsers and aria2 consider polite.
const MOST: usize = 16;

/// How long the throughput of a number of connections is measured, once all of them deliver: short
/// compared with a download.
const PROBE: Duration = Duration::from_millis(100);

/// The factor by which a step must raise the throughput to justify the next step.
const WORTHWHILE: f64 = 1.1;

#[derive(Clone, Debug)]
pub struct Concurrency {
    pub allowed: usize,
    ceiling: usize,
    /// When all allowed connections were first seen delivering, and the source's byte count at that
    /// time.
    since: Option<(Duration, u64)>,
    bytes_per_second: f64,
    settled: bool,
}

impl Concurrency {
    /// For a source whose missing bytes justify at most `useful` connections.
    pub fn up_to(useful: usize) -> Concurrency {
        let ceiling = useful.clamp(1, MOST);
        Concurrency {
            allowed: FIRST.min(ceiling),
            ceiling,
            since: None,
            bytes_per_second: 0.0,
            settled: false,
        }
    }

    /// For a source with a single connection.
    pub fn single() -> Concurrency {
        Concurrency::up_to(1)
    }

    /// Updates the limit. `delivering` is the number of connections that have delivered data,
    /// `bytes` the source's total so far.
    pub fn look(&mut self, now: Duration, delivering: usize, bytes: u64) {
        if self.settled || delivering < self.allowed || self.allowed == self.ceiling {
            self.since = None;
            return;
        }
        let (since, before) = *self.since.get_or_insert((now, bytes));
        let elapsed = now.saturating_sub(since);
        if elapsed < PROBE {
            return;
        }
        let rate = bytes.saturating_sub(before) as f64 / elapsed.as_secs_f64();
        if rate > self.bytes_per_second * WORTHWHILE {
            self.allowed = (self.allowed * 2).min(self.ceiling);
            self.bytes_per_second = rate;
        } else {
            self.settled = true;
        }
        self.since = None;
    }

    /// Lowers the ceiling to `most`.
    pub fn limit(&mut self, most: usize) {
        self.ceiling = self.ceiling.min(most.max(1));
        self.allowed = self.allowed.min(self.ceiling);
    }

    /// Halves the number for good: the server refused, failed, or asked for a pause.
    pub fn shrink(&mut self) {
        self.allowed = self.allowed.div_ceil(2);
        self.ceiling = self.allowed;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The final limit if `rate` maps the number of connections to bytes per second.
    fn settles_at(useful: usize, rate: impl Fn(usize) -> u64) -> usize {
        let mut concurrency = Concurrency::up_to(useful);
        let mut bytes = 0;
        for tick in 0..100 {
            concurrency.look(Duration::from_millis(tick * 50), concurrency.allowed, bytes);
            bytes += rate(concurrency.allowed) / 20;
        }
        concurrency.allowed
    }

    #[test]
    fn connections_grow_while_they_bring_more() {
        assert_eq!(settles_at(64, |connections| connections as u64 * 1_000_000), 16);
        // The first step is always tried; it adds nothing, so there is no second.
        assert_eq!(settles_at(64, |_| 1_000_000), 12);
        assert_eq!(settles_at(64, |connections| connections.min(8) as u64 * 1_000_000), 16);
        assert_eq!(settles_at(1, |connections| connections as u64 * 1_000_000), 1);
    }

    #[test]
    fn a_server_that_says_no_gets_fewer_for_good() {
        let mut concurrency = Concurrency::up_to(64);
        concurrency.allowed = 8;
        concurrency.shrink();
        concurrency.look(Duration::ZERO, 4, 0);
        concurrency.look(Duration::from_secs(1), 4, 1 << 30);
        assert_eq!(concurrency.allowed, 4);
        (0..5).for_each(|_| concurrency.shrink());
        assert_eq!(concurrency.allowed, 1);
    }

    #[test]
    fn a_server_without_ranges_gets_no_more_than_it_has_files() {
        let mut concurrency = Concurrency::up_to(64);
        concurrency.limit(20);
        assert_eq!(concurrency.allowed, 6);
        concurrency.limit(4);
        assert_eq!(concurrency.allowed, 4);
        concurrency.limit(0);
        assert_eq!(concurrency.allowed, 1);
    }

    #[test]
    fn nothing_is_measured_until_all_connections_bring_data() {
        let mut concurrency = Concurrency::up_to(64);
        concurrency.look(Duration::ZERO, 5, 0);
        concurrency.look(Duration::from_secs(9), 5, 1 << 30);
        assert_eq!(concurrency.allowed, 6);
    }
}
