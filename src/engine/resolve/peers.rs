//! The metainfo from peers (BEP 9), where it is known from nobody else.
//!
//! It comes before there is anything to plan or to store. Peers come from the same queue as those of a download, and the
//! connections to those that gave it go on with one.

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

/// A worker's place among those that are at work. It is given back at the end, however that comes.
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

/// In all it takes no longer than so many times the user's patience: a peer that brings little, again and again, would
/// else hold a build for hours.
const MOST_PATIENCE: u32 = 10;

/// Whom to ask.
#[derive(Debug, Default)]
pub struct MetadataSources {
    /// `host:port`.
    pub peers: Vec<(NamedBy, String)>,
    pub trackers: NamedTiers,
    /// Asked where nobody names any, as the DHT is.
    pub default_trackers: NamedTiers,
    /// A torrent that is not known yet is not known to be private: all clients ask, and only here.
    #[cfg(feature = "dht")]
    pub dht: Option<Arc<crate::net::Dht>>,
}

impl MetadataSources {
    /// Whether peers may be found that nobody names.
    pub fn ask_dht(&self) -> bool {
        #[cfg(feature = "dht")]
        return self.dht.is_some();
        #[cfg(not(feature = "dht"))]
        false
    }
}

/// The raw `info` dictionary, and peers that are known.
#[derive(Debug)]
pub struct FetchedMetadata {
    pub info: Vec<u8>,
    /// `host:port`.
    pub peers: Vec<String>,
    /// Those that the DHT and default trackers alone named, which a private torrent must not have.
    pub open_to_all: Vec<String>,
    /// The connections to those that gave it.
    pub open: OpenPeers,
}

/// Why there is none: in a few words, and what each one said.
#[derive(Debug)]
pub struct MetadataFailure {
    pub why: SourceError,
    pub report: Report,
}

/// What all threads share.
struct MetadataFetch {
    phase: Arc<PeerPhase>,
    max_bytes: usize,
    open: OpenPeers,
    /// Locked for bookkeeping, never across I/O.
    progress: Mutex<MetadataProgress>,
}

struct MetadataProgress {
    blocks: Blocks,
    found: Option<Vec<u8>>,
    /// When the last block came.
    useful: Duration,
}

impl MetadataFetch {}

/// Asks peers for the `info` dictionary of a torrent, of which no more than `max_bytes` are accepted, until the host is stopped.
/// The threads end with it; nobody joins them: all their waits have deadlines, and their sockets are closed.
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
    // Permits of peers that wait are for others.
    drop((coordinator, heard));
    let goodbye = GOODBYE.min(client.timing().reply);
    // The download that follows announces anew; meanwhile nobody waits for the trackers.
    let stop = move || announcers.stop(LEAVES, goodbye);
    let stopping = start_thread("at-goodbye", Box::new(stop));
    result.map_err(|why| {
        if let Ok(stopping) = stopping {
            let _ = stopping.join(); // it waits no longer than for the goodbye
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
    /// When anything was heard of anybody.
    heard: Duration,
}

impl MetadataCoordinator<'_> {
    /// Looks up the named peers, and announces. Gives what the searches of the DHT tell, which hold it weakly.
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
            // The others are a download's.
            _ => {}
        }
    }

    /// Gives places to peers that answered, and dials more. Where there is no place, those that have had theirs for a while make
    /// room.
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
        // Who answers waits for a place, and not all of them together.
        let free = most.saturating_sub(self.queue.waiting());
        self.queue.dial(phase.now(), free * OVERBOOKED, self.dials);
    }

    fn asked(&self) -> usize {
        self.queue.iter().filter(|peer| peer.attempts.tries > 0).count()
    }

    /// Why there is no use in going on, if there is none.
    fn is_hopeless(&self) -> Option<SourceError> {
        let (now, timing) = (self.fetch.phase.now(), self.fetch.phase.client.timing());
        // A tracker may answer twice, over IPv4 and IPv6.
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

    /// What a download that follows can use. Of the peers some that are not known to be gone, those first that are connected: who
    /// has a connection to one that takes part hands it over.
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
