//! Fetching the metainfo from peers (BEP 9), if nothing else provides it.
//!
//! This precedes planning and storage. Peers come from the same kind of queue as those of a
//! download, and connections to the peers that delivered the metainfo are reused for the download.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use crate::address::NamedBy;
use crate::engine::announce::announcer::Announcers;
use crate::engine::announce::target::{AnnounceTarget, LEAVES};
use crate::engine::budget::{Dials, METADATA_FAILURES, MetadataBudget, OVERBOOKED, PASSED_ON};
use crate::engine::local_peer::LocalPeer;
use crate::engine::report::Report;
use crate::engine::sources::attempts::RetryPolicy;
use crate::engine::sources::event::{WorkerEvent, WorkerOutcome};
use crate::engine::sources::open_peers::OpenPeers;
use crate::engine::sources::peer_queue::PeerQueue;
use crate::engine::sources::phase::PeerPhase;
use crate::engine::thread::{start_peer_thread, start_thread};
use crate::mutex::Mutex;
use crate::net::timing::{GOODBYE, TICK};
use crate::net::{Client, SourceError};
use crate::picker::SourceId;
use crate::plan::NamedTiers;
use crate::protocol::extension::peer_id;
use crate::protocol::ut_metadata::blocks::Blocks;
use crate::torrent::infohash::Infohash;

use crate::engine::resolve::peers::tier::MetadataTier;

/// A worker's place. The guard reports the end of the worker even after a panic.
struct HeldPlace<'a> {
    phase: &'a PeerPhase,
    source: SourceId,
    outcome: Option<WorkerOutcome>,
}

impl Drop for HeldPlace<'_> {
    fn drop(&mut self) {
        let outcome = self.outcome.take();
        let outcome = outcome.unwrap_or(WorkerOutcome::Lost(SourceError::WorkerFailed));
        self.phase.tell(WorkerEvent::Ended { source: self.source, outcome, brought_bytes: 0 });
    }
}

#[cfg(test)]
mod tests;
mod tier;
mod worker;

/// The limit for the whole search, as a multiple of the user's timeout: otherwise a peer that sends
/// a little again and again could hold up a build for hours.
const MOST_PATIENCE: u32 = 10;

/// The sources of a search.
#[derive(Debug, Default)]
pub struct MetadataSources {
    /// `host:port` addresses.
    pub peers: Vec<(NamedBy, String)>,
    pub trackers: NamedTiers,
    /// Trackers that are used when none are named, like the DHT.
    pub default_trackers: NamedTiers,
    /// As in all clients, the DHT is asked although the torrent may be private: that is not known
    /// before its metainfo. A private torrent's download does not use the DHT.
    #[cfg(feature = "dht")]
    pub dht: Option<Arc<crate::net::Dht>>,
}

impl MetadataSources {
    /// Whether the DHT is searched.
    pub fn ask_dht(&self) -> bool {
        #[cfg(feature = "dht")]
        return self.dht.is_some();
        #[cfg(not(feature = "dht"))]
        false
    }
}

/// The raw `info` dictionary, and the known peers.
#[derive(Debug)]
pub struct FetchedMetadata {
    pub info: Vec<u8>,
    /// `host:port` addresses.
    pub peers: Vec<String>,
    /// Peers that only the DHT and default trackers reported. A private torrent must not use them.
    pub open_to_all: Vec<String>,
    /// The open connections to the peers that delivered the metainfo.
    pub open: OpenPeers,
}

/// Why the metainfo was not found: a summary, and the status of each source.
#[derive(Debug)]
pub struct MetadataFailure {
    pub why: SourceError,
    pub report: Report,
}

/// State shared by all threads of a search.
struct MetadataFetch {
    phase: Arc<PeerPhase>,
    max_bytes: usize,
    open: OpenPeers,
    /// Locked for bookkeeping only, never across I/O.
    progress: Mutex<MetadataProgress>,
}

struct MetadataProgress {
    blocks: Blocks,
    found: Option<Vec<u8>>,
    /// When the last block arrived.
    useful: Duration,
}

impl MetadataFetch {}

/// Asks peers for a torrent's `info` dictionary of at most `max_bytes`, until the host is stopped.
/// The threads are detached and end with this call: all their waits have deadlines, and their
/// sockets are closed.
pub fn fetch(
    client: &Client,
    (dials, budget): (&Dials, &MetadataBudget),
    infohash: Infohash,
    max_bytes: usize,
    sources: &MetadataSources,
    host: &LocalPeer,
) -> Result<FetchedMetadata, MetadataFailure> {
    let (events, heard) = channel();
    let peer_id = peer_id(|| fastrand::alphanumeric() as u8);
    let phase = Arc::new(PeerPhase::new(client.separate(), infohash, peer_id, events));
    let (blocks, useful) = (Blocks::new(infohash, max_bytes), Duration::ZERO);
    let fetch = Arc::new(MetadataFetch {
        phase: Arc::clone(&phase),
        max_bytes,
        open: OpenPeers::default(),
        progress: Mutex::new(MetadataProgress { blocks, found: None, useful }),
    });
    let policy = RetryPolicy { pause: 2 * client.timing().back_off, failures: METADATA_FAILURES };
    let mut coordinator = MetadataCoordinator {
        queue: PeerQueue::new(Arc::clone(&phase), policy, None),
        fetch: &fetch,
        dials,
        budget,
        open_tiers: HashSet::new(),
        heard: Duration::ZERO,
    };
    let mut announcers = Announcers::new(client.separate());
    #[cfg(feature = "dht")]
    {
        announcers = announcers.with_dht(sources.dht.clone());
    }
    let _torrent = coordinator.begin(sources, &mut announcers);
    let result = coordinator.until_done(&heard, host);
    phase.end();
    phase.client.shut_down();
    // Returns the permits of waiting peers.
    drop((coordinator, heard));
    let goodbye = GOODBYE.min(client.timing().reply);
    // The following download announces anew, so on success the goodbyes need not be awaited.
    let stop = move || announcers.stop(LEAVES, goodbye);
    let stopping = start_thread("at-goodbye", Box::new(stop));
    result.map_err(|why| {
        if let Ok(stopping) = stopping {
            let _ = stopping.join(); // takes no longer than the goodbyes may
        }
        MetadataFailure { why, report: phase.report.take() }
    })
}

struct MetadataCoordinator<'a> {
    fetch: &'a Arc<MetadataFetch>,
    dials: &'a Dials,
    budget: &'a MetadataBudget,
    queue: PeerQueue,
    /// Tiers that have not answered yet.
    open_tiers: HashSet<u32>,
    /// When the last event arrived.
    heard: Duration,
}

impl MetadataCoordinator<'_> {
    /// Looks up the named peers, and starts to announce. Returns the DHT's target, to which the
    /// searches hold only a weak reference.
    fn begin(
        &mut self,
        sources: &MetadataSources,
        announcers: &mut Announcers,
    ) -> Option<Arc<dyn AnnounceTarget>> {
        for (by, peer) in &sources.peers {
            self.queue.look_up(*by, peer.clone());
        }
        let phase = &self.fetch.phase;
        let mut tier = |id: u32, by: NamedBy| -> Arc<dyn AnnounceTarget> {
            self.open_tiers.insert(id);
            Arc::new(MetadataTier { phase: Arc::clone(phase), id, by })
        };
        let (mut next, key) = (0, fastrand::u32(..));
        for (by, tiers) in &sources.trackers {
            let mut party = |id| tier(id, NamedBy::Neighbor);
            next = announcers.start(*by, tiers, next, key, &mut party, &phase.report);
        }
        for (by, tiers) in &sources.default_trackers {
            let mut party = |id| tier(id, NamedBy::DefaultTracker);
            next = announcers.start(*by, tiers, next, key, &mut party, &phase.report);
        }
        #[cfg(feature = "dht")]
        {
            let torrent = tier(next, NamedBy::Dht);
            if !announcers.search_dht(&torrent, next) {
                self.open_tiers.remove(&next);
            }
            Some(torrent)
        }
        #[cfg(not(feature = "dht"))]
        None
    }

    fn until_done(
        &mut self,
        events: &Receiver<WorkerEvent>,
        host: &LocalPeer,
    ) -> Result<FetchedMetadata, SourceError> {
        loop {
            let found = self.fetch.progress.lock().found.take();
            if let Some(info) = found {
                return Ok(self.found(info));
            }
            if host.is_stopped() {
                return Err(SourceError::Stopped);
            }
            self.start_workers();
            if let Some(why) = self.is_hopeless() {
                return Err(why);
            }
            let first = events.recv_timeout(TICK);
            first.into_iter().chain(events.try_iter()).for_each(|event| self.on_event(event));
        }
    }

    fn on_event(&mut self, event: WorkerEvent) {
        self.heard = self.fetch.phase.now();
        match event {
            WorkerEvent::Dialed { source, dialed } => self.queue.on_dialed(source, dialed, true),
            WorkerEvent::Ended { source, outcome, brought_bytes } => {
                self.queue.on_ended(source, outcome, brought_bytes, true);
            }
            WorkerEvent::Peers { addresses, by } => self.queue.add_all(addresses, by),
            WorkerEvent::Resolved { by, name, addresses } => {
                self.queue.on_resolved(by, &name, addresses);
            }
            WorkerEvent::TierHeardOf(tier) | WorkerEvent::TierLost(tier) => {
                self.open_tiers.remove(&tier);
            }
            // The other events occur only in downloads.
            _ => {}
        }
    }

    /// Gives places to peers that answered, and dials more. If no place is free, peers that have
    /// used their time slice make room.
    fn start_workers(&mut self) {
        let phase = &self.fetch.phase;
        let most = self.budget.per_dataset;
        while self.queue.at_work() < most {
            let next = self.queue.next_greeted(|_| self.budget.permit());
            let Some((permit, id, greeting)) = next else { break };
            let Some(target) = self.queue.get(id).map(|peer| peer.target.clone()) else { break };
            let (fetch, slice) = (Arc::clone(self.fetch), self.queue.slice(id));
            let work = move || {
                let mut place = HeldPlace { phase: &fetch.phase, source: id, outcome: None };
                place.outcome = Some(worker::work(&fetch, (id, &target), *greeting, slice, permit));
            };
            if let Err(why) = start_peer_thread("at-metadata", Box::new(work)) {
                let outcome = WorkerOutcome::Failed(SourceError::Other(why.to_string()));
                phase.tell(WorkerEvent::Ended { source: id, outcome, brought_bytes: 0 });
            }
        }
        self.queue.expire(phase.now());
        phase.want_places(self.queue.waiting());
        // Peers that answer need places, so waiting peers reduce the number of dials.
        let free = most.saturating_sub(self.queue.waiting());
        self.queue.dial(phase.now(), free * OVERBOOKED, self.dials);
    }

    fn asked(&self) -> usize {
        self.queue.iter().filter(|peer| peer.attempts.tries > 0).count()
    }

    /// Why the search is hopeless, if it is.
    fn is_hopeless(&self) -> Option<SourceError> {
        let (now, timing) = (self.fetch.phase.now(), self.fetch.phase.client.timing());
        // A tracker may answer twice, over IPv4 and over IPv6.
        let quiet = now.saturating_sub(self.heard) >= timing.back_off;
        let is_decided = self.open_tiers.is_empty() && !self.queue.is_looking_up();
        if quiet && is_decided && self.queue.is_exhausted() {
            return Some(match self.asked() {
                0 => SourceError::NoPeer,
                asked => SourceError::NobodyGaveIt(asked, None),
            });
        }
        let in_all = timing.give_up * MOST_PATIENCE;
        if now.saturating_sub(self.fetch.progress.lock().useful) >= timing.give_up || now >= in_all
        {
            let within = Some(if now >= in_all { in_all } else { timing.give_up });
            return Some(SourceError::NobodyGaveIt(self.asked(), within));
        }
        None
    }

    /// The result for the download that follows: the `info` dictionary and some peers that are not
    /// known to be dead, with connected ones first. Each connection that contributed a block is
    /// promised, because its thread will hand it over.
    fn found(&self, info: Vec<u8>) -> FetchedMetadata {
        let progress = self.fetch.progress.lock();
        let (connected, others): (Vec<_>, Vec<_>) =
            self.queue.iter().partition(|peer| progress.blocks.has(peer.id.0));
        connected.iter().for_each(|peer| self.fetch.open.promise(&peer.target));
        let others = others.into_iter().filter(|peer| peer.attempts.tries == 0);
        let (open_to_all, peers): (Vec<_>, Vec<_>) =
            connected.into_iter().chain(others).partition(|peer| peer.open_to_all);
        let [peers, open_to_all] = [peers, open_to_all].map(|peers| {
            peers.into_iter().map(|peer| peer.target.to_string()).take(PASSED_ON).collect()
        });
        FetchedMetadata { info, peers, open_to_all, open: self.fetch.open.clone() }
    }
}
