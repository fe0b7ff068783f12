//! Trackers, and the DHT as if it was one: each tier is announced to until the download or the seeding ends.
//!
//! On threads of their own ([`desk`]), since a tracker that is dead blocks for as long as it likes, and nobody may wait for it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::report::Report;
use crate::net::{Client, Tracker, tracker_place};
use crate::protocol::tracker::{Announce, AnnounceEvent, Tiers};

use desk::Desk;
use tier::Tier;

pub mod desk;
#[cfg(test)]
mod tests;
mod tier;

/// A torrent that trackers are told of, and who hears what they answer.
pub trait Announced: Send + Sync {
    /// Time since any moment.
    fn now(&self) -> Duration;
    /// How it stands; the announcer knows event and key.
    fn announce(&self) -> Announce;
    /// A tracker said this.
    fn note(&self, tracker: &str, said: String);
    /// A tracker failed so, or is never asked.
    fn failed(&self, tracker: &str, why: String) {
        self.note(tracker, why);
    }
    /// A tracker named peers.
    fn named(&self, peers: Vec<SocketAddr>);
    /// No tracker of the tier has ever answered: whether that is enough.
    fn lost(&self, tier: u32) -> bool;
    /// The time between two searches of the DHT; `None` while none is wanted.
    #[cfg(feature = "dht")]
    fn dht_interval(&self) -> Option<Duration>;
    /// Where peers may connect to us, for the DHT's nodes to know.
    #[cfg(feature = "dht")]
    fn listens_at(&self) -> Option<u16>;
}

/// The announcers of a download, or of a seed with all its datasets.
pub struct Announcers {
    client: Client,
    desk: Arc<Desk>,
    #[cfg(feature = "dht")]
    dht: Option<Arc<crate::net::Dht>>,
    /// Trackers are to know that we listen over IPv4 and over IPv6.
    each_family: bool,
    /// The download has ended: nobody waits for peers any more.
    over: Arc<AtomicBool>,
}

/// What trackers are told at the end, one after another.
pub type Goodbye = &'static [AnnounceEvent];

/// The download has not come to its end.
pub const LEAVES: Goodbye = &[AnnounceEvent::Stopped];
/// It has all.
pub const HAS_ALL: Goodbye = &[AnnounceEvent::Completed, AnnounceEvent::Stopped];
/// It has all, and a seed of this process goes on under the same id and port: it may have announced itself already.
pub const SEEDS: Goodbye = &[AnnounceEvent::Completed];

impl Announcers {
    /// `client` is not the workers': theirs is shut down at the end, and then the trackers are still to be told.
    pub fn new(client: Client) -> Announcers {
        Announcers {
            desk: Desk::new(client.timing().back_off),
            client,
            #[cfg(feature = "dht")]
            dht: None,
            each_family: false,
            over: Arc::default(),
        }
    }

    /// The same, for one who listens over IPv4 and IPv6: each tracker is to know both addresses, if it has some of both.
    #[cfg(feature = "seed")]
    pub fn over_each_family(mut self, each_family: bool) -> Announcers {
        self.each_family = each_family;
        self
    }

    /// The same, with the DHT to be searched.
    #[cfg(feature = "dht")]
    pub fn with_dht(mut self, dht: Option<Arc<crate::net::Dht>>) -> Announcers {
        self.dht = dht;
        self
    }

    /// Begins to search the DHT for peers, as if it was a tier. Whether it did; the report says why it did not.
    #[cfg(feature = "dht")]
    pub fn search_dht(&mut self, torrent: &Arc<dyn Announced>, tier_id: u32) -> bool {
        use super::dht::{NAME, Searches};
        let Some(dht) = self.dht.clone() else { return false };
        if self.client.is_behind_socks() {
            // Of the addresses of its nodes nobody knows whether the user excepts them.
            torrent.failed(NAME, "not asked: UDP does not go through the SOCKS proxy".to_owned());
            return false;
        }
        let place = self.desk.place(NAME);
        let (over, timing) = (Arc::clone(&self.over), self.client.timing());
        let searches = Searches::new(dht, torrent, over, timing, (tier_id, place));
        self.desk.add(Box::new(searches), vec![place], Arc::default());
        true
    }

    /// Begins to announce to all tiers (BEP 12), side by side. `party` is told of each tier that may name peers, by its
    /// number: from `first` on. Gives the number behind the last.
    pub fn start(
        &mut self,
        tiers: &[Vec<String>],
        first: u32,
        key: u32,
        party: &mut dyn FnMut(u32) -> Arc<dyn Announced>,
        report: &Report,
    ) -> u32 {
        let tiers = Tiers::new(None, tiers, fastrand::u64(..));
        let mut next = first;
        for tier in tiers.tiers() {
            let mut trackers = Vec::new();
            for url in tier {
                match Tracker::new(&self.client, url, self.each_family) {
                    Ok(tracker) => {
                        trackers.push((self.desk.place(&tracker_place(url)), tracker));
                    }
                    Err(why) => report.note(url, why),
                }
            }
            if trackers.is_empty() {
                continue;
            }
            let client = self.client.clone();
            let tier = Tier::new(client, trackers, (next, key), party(next), &self.over);
            let (places, known) = (tier.places(), tier.known());
            self.desk.add(Box::new(tier), places, known);
            next += 1;
        }
        next
    }

    /// Says goodbye to the trackers that know us, for at most so long.
    pub fn stop(self, goodbye: Goodbye, patience: Duration) {
        self.over.store(true, Ordering::Release);
        self.desk.end(goodbye, patience);
    }
}

/// Who was not stopped says nothing.
impl Drop for Announcers {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Release);
        self.desk.end(&[], Duration::ZERO);
        self.client.shut_down();
    }
}
