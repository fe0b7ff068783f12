//! Searching the DHT for one torrent: repeated while there are too few peers, until the download
//! ends.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::engine::announce::scheduler::{AnnounceTask, TaskOutcome};
use crate::engine::announce::target::{AnnounceTarget, Goodbye};
use crate::net::{Dht, SourceError, Timing};
use crate::protocol::tracker::announce_queue::PlaceId;

#[cfg(test)]
mod tests;

/// The name of the DHT in reports.
pub const NAME: &str = "DHT";

/// Number of fruitless searches after which the DHT is given up.
const ROUNDS: u32 = 3;

/// Number of connected peers that is enough.
pub const ENOUGH: u32 = 20;

/// The interval between searches for peers. Peers change slowly, and each search asks about fifty
/// nodes.
pub const INTERVAL: Duration = Duration::from_secs(60);

/// The interval between searches that announce us to nodes: by BEP 5, nodes forget peers within
/// half an hour.
pub const TELL_INTERVAL: Duration = Duration::from_secs(15 * 60);

/// Limit on the peers accepted from the DHT, so that peers from trackers always have room.
const MAX_NAMED: usize = 250;

/// The searches for one torrent, scheduled as if the DHT were a tier of trackers.
pub struct Searches {
    dht: Arc<Dht>,
    /// Weak, so that the torrent's resources are released at its end even while a search is
    /// running: looking up the names of the bootstrap nodes may take any amount of time.
    torrent: Weak<dyn AnnounceTarget>,
    over: Arc<AtomicBool>,
    timing: Timing,
    tier_id: u32,
    place: PlaceId,
    known: HashSet<SocketAddr>,
    /// Consecutive fruitless searches.
    rounds: u32,
}

impl Searches {
    pub fn new(
        dht: Arc<Dht>,
        torrent: &Arc<dyn AnnounceTarget>,
        over: Arc<AtomicBool>,
        timing: Timing,
        (tier_id, place): (u32, PlaceId),
    ) -> Searches {
        let (torrent, known) = (Arc::downgrade(torrent), HashSet::new());
        Searches { dht, torrent, over, timing, tier_id, place, known, rounds: 0 }
    }

    /// The torrent, while peers are still needed.
    fn torrent(&self) -> Option<Arc<dyn AnnounceTarget>> {
        self.torrent.upgrade().filter(|_| !self.over.load(Ordering::Acquire))
    }

    /// Searches once. If peers are known, the torrent gets an empty list at the end, which marks
    /// the end of the search.
    fn search(&mut self) -> Searched {
        let about =
            self.torrent().map(|it| (it.announce().infohash, it.listens_at(), it.dht_nodes()));
        let Some((infohash, port, nodes)) = about else { return Searched::Enough };
        let mut known = std::mem::take(&mut self.known);
        let mut named = |peers: Vec<SocketAddr>| {
            let room = MAX_NAMED - known.len().min(MAX_NAMED);
            let new: Vec<_> = peers.into_iter().filter(|it| known.insert(*it)).take(room).collect();
            if let (Some(torrent), false) = (self.torrent(), new.is_empty()) {
                torrent.note(NAME, Ok(said(known.len())));
                torrent.named(new);
            }
        };
        let time = || self.torrent().map(|torrent| torrent.now());
        let result = self.dht.search(infohash, &nodes, port, self.rounds > 0, &time, &mut named);
        self.known = known;
        let Some(torrent) = self.torrent() else { return Searched::Enough };
        let peers = self.known.len();
        let mut told = 0;
        match result {
            Ok(nodes) => {
                told = nodes;
                torrent.note(NAME, Ok(said(peers)));
            }
            Err(SourceError::Ended) => return Searched::Enough,
            Err(why) if peers == 0 => torrent.note(NAME, Err(why)),
            Err(_) => torrent.note(NAME, Ok(said(peers))),
        }
        if peers > 0 {
            torrent.named(Vec::new());
        }
        // Peers from an earlier search are not enough if we listen and no node accepted our
        // announce: nodes forget us within half an hour.
        if told > 0 || (port.is_none() && peers > 0) {
            self.rounds = 0;
            return Searched::Well;
        }
        self.rounds = self.rounds.saturating_add(1);
        if self.rounds >= ROUNDS && peers == 0 && torrent.lost(self.tier_id) {
            return Searched::Enough;
        }
        Searched::InVain
    }
}

impl AnnounceTask for Searches {
    /// Runs until the download or the seeding ends, or the DHT is given up.
    fn run(&mut self, _nth: usize) -> TaskOutcome {
        let Some(torrent) = self.torrent() else {
            return TaskOutcome { failed: false, again: None };
        };
        let listens = torrent.listens_at().is_some();
        let wanted = torrent.dht_interval().filter(|_| listens || self.known.len() < MAX_NAMED);
        drop(torrent);
        let mut pause = wanted.unwrap_or(INTERVAL);
        if !listens {
            pause = pause.min(self.timing.give_up / 2);
        }
        let mut failed = false;
        if wanted.is_some() {
            let searched = self.search();
            if let Some(torrent) = self.torrent() {
                torrent.heard_of(self.tier_id);
            }
            match searched {
                Searched::Well => {}
                Searched::InVain => {
                    failed = true;
                    let back_off = 2_u32.saturating_pow(self.rounds);
                    pause = pause.min(self.timing.back_off.saturating_mul(back_off));
                }
                Searched::Enough => return TaskOutcome { failed: false, again: None },
            }
        }
        TaskOutcome { failed, again: Some((pause, vec![self.place])) }
    }

    /// Does nothing: the DHT has no message for leaving, and nodes forget us within half an hour.
    fn say_goodbye(&mut self, _: Goodbye) {}
}

/// The result of a search.
#[derive(Debug, PartialEq, Eq)]
enum Searched {
    /// Peers are known or, if we listen, nodes have accepted our announce.
    Well,
    /// No peer was found, or no node accepted our announce.
    InVain,
    /// No further search is needed.
    Enough,
}

fn said(peers: usize) -> String {
    match peers {
        0 => "knows no peers".to_owned(),
        _ => format!("returned {}", super::peers(peers)),
    }
}
