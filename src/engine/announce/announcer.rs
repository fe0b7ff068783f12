//! Announces to each tier of trackers, and to the DHT as if it were a tier, until the download or
//! the seeding ends.
//!
//! Announces run on separate threads ([`super::scheduler`]), because a dead tracker may block for a
//! long time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::address::NamedBy;
use crate::engine::announce::target::{AnnounceTarget, Goodbye};
use crate::engine::report::Report;
#[cfg(feature = "dht")]
use crate::net::SourceError;
use crate::net::{Client, Tracker, tracker_place};
use crate::protocol::tracker::Tiers;
use crate::url::Url;

use crate::engine::announce::scheduler::AnnounceScheduler;
use crate::engine::announce::tier::TrackerTier;

#[cfg(test)]
mod tests;

/// The announcers of one download, or of a seed with all its datasets.
pub struct Announcers {
    client: Client,
    scheduler: Arc<AnnounceScheduler>,
    #[cfg(feature = "dht")]
    dht: Option<Arc<crate::net::Dht>>,
    /// Announce over both IPv4 and IPv6, because we listen on both.
    each_family: bool,
    /// The download has ended, so that peers are no longer needed.
    over: Arc<AtomicBool>,
}

impl Announcers {
    /// `client` must not be the workers': theirs is shut down at the end of the download, before
    /// the trackers get a goodbye.
    pub fn new(client: Client) -> Announcers {
        Announcers {
            scheduler: AnnounceScheduler::new(client.timing().back_off),
            client,
            #[cfg(feature = "dht")]
            dht: None,
            each_family: false,
            over: Arc::default(),
        }
    }

    /// Sets whether each tracker is announced to over both IPv4 and IPv6, if it has addresses of
    /// both.
    #[cfg(feature = "seed")]
    pub fn over_each_family(mut self, each_family: bool) -> Announcers {
        self.each_family = each_family;
        self
    }

    /// Sets the DHT to search.
    #[cfg(feature = "dht")]
    pub fn with_dht(mut self, dht: Option<Arc<crate::net::Dht>>) -> Announcers {
        self.dht = dht;
        self
    }

    /// Starts to search the DHT for peers, as if it were a tier. Returns whether it did; if not,
    /// the reason is in the report.
    #[cfg(feature = "dht")]
    pub fn search_dht(&mut self, torrent: &Arc<dyn AnnounceTarget>, tier_id: u32) -> bool {
        use super::dht::{NAME, Searches};
        let Some(dht) = self.dht.clone() else { return false };
        if self.client.is_behind_socks() {
            // It is not known whether `no_proxy` would exempt the addresses of DHT nodes.
            torrent.note(NAME, Err(SourceError::UdpBehindProxy));
            return false;
        }
        let place = self.scheduler.place(NAME);
        let (over, timing) = (Arc::clone(&self.over), self.client.timing());
        let searches = Searches::new(dht, torrent, over, timing, (tier_id, place));
        self.scheduler.add(Box::new(searches), vec![place], Arc::default());
        true
    }

    /// Starts to announce to all tiers (BEP 12), side by side. `party` is called for each usable
    /// tier with its number, from `first` on. Returns the number after the last one. `by` is who
    /// named the trackers.
    pub fn start(
        &mut self,
        by: NamedBy,
        tiers: &[Vec<Url>],
        first: u32,
        key: u32,
        party: &mut dyn FnMut(u32) -> Arc<dyn AnnounceTarget>,
        report: &Report,
    ) -> u32 {
        let tiers = Tiers::new(None, tiers, fastrand::u64(..));
        let mut next = first;
        for tier in tiers.tiers() {
            let mut trackers = Vec::new();
            for url in tier {
                match Tracker::new(&self.client, by, url, self.each_family) {
                    Ok(tracker) => {
                        trackers.push((self.scheduler.place(&tracker_place(url)), tracker));
                    }
                    Err(why) => report.note(&url.to_string(), Err(why)),
                }
            }
            if trackers.is_empty() {
                continue;
            }
            let client = self.client.clone();
            let tier = TrackerTier::new(client, trackers, (next, key), party(next), &self.over);
            let (places, known) = (tier.places(), tier.known());
            self.scheduler.add(Box::new(tier), places, known);
            next += 1;
        }
        next
    }

    /// Says goodbye to the trackers that know us, for at most `patience`.
    pub fn stop(self, goodbye: Goodbye, patience: Duration) {
        self.over.store(true, Ordering::Release);
        self.scheduler.end(goodbye, patience);
    }
}

/// Without a call of [`Announcers::stop`], trackers get no goodbye.
impl Drop for Announcers {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Release);
        self.scheduler.end(&[], Duration::ZERO);
        self.client.shut_down();
    }
}
