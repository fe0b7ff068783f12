//! The DHT: a thread that searches it now and again while there are too few peers, until the download ends.
//!
//! Nobody joins it: a look-up of the first nodes' names may take as long as it likes.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::Event;
use super::announcer::Party;
use crate::net::{Dht, DhtFailure, Timing};

/// How the report calls it.
pub const NAME: &str = "DHT";

/// Searches that found nobody, until it is given up.
const ROUNDS: u32 = 3;

/// Connected peers that are enough.
pub const ENOUGH: u32 = 20;

/// Between two searches. Peers come and go slowly, and each search asks some fifty nodes.
const INTERVAL: Duration = Duration::from_secs(60);

/// Peers that it has named are believed up to here, so that trackers' always have room.
const MAX_NAMED: usize = 500;

/// Searches for one party, as if the DHT was a tier of trackers.
pub struct Searches {
    pub dht: Arc<Dht>,
    /// What it holds is let go with its end, whether a search runs or not.
    pub party: Weak<dyn Party>,
    pub over: Arc<AtomicBool>,
    pub timing: Timing,
    pub tier_id: u32,
}

impl Searches {
    /// Who waits for peers, if that is anybody still.
    fn party(&self) -> Option<Arc<dyn Party>> {
        self.party.upgrade().filter(|_| !self.over.load(Ordering::Acquire))
    }

    /// Until the download ends, `stops` are closed, or nobody is found.
    ///
    /// After each search the party is told of no peers, where some were named: it is over.
    pub fn run(&self, stops: &Receiver<()>) {
        let mut known = HashSet::new();
        let mut rounds = 0;
        loop {
            let Some(party) = self.party() else { return };
            let wants_more = party.wants_more_peers() && known.len() < MAX_NAMED;
            drop(party);
            if wants_more && !self.search(&mut known, &mut rounds) {
                return;
            }
            let pause = if known.is_empty() {
                self.timing.back_off * 2_u32.saturating_pow(rounds)
            } else {
                INTERVAL.min(self.timing.give_up / 2)
            };
            if stops.recv_timeout(pause) != Err(RecvTimeoutError::Timeout) {
                return;
            }
        }
    }

    /// One search. Whether there may be another.
    fn search(&self, known: &mut HashSet<SocketAddr>, rounds: &mut u32) -> bool {
        let Some(infohash) = self.party().map(|party| party.infohash()) else { return false };
        let mut named = |peers: Vec<SocketAddr>| {
            let room = MAX_NAMED - known.len().min(MAX_NAMED);
            let new: Vec<_> = peers.into_iter().filter(|it| known.insert(*it)).take(room).collect();
            if let (Some(party), false) = (self.party(), new.is_empty()) {
                party.report().note(NAME, said(known.len()));
                party.tell(Event::Peers(new));
            }
        };
        let time = || self.party().map(|party| party.now());
        let result = self.dht.search(infohash, &time, &mut named);
        let Some(party) = self.party() else { return false };
        match result {
            Err(DhtFailure::Over) => return false,
            Err(DhtFailure::Why(why)) if known.is_empty() => party.report().note(NAME, why),
            _ => party.report().note(NAME, said(known.len())),
        }
        if !known.is_empty() {
            party.tell(Event::Peers(Vec::new()));
            return true;
        }
        *rounds += 1;
        if *rounds >= ROUNDS {
            party.tell(Event::TierLost(self.tier_id));
        }
        *rounds < ROUNDS
    }
}

fn said(peers: usize) -> String {
    match peers {
        0 => "knows no peers".to_owned(),
        1 => "named 1 peer".to_owned(),
        _ => format!("named {peers} peers"),
    }
}
