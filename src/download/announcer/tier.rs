//! A tier of a torrent's trackers, to which is announced.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::desk::{Done, Errand};
use super::{Announced, Goodbye};
use crate::net::{Client, Tracker};
use crate::protocol::tracker::{After, Announce, AnnounceEvent, Rounds};
use crate::schedule::timetable::PlaceId;

pub struct Tier {
    client: Client,
    trackers: Vec<(PlaceId, Tracker)>,
    rounds: Rounds,
    id: u32,
    key: u32,
    torrent: Arc<dyn Announced>,
    known: Arc<AtomicBool>,
    /// Nobody waits for peers any more.
    over: Arc<AtomicBool>,
}

impl Tier {
    pub fn new(
        client: Client,
        trackers: Vec<(PlaceId, Tracker)>,
        (id, key): (u32, u32),
        torrent: Arc<dyn Announced>,
        over: &Arc<AtomicBool>,
    ) -> Tier {
        let rounds = Rounds::new(trackers.len());
        let (known, over) = (Arc::default(), Arc::clone(over));
        Tier { client, trackers, rounds, id, key, torrent, known, over }
    }

    /// Whether one of them has answered.
    pub fn known(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.known)
    }

    /// Where those are that may be asked now.
    pub fn places(&self) -> Vec<PlaceId> {
        let left = self.rounds.left().iter();
        left.filter_map(|index| Some(self.trackers.get(*index)?.0)).collect()
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

impl Errand for Tier {
    fn run(&mut self, nth: usize) -> Done {
        let begun = Instant::now();
        let message = self.message((!self.rounds.is_known()).then_some(AnnounceEvent::Started));
        let index = self.rounds.left().get(nth).copied().unwrap_or_default();
        let Tier { client, torrent, known, over, trackers, .. } = &mut *self;
        let Some((_, tracker)) = trackers.get_mut(index) else {
            return Done { failed: true, again: None };
        };
        let url = tracker.url().to_owned();
        let mut named = 0;
        let mut pause = Duration::ZERO;
        let time = || (!over.load(Ordering::Acquire)).then(|| torrent.now());
        let result = tracker.announce(client, &message, &time, &mut |reply| {
            named += reply.peers.len();
            let warning =
                reply.warning.map_or_else(String::new, |warning| format!(" (it warns: {warning})"));
            let said = match named {
                0 => format!("knows no peers{warning}"),
                _ => format!("named {named} peers{warning}"),
            };
            torrent.note(&url, said);
            known.store(true, Ordering::Relaxed);
            torrent.named(reply.peers);
            pause = pause.max(reply.min_interval.unwrap_or_default().max(reply.interval));
        });
        let failure = match result {
            Ok(()) => {
                // BEP 12: who answered is asked first from now on.
                self.trackers[..=index].rotate_right(1);
                self.rounds.answered();
                return Done { failed: false, again: self.again(pause) };
            }
            Err(failure) => failure,
        };
        self.torrent.failed(&url, failure.why);
        let back_off = self.client.timing().back_off;
        let again = match self.rounds.failed(nth, begun.elapsed(), failure.retry_after, back_off) {
            After::Next => self.again(Duration::ZERO),
            After::Pause(pause) => self.again(pause),
            After::PauseOrLost(_) if self.torrent.lost(self.id) => None,
            After::PauseOrLost(pause) => self.again(pause),
        };
        Done { failed: true, again }
    }

    /// Tells the tracker that answered last, which is the first.
    fn say_goodbye(&mut self, goodbye: Goodbye) {
        for event in goodbye {
            let message = self.message(Some(*event));
            let Some((_, tracker)) = self.trackers.first_mut() else { return };
            let time = || Some(self.torrent.now());
            // It will forget us anyway.
            let _ = tracker.announce(&self.client, &message, &time, &mut |_| {});
        }
    }
}
