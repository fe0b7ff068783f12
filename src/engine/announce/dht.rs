//! The DHT: it is searched now and again while there are too few peers, until the download ends.

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

/// How the report calls it.
pub const NAME: &str = "DHT";

/// Searches that found nobody, until it is given up.
const ROUNDS: u32 = 3;

/// Connected peers that are enough.
pub const ENOUGH: u32 = 20;

/// Between two searches for peers. They come and go slowly, and each search asks some fifty nodes.
pub const INTERVAL: Duration = Duration::from_secs(60);

/// Between two searches for nodes to be told of us: BEP 5 has them forget within half an hour.
pub const TELL_INTERVAL: Duration = Duration::from_secs(15 * 60);

/// Peers that it has named are believed up to here, so that trackers' always have room.
const MAX_NAMED: usize = 250;

/// Searches for one torrent, as if the DHT was a tier of trackers.
pub struct Searches {
    dht: Arc<Dht>,
    /// What it holds is let go with its end, whether a search runs or not: a look-up of the first nodes' names may take as long as
    /// it likes.
    torrent: Weak<dyn AnnounceTarget>,
    over: Arc<AtomicBool>,
    timing: Timing,
    tier_id: u32,
    place: PlaceId,
    known: HashSet<SocketAddr>,
    /// Searches in a row that were in vain.
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

    /// Who waits for peers, if that is anybody still.
    fn torrent(&self) -> Option<Arc<dyn AnnounceTarget>> {
        self.torrent.upgrade().filter(|_| !self.over.load(Ordering::Acquire))
    }

    /// After each search the torrent is told of no peers, where some were named: it is over.
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
        // Peers of an earlier search are no reason to leave it at that where nobody heard of us: in half an hour all forget.
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
    /// Until the download or the seeding ends, or it is enough that nobody is found.
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

    /// Its nodes forget us within half an hour, and have no word for it.
    fn say_goodbye(&mut self, _: Goodbye) {}
}

/// How a search ended.
#[derive(Debug, PartialEq, Eq)]
enum Searched {
    /// Peers are known; or, where we listen, nodes know us.
    Well,
    /// Nobody was found, or told.
    InVain,
    /// There need be no other.
    Enough,
}

fn said(peers: usize) -> String {
    match peers {
        0 => "knows no peers".to_owned(),
        1 => "named 1 peer".to_owned(),
        _ => format!("named {peers} peers"),
    }
}
