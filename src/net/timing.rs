//! How long whatever concerns sources is waited for: derived from the user's `TIMEOUT`, and the rest.

use std::time::Duration;

use crate::protocol::udp_tracker::FIRST_WAIT;
use crate::settings::LONGEST_TIMEOUT;

/// How often a coordinator looks around when nothing happens.
pub const TICK: Duration = Duration::from_millis(50);

/// How long a read from a peer waits at most before its thread looks around: for keep-alives, work that came up, and the end.
pub const LOOK_AROUND: Duration = Duration::from_millis(100);

/// The same for a peer that connected to us and waits for blocks.
#[cfg(feature = "seed")]
pub const LOOK_AROUND_SERVING: Duration = Duration::from_millis(5);

/// How often it is looked whether a peer has, or still has, one of the slots.
pub const SLOT_LOOK: Duration = Duration::from_secs(1);

/// How long trackers are given to hear that we leave: with what it takes to find out that it is over, less than a second.
pub const GOODBYE: Duration = Duration::from_millis(800);

/// How long a hurried dial may take: a first packet that is lost is sent again after a second.
pub const HURRIED: Duration = Duration::from_millis(1_500);

/// How long a connection is waited for that fetched metadata and is to fetch data: its thread looks around more often.
pub const HANDED_OVER_WITHIN: Duration = Duration::from_millis(250);

/// A peer that connected to us is silent for two minutes at most (BEP 3).
#[cfg(feature = "seed")]
pub const GUEST_SILENCE: Duration = Duration::from_secs(150);

/// One that wants nothing of a dataset that will not become more is let go after this time.
#[cfg(feature = "seed")]
pub const GUEST_IDLE: Duration = Duration::from_secs(60);

/// See [`Timing::useless`] and [`Timing::refusal`].
const USELESS_SILENCES: u32 = 3;
const REFUSALS_IN_A_SILENCE: u32 = 10;

/// A peer that sends nothing useful keeps its place for this part of the silence, at first, while others wait for one.
const SLICES: u32 = 10;

/// How long to wait for what, all derived from the user's `TIMEOUT`, so that tests run in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// No byte from any source for so long: the download gives up.
    pub give_up: Duration,
    /// Nobody chose that: a download that cannot succeed may end sooner.
    pub may_end_sooner: bool,
    /// For name look-up, connection and TLS.
    pub connect: Duration,
    /// A source that is silent for so long loses its claims.
    pub silence: Duration,
    /// For a tracker's or the catalogue's whole reply.
    pub reply: Duration,
    /// A tracker that answered is not announced to again before this, whatever it says.
    pub announce: Duration,
    /// After so long without data the catalog is asked for other sources.
    pub refresh: Duration,
    /// The first pause before a failed source is tried again; doubled each time.
    pub back_off: Duration,
    /// How long a UDP tracker's answer is waited for first; doubled each time (BEP 15).
    pub datagram: Duration,
    /// How long the answer of a node of the DHT is waited for.
    #[cfg(feature = "dht")]
    pub node: Duration,
}

impl Timing {
    /// The defaults (`TIMEOUT` of 120 s): 10 s to connect, 20 s of silence, 15 s for a reply, 1 s of
    /// back-off, and 15 s for a datagram's answer: three tries of that, each twice as long as the one before, are 105 s.
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

    /// How long a peer keeps its place while others wait for one, after it gave way to others so often: twice as long each
    /// time, so that slow peers finish, too.
    pub fn slice(&self, gave_way: u32) -> Duration {
        let first = self.silence / SLICES;
        first.saturating_mul(2_u32.saturating_pow(gave_way)).min(self.silence)
    }

    /// A peer that does not unchoke us, or has nothing for us, is left after this time, which ends before the download gives
    /// up: else nobody is told what the peer did.
    pub fn useless(&self) -> Duration {
        (self.silence * USELESS_SILENCES).min(self.give_up / 2)
    }

    /// What a peer refused to serve is requested from it again after this time.
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
