//! How it went with a source so far: whether it is tried again, and when.

use std::time::Duration;

use super::event::WorkerOutcome;
use crate::net::SourceError;

/// A connection that had brought something before it broke is no sign of a dead source: it is asked again at once, but only
/// so many times in a back-off, however little it brings.
const AT_ONCE: u32 = 10;

/// How patient one is with sources.
#[derive(Clone, Copy, Debug)]
pub struct RetryPolicy {
    /// The pause after the first failure, doubled each time, and after a place was given up.
    pub pause: Duration,
    /// It is given up after so many failures with nothing in between.
    pub failures: u32,
}

/// The connections to one source.
#[derive(Debug, Default)]
pub struct Attempts {
    /// Connections now. A peer's begins with being dialed.
    pub working: usize,
    /// Its last connection brought something.
    pub brought: bool,
    pub failures: u32,
    /// How often it gave up its place to others.
    pub gave_way: u32,
    /// How often a connection was begun, and when that was last.
    pub tries: u32,
    pub begun: Duration,
    pub not_before: Duration,
    pub lost: bool,
}

impl Attempts {
    /// A connection is begun.
    pub fn begin(&mut self, now: Duration) {
        self.working += 1;
        (self.tries, self.begun) = (self.tries.saturating_add(1), now);
    }

    /// Whether a connection may begin.
    pub fn may_begin(&self, now: Duration) -> bool {
        !self.lost && now >= self.not_before
    }

    /// Whether it is lost for good, and no connection is left.
    pub fn is_over(&self) -> bool {
        self.lost && self.working == 0
    }

    /// Whether it is neither lost nor known to fail.
    pub fn goes_well(&self) -> bool {
        !self.lost && (self.failures == 0 || self.working > 0)
    }

    /// How many rounds it has had to no avail: others that had fewer come before it.
    pub fn round(&self) -> u32 {
        self.failures.saturating_add(self.gave_way)
    }

    /// A connection has come to its end, or to nothing. `is_wanted`: there is something to ask for; who is asked for nothing need
    /// not stay. Gives what is to be said of it.
    pub fn end(
        &mut self,
        outcome: WorkerOutcome,
        brought_bytes: u64,
        now: Duration,
        policy: RetryPolicy,
        is_wanted: bool,
    ) -> Option<SourceError> {
        self.working = self.working.saturating_sub(1);
        match outcome {
            WorkerOutcome::Ended => {
                self.failures = 0;
                None
            }
            WorkerOutcome::Failed(why) => {
                if brought_bytes > 0 {
                    self.failures = 0;
                    self.not_before = self.not_before.max(self.begun + policy.pause / AT_ONCE);
                // Connections that fail together, as they do when a server goes, are one failure.
                } else if now >= self.not_before && is_wanted {
                    let doubled = 2_u32.saturating_pow(self.failures);
                    self.failures += 1;
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
            // Of a banned one it was noted already which piece was wrong.
            WorkerOutcome::Lost(why) => (!std::mem::replace(&mut self.lost, true)).then_some(why),
        }
    }
}
