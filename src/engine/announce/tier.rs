//! Announcing to one tier of a torrent's trackers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::engine::announce::scheduler::{AnnounceTask, TaskOutcome};
use crate::engine::announce::target::{AnnounceTarget, Goodbye};
use crate::net::{Client, Tracker};
use crate::protocol::tracker::announce_queue::PlaceId;
use crate::protocol::tracker::{After, Announce, AnnounceEvent, Rounds};

/// Said of peers for which the tracker gave no address.
const UNRESOLVED: &str = " with host names that could not be resolved";

pub struct TrackerTier {
    client: Client,
    trackers: Vec<(PlaceId, Tracker)>,
    rounds: Rounds,
    id: u32,
    key: u32,
    torrent: Arc<dyn AnnounceTarget>,
    known: Arc<AtomicBool>,
    /// Whether the first round is over.
    heard_of: bool,
    /// Set once peers are no longer needed.
    over: Arc<AtomicBool>,
}

impl TrackerTier {
    pub fn new(
        client: Client,
        trackers: Vec<(PlaceId, Tracker)>,
        (id, key): (u32, u32),
        torrent: Arc<dyn AnnounceTarget>,
        over: &Arc<AtomicBool>,
    ) -> TrackerTier {
        let rounds = Rounds::new(trackers.len());
        let (known, over) = (Arc::default(), Arc::clone(over));
        TrackerTier { client, trackers, rounds, id, key, torrent, known, heard_of: false, over }
    }

    /// Whether a tracker of the tier has answered.
    pub fn known(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.known)
    }

    /// The places of the trackers that may be asked now.
    pub fn places(&self) -> Vec<PlaceId> {
        let left = self.rounds.left().iter();
        left.filter_map(|index| Some(self.trackers.get(*index)?.0)).collect()
    }

    fn round_is_over(&mut self) {
        if !std::mem::replace(&mut self.heard_of, true) {
            self.torrent.heard_of(self.id);
        }
    }

    fn again(&self, pause: Duration) -> Option<(Duration, Vec<PlaceId>)> {
        Some((pause, self.places()))
    }

    fn message(&self, event: Option<AnnounceEvent>) -> Announce {
        let mut announce = self.torrent.announce();
        (announce.event, announce.key) = (event, self.key);
        if event == Some(AnnounceEvent::Stopped) {
            announce.numwant = 0;
        }
        announce
    }
}

impl AnnounceTask for TrackerTier {
    fn run(&mut self, nth: usize) -> TaskOutcome {
        let begun = Instant::now();
        let message = self.message((!self.rounds.is_known()).then_some(AnnounceEvent::Started));
        let index = self.rounds.left().get(nth).copied().unwrap_or_default();
        let TrackerTier { client, torrent, known, over, trackers, .. } = &mut *self;
        let Some((_, tracker)) = trackers.get_mut(index) else {
            return TaskOutcome { failed: true, again: None };
        };
        let url = tracker.url.to_string();
        let (mut named, mut left_out, mut unknown) = (0, 0, 0);
        let mut pause = client.timing().announce;
        let time = || (!over.load(Ordering::Acquire)).then(|| torrent.now());
        let result = tracker.announce(client, &message, &time, &mut |reply| {
            named += reply.peers.len();
            left_out += reply.left_out;
            unknown += reply.names.len();
            let warning =
                reply.warning.map_or_else(String::new, |warning| format!(" (warning: {warning})"));
            let said = match (named, left_out) {
                (0, 0) => format!("knows no peers{warning}"),
                (_, 0) => format!("returned {}{warning}", super::peers(named)),
                _ => format!(
                    "returned {} and {left_out} on private networks, which were ignored{warning}; \
                     to allow them, list their network in ACADEMICTORRENTS_PRIVATE_HOSTS",
                    super::peers(named)
                ),
            };
            let said = match (unknown, named) {
                (0, _) => said,
                (_, 0) => format!("returned {}{UNRESOLVED}", super::peers(unknown)),
                _ => format!("{said}; {unknown} more{UNRESOLVED}"),
            };
            torrent.note(&url, Ok(said));
            known.store(true, Ordering::Relaxed);
            torrent.named(reply.peers);
            pause = pause.max(reply.min_interval.unwrap_or_default().max(reply.interval));
        });
        let failure = match result {
            Ok(()) => {
                // BEP 12: a tracker that answered moves to the front of its tier.
                self.trackers[..=index].rotate_right(1);
                self.rounds.answered();
                self.round_is_over();
                return TaskOutcome { failed: false, again: self.again(pause) };
            }
            Err(failure) => failure,
        };
        self.torrent.note(&url, Err(failure.why));
        let back_off = self.client.timing().back_off;
        let after = self.rounds.failed(nth, begun.elapsed(), failure.retry_after, back_off);
        if after != After::Next {
            self.round_is_over();
        }
        let again = match after {
            After::Next => self.again(Duration::ZERO),
            After::Pause(pause) => self.again(pause),
            After::PauseOrLost(_) if self.torrent.lost(self.id) => None,
            After::PauseOrLost(pause) => self.again(pause),
        };
        TaskOutcome { failed: true, again }
    }

    /// Says goodbye to the tracker that answered last, which is the first of the tier.
    fn say_goodbye(&mut self, goodbye: Goodbye) {
        for event in goodbye {
            let message = self.message(Some(*event));
            let Some((_, tracker)) = self.trackers.first_mut() else { return };
            let time = || Some(self.torrent.now());
            // If this fails, the tracker will forget us anyway.
            let _ = tracker.announce(&self.client, &message, &time, &mut |_| {});
        }
    }
}
