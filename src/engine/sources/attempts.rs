//! The connection history of a source: whether it is tried again, and when.

use std::time::Duration;

use super::event::WorkerOutcome;
use crate::net::SourceError;

/// If a connection delivered data before it broke, the source is not dead and is tried again almost
/// at once: at most this many times per back-off pause, however little each connection delivers.
const AT_ONCE: u32 = 10;

/// How often and how soon failed sources are retried.
#[derive(Clone, Copy, Debug)]
pub struct RetryPolicy {
    /// The pause after the first failure, doubled after each further failure. Also the pause after
    /// a source gave up its place.
    pub pause: Duration,
    /// Number of consecutive failures after which a source is given up.
    pub failures: u32,
}

/// The history of the connections to one source.
#[derive(Debug, Default)]
pub struct Attempts {
    /// Current connections. For a peer, dialing counts.
    pub working: usize,
    /// The last connection delivered data.
    pub brought: bool,
    pub failures: u32,
    /// How often the source gave up its place to others.
    pub gave_way: u32,
    /// The number of connections started so far, and when the last one started.
    pub tries: u32,
    pub begun: Duration,
    pub not_before: Duration,
    pub lost: bool,
}

impl Attempts {
    /// Records the start of a connection.
    pub fn begin(&mut self, now: Duration) {
        self.working += 1;
        (self.tries, self.begun) = (self.tries.saturating_add(1), now);
    }

    /// Whether a new connection may start.
    pub fn may_begin(&self, now: Duration) -> bool {
        !self.lost && now >= self.not_before
    }

    /// Whether the source is lost for good and has no connection left.
    pub fn is_over(&self) -> bool {
        self.lost && self.working == 0
    }

    /// Whether the source is not lost, and is connected or did not fail last.
    pub fn goes_well(&self) -> bool {
        !self.lost && (self.failures == 0 || self.working > 0)
    }

    /// The number of rounds that the source used without success. Sources with fewer rounds have
    /// priority.
    pub fn round(&self) -> u32 {
        self.failures.saturating_add(self.gave_way)
    }

    /// Records the end of a connection or of a failed attempt, and returns the error to report, if
    /// any. `is_wanted`: something is left to request; otherwise a closed connection does not count
    /// as a failure.
    pub fn end(
        &mut self,
        outcome: WorkerOutcome,
        brought_bytes: u64,
        now: Duration,
        policy: RetryPolicy,
        is_wanted: bool,
    ) -> Option<SourceError> {
        self.working = self.working.saturating_sub(1);
        let is_of_file = matches!(outcome, WorkerOutcome::FileFailed(_));
        match outcome {
            WorkerOutcome::Ended => {
                self.failures = 0;
                None
            }
            WorkerOutcome::Failed(why) | WorkerOutcome::FileFailed(why) => {
                if brought_bytes > 0 {
                    self.failures = 0;
                    self.not_before = self.not_before.max(self.begun + policy.pause / AT_ONCE);
                // Connections that fail together, as when a server goes down, count as one failure.
                } else if now >= self.not_before && is_wanted {
                    let doubled = 2_u32.saturating_pow(self.failures);
                    let most = policy.failures - u32::from(is_of_file);
                    self.failures = most.min(self.failures + 1);
                    self.not_before = now + policy.pause * doubled;
                }
                self.lost |= self.failures >= policy.failures;
                Some(why)
            }
            WorkerOutcome::Paused(pause, why) => {
                self.not_before = self.not_before.max(now + pause);
                Some(why)
            }
            WorkerOutcome::GaveWay(why) => {
                self.gave_way = self.gave_way.saturating_add(1);
                self.not_before = self.not_before.max(now + policy.pause);
                Some(why)
            }
            // The report already names the corrupt piece of a banned source.
            WorkerOutcome::Lost(why) => (!std::mem::replace(&mut self.lost, true)).then_some(why),
        }
    }
}
