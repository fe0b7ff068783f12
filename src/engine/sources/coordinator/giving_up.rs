//! When a download is hopeless, and the error for that.

use std::time::Duration;

use super::Coordinator;
use crate::error::{Error, ErrorKind};
use crate::net::Timing;

/// If a file is unavailable, the other files may still finish as long as data arrives, but for at
/// most this many times the back-off.
const PATIENCE: u32 = 10;

impl Coordinator<'_> {
    pub(super) fn gave_up(&self, what: &str) -> Error {
        self.manager.note_silent(self.swarm.now());
        let missing = crate::size::display(self.swarm.schedule().wanted_bytes());
        let error = Error::new(ErrorKind::Network, format!("{what}: {missing} are missing"));
        let error = self.swarm.phase.report.explain(error);
        let error = if self.swarm.phase.report.is_empty() && self.left_out.is_empty() {
            error.why("the torrent lists no tracker or web seed, and no other source is known")
        } else {
            self.left_out.explain(error)
        };
        self.left_out.advise(self.refreshing.explain(error))
    }

    /// Whether no remaining source can provide what is missing.
    pub(super) fn is_hopeless(&mut self, now: Duration) -> bool {
        if !self.waiting.is_empty() || self.manager.peers.is_looking_up() {
            return false;
        }
        if self.open_tiers.is_empty() && self.manager.is_exhausted() {
            return true;
        }
        if !self.manager.lacks_a_file() {
            self.short_since = None;
            return false;
        }
        // The servers' other files may be nearly complete.
        let since = *self.short_since.get_or_insert(now);
        let timing = self.swarm.phase.client.timing();
        let quiet = now.saturating_sub(since.max(self.swarm.last_useful()));
        if quiet < timing.back_off && now.saturating_sub(since) < timing.back_off * PATIENCE {
            return false;
        }
        let waited = now.saturating_sub(self.active_since);
        let all_heard_of =
            self.unheard_tiers.is_empty() || waited >= round_within(&timing, self.longest_tier);
        let sooner = timing.may_end_sooner && all_heard_of && !self.manager.peers_may_help(now);
        sooner || (self.open_tiers.is_empty() && self.manager.peers.is_exhausted())
    }
}

/// How long to wait for a tier with `trackers` trackers to finish its first round: they are asked
/// one after another, and each may be silent.
fn round_within(timing: &Timing, trackers: usize) -> Duration {
    let trackers = u32::try_from(trackers.max(1)).unwrap_or(u32::MAX);
    timing.reply.saturating_mul(trackers).min(timing.give_up)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tier_has_time_to_ask_each_of_its_trackers_within_the_timeout() {
        let seconds = Duration::from_secs;
        let timing = Timing::for_timeout(seconds(120));
        // The DHT alone, one tracker, a dead tracker before a live one, five trackers.
        let within: Vec<_> = [0, 1, 2, 5].map(|it| round_within(&timing, it)).into();
        assert_eq!(within, [15, 15, 30, 75].map(seconds));
        assert_eq!(round_within(&timing, 100), seconds(120));
        assert_eq!(round_within(&timing, usize::MAX), seconds(120));
    }
}
