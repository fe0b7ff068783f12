//! How long to wait for sources. Derived from the user's `TIMEOUT`, except for the constants.

use std::time::Duration;

use crate::protocol::udp_tracker::FIRST_WAIT;
use crate::settings::LONGEST_TIMEOUT;

/// How often a coordinator checks its state when nothing happens.
pub const TICK: Duration = Duration::from_millis(50);

/// How long a read from a peer waits before its thread checks for keep-alives, new work and the end
/// of the download.
pub const LOOK_AROUND: Duration = Duration::from_millis(100);

/// As [`LOOK_AROUND`], for a peer that connected to us and waits for blocks.
#[cfg(feature = "seed")]
pub const LOOK_AROUND_SERVING: Duration = Duration::from_millis(5);

/// How often an interested peer's upload slot is checked.
pub const SLOT_LOOK: Duration = Duration::from_secs(1);

/// How long the last announces to trackers may take. The whole end takes less than a second,
/// including the time to notice it.
pub const GOODBYE: Duration = Duration::from_millis(800);

/// How long a hurried dial may take: a lost first packet is sent again after one second.
pub const HURRIED: Duration = Duration::from_millis(1_500);

/// How long to wait for a connection that fetched metadata and is to be reused for data. Its thread
/// checks more often than that.
pub const HANDED_OVER_WITHIN: Duration = Duration::from_millis(250);

/// A peer that connected to us is silent for at most two minutes (BEP 3); some more are allowed.
#[cfg(feature = "seed")]
pub const GUEST_SILENCE: Duration = Duration::from_secs(150);

/// A peer that requests nothing of a complete dataset is disconnected after this time.
#[cfg(feature = "seed")]
pub const GUEST_IDLE: Duration = Duration::from_secs(60);

/// Factors of [`Timing::useless`] and [`Timing::refusal`].
const USELESS_SILENCES: u32 = 3;
const REFUSALS_IN_A_SILENCE: u32 = 10;

/// A peer that sends nothing useful while others wait first keeps its place for this fraction of
/// the silence.
const SLICES: u32 = 10;

/// Timeouts and intervals. All but `announce` are derived from the user's `TIMEOUT`, so that tests
/// run in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// The download gives up after so long without a byte from any source.
    pub give_up: Duration,
    /// Whether a download that cannot succeed may end sooner, because the user did not choose
    /// `give_up`.
    pub may_end_sooner: bool,
    /// For name look-up, connection and TLS.
    pub connect: Duration,
    /// A source that is silent for so long loses its claims.
    pub silence: Duration,
    /// For a whole reply of a tracker or the catalog.
    pub reply: Duration,
    /// The shortest interval between announces to a tracker, even if it asks for a shorter one.
    pub announce: Duration,
    /// After so long without data, the catalog is asked for other sources.
    pub refresh: Duration,
    /// The pause before the first retry of a failed source; doubled each time.
    pub back_off: Duration,
    /// How long to wait for a UDP tracker's first answer; doubled each time (BEP 15).
    pub datagram: Duration,
    /// How long to wait for the answer of a DHT node.
    #[cfg(feature = "dht")]
    pub node: Duration,
}

impl Timing {
    /// Derives all values. With the default `TIMEOUT` of 120 s: 10 s to connect, 20 s of silence,
    /// 15 s for a reply, 1 s of back-off, and 15 s for the answer to a datagram. Three such tries,
    /// each twice as long as the one before, take 105 s.
    pub fn for_timeout(give_up: Duration) -> Timing {
        let give_up = give_up.min(LONGEST_TIMEOUT);
        Timing {
            give_up,
            may_end_sooner: false,
            connect: Duration::from_secs(10).min(give_up / 3),
            silence: Duration::from_secs(20).min(give_up / 3),
            reply: Duration::from_secs(15).min(give_up / 2),
            announce: Duration::from_secs(60),
            refresh: Duration::from_secs(10).min(give_up / 3),
            back_off: Duration::from_secs(1).min(give_up / 20),
            datagram: FIRST_WAIT.min(give_up / 8),
            #[cfg(feature = "dht")]
            node: crate::protocol::dht::WAIT.min(give_up / 8),
        }
    }

    /// Returns how long a useless peer keeps its place while others wait, by how often it gave way
    /// before. Doubled each time, so that slow peers finish too.
    pub fn slice(&self, gave_way: u32) -> Duration {
        let first = self.silence / SLICES;
        first.saturating_mul(2_u32.saturating_pow(gave_way)).min(self.silence)
    }

    /// Returns how long a peer may not unchoke us, or have nothing for us, before it is
    /// disconnected. Shorter than the time after which the download gives up, so that the failure
    /// report says what the peer did.
    pub fn useless(&self) -> Duration {
        (self.silence * USELESS_SILENCES).min(self.give_up / 2)
    }

    /// Returns how long a request that a peer rejected is not repeated.
    pub fn refusal(&self) -> Duration {
        self.silence / REFUSALS_IN_A_SILENCE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_timeout_can_be_added_to_any_time() {
        let timing = Timing::for_timeout(Duration::MAX);
        let later = std::time::Instant::now().checked_add(timing.give_up.saturating_mul(10));
        assert!(later.is_some(), "{timing:?}");
        assert_eq!(Timing::for_timeout(Duration::from_secs(7)).give_up, Duration::from_secs(7));
    }

    #[test]
    fn a_peer_keeps_its_place_for_twice_as_long_each_time_up_to_the_silence() {
        let timing = Timing::for_timeout(Duration::from_secs(120));
        let slices = [0, 1, 2, 3, 4, 5, u32::MAX].map(|gave_way| timing.slice(gave_way).as_secs());
        assert_eq!(slices, [2, 4, 8, 16, 20, 20, 20]);
    }
}
