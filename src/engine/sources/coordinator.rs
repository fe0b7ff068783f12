//! The coordinator of one dataset's download: starts workers, handles their events and decides when
//! to stop.
//!
//! The [`SourceManager`] knows the sources; this module decides when sources join, and when the
//! download is complete or hopeless.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::{Duration, SystemTime};

use self::damaged::Damaged;
use self::exchanged::Exchanged;
use super::event::WorkerEvent;
use super::swarm::Swarm;
use crate::address::NamedBy;
use crate::counters::Phase;
use crate::engine::announce::announcer::Announcers;
use crate::engine::announce::target::AnnounceTarget;
use crate::engine::budget::Budget;
use crate::engine::sources::manager::SourceManager;
use crate::error::Error;
use crate::net::timing::TICK;
use crate::picker::SourceId;
use crate::picker::pace::Pace;
use crate::plan::{DisabledSources, Rank, SourceKind, SourceSpec};
use crate::url::Url;

mod damaged;
mod exchanged;
mod giving_up;
mod refreshing;

pub use refreshing::Refresh;
use refreshing::RefreshState;

/// A download that trickles for this long fails; for the user's `TIMEOUT` if that is longer.
const SHORTEST_TRICKLE: Duration = Duration::from_secs(30);

/// Runs one download to its end.
pub struct Coordinator<'a> {
    swarm: Arc<Swarm>,
    budget: &'a Budget,
    events: Receiver<WorkerEvent>,
    announcers: Announcers,
    waiting: Vec<SourceSpec>,
    left_out: DisabledSources,
    pub manager: SourceManager,
    exchanged: Exchanged,
    /// Tiers that may still return peers.
    open_tiers: HashSet<u32>,
    /// The open tiers that have neither answered nor failed yet.
    unheard_tiers: HashSet<u32>,
    /// The number of trackers in the longest tier.
    longest_tier: usize,
    next_tier: u32,
    active: Option<Rank>,
    active_since: Duration,
    /// Since when there is a file that no web seed and no directory has.
    short_since: Option<Duration>,
    /// Whether damaged bytes may be fetched again; see [`Coordinator::new`].
    may_fetch: &'a MayFetch<'a>,
    /// Finds other sources when the torrent's own fail.
    pub refresh: Option<&'a dyn Refresh>,
    refreshing: RefreshState,
    damaged: Damaged,
    /// Whether data arrives too slowly: from the named sources while only they are active, and in
    /// total.
    named_pace: Pace,
    pace: Pace,
}

/// See [`Coordinator::new`].
pub type MayFetch<'a> = dyn Fn(u64, u64) -> Result<(), Error> + 'a;

impl<'a> Coordinator<'a> {
    /// `may_fetch` is called before damaged pieces are fetched again, with the number of damaged
    /// bytes so far and the total number of missing bytes.
    pub fn new(
        (swarm, budget, announcers): (Arc<Swarm>, &'a Budget, Announcers),
        events: Receiver<WorkerEvent>,
        sources: Vec<SourceSpec>,
        left_out: DisabledSources,
        may_fetch: &'a MayFetch<'a>,
    ) -> Coordinator<'a> {
        let pace = Pace::new(Duration::MAX, Duration::ZERO, 0);
        Coordinator {
            named_pace: pace.clone(),
            pace,
            manager: SourceManager::new(Arc::clone(&swarm)),
            swarm,
            budget,
            events,
            announcers,
            waiting: sources,
            left_out,
            exchanged: Exchanged::default(),
            open_tiers: HashSet::new(),
            unheard_tiers: HashSet::new(),
            longest_tier: 0,
            short_since: None,
            next_tier: 0,
            active: None,
            active_since: Duration::ZERO,
            may_fetch,
            refresh: None,
            refreshing: RefreshState::default(),
            damaged: Damaged::default(),
        }
    }

    /// Runs until all needed pieces are verified or no source can provide them. Returns the
    /// announcers, so that the caller can say goodbye to the trackers.
    ///
    /// # Errors
    /// [`ErrorKind::Network`] with the status of each source; [`ErrorKind::Disk`];
    /// [`ErrorKind::Stopped`].
    pub fn run(mut self) -> (Result<(), Error>, Announcers) {
        let result = self.until_done();
        self.swarm.close();
        (result, self.announcers)
    }

    /// Starts a new measurement of whether the download is too slow.
    fn pace_from(&self, now: Duration) -> Pace {
        let window = self.swarm.phase.client.timing().give_up.max(SHORTEST_TRICKLE);
        Pace::new(window, now, self.swarm.heard_bytes())
    }

    fn until_done(&mut self) -> Result<(), Error> {
        self.pace = self.pace_from(self.swarm.now());
        let mut last_seen = Duration::ZERO;
        while let Some(phase) = self.phase() {
            self.swarm.counters.set_phase(phase);
            if phase == Phase::Fetching {
                self.activate();
                self.manager.start_workers(self.budget);
            }
            for event in damaged::next_events(&self.events, TICK) {
                match event {
                    WorkerEvent::Disk(error) => return Err(*error),
                    event => self.on_event(event),
                }
            }
            self.swarm.host.stop.check()?;
            let now = self.swarm.now();
            self.fetch_damaged()?;
            let useful = self.swarm.last_useful();
            if useful > last_seen + Duration::from_millis(500) {
                last_seen = useful;
                self.swarm.partial.alive(SystemTime::now());
            }
            let give_up = self.swarm.phase.client.timing().give_up;
            // Nothing is being fetched, so the timeouts must not apply. The last piece may have
            // arrived just now, and its source may have ended.
            if self.swarm.schedule().wanted_bytes() == 0 {
                self.pace = self.pace_from(now);
                continue;
            }
            self.refresh_if_failing(now);
            let last_sign = self.swarm.last_sign_of_life().max(self.refreshing.joined());
            if now.saturating_sub(last_sign) >= give_up {
                let what = format!("no source sent any data for {}", crate::size::seconds(give_up));
                return Err(self.gave_up(&what)
                    .help("set ACADEMICTORRENTS_TIMEOUT to wait longer; verified data is kept, and the next build resumes"));
            }
            if self.pace.trickles(now, self.swarm.heard_bytes()) {
                if self.may_be_refreshed() {
                    self.pace = self.pace_from(now);
                    continue;
                }
                let window = crate::size::seconds(give_up.max(SHORTEST_TRICKLE));
                let what = format!("less than 1 KiB/s arrived over the last {window}");
                return Err(self.gave_up(&what)
                    .help("set ACADEMICTORRENTS_TIMEOUT to wait longer; verified data is kept, and the next build resumes"));
            }
            if self.is_hopeless(now) && !self.may_be_refreshed() {
                return Err(self.gave_up("no source could provide the data"));
            }
        }
        Ok(())
    }

    /// The current phase; `None` once all needed pieces are verified.
    fn phase(&self) -> Option<Phase> {
        let schedule = self.swarm.schedule();
        (!schedule.is_done()).then(|| self.swarm.count(&schedule))
    }

    /// Activates the named sources first, and the torrent's own sources once the named ones lack
    /// data, fail or are too slow.
    fn activate(&mut self) {
        let now = self.swarm.now();
        match self.active {
            None => {
                let named = self.waiting.iter().any(|source| source.rank == Rank::Named);
                self.join(if named { Rank::Named } else { Rank::Torrent });
            }
            Some(Rank::Named) => {
                let quiet = self.swarm.phase.client.timing().silence / 2;
                let since_news = now.saturating_sub(self.swarm.last_news());
                let since = now.saturating_sub(self.swarm.last_useful().max(self.active_since));
                // A named peer that is still downloading lacks pieces now, but will have them
                // later.
                let grows = since_news < quiet && self.manager.has_named_peer();
                let trickles = self.named_pace.trickles(now, self.swarm.heard_bytes());
                if !grows && (since >= quiet || trickles || self.named_sources_fail()) {
                    self.join(Rank::Torrent);
                }
            }
            Some(Rank::Torrent) => {}
        }
    }

    fn named_sources_fail(&mut self) -> bool {
        let undecided = self.manager.peers.is_looking_up()
            || (!self.open_tiers.is_empty() && self.manager.is_empty());
        !undecided && self.manager.falls_short()
    }

    fn join(&mut self, rank: Rank) {
        self.active = Some(rank);
        self.active_since = self.swarm.now();
        let quiet = self.swarm.phase.client.timing().silence / 2;
        self.named_pace = Pace::new(quiet, self.active_since, self.swarm.heard_bytes());
        let (now, later) =
            std::mem::take(&mut self.waiting).into_iter().partition(|source| source.rank <= rank);
        self.waiting = later;
        for source in now {
            match source.kind {
                SourceKind::Directory(path) => self.manager.add_directory(path),
                SourceKind::WebSeed(url) => {
                    self.manager.add_web_seed(url, source.by, rank == Rank::Named)
                }
                SourceKind::Peer(peer) => self.manager.peers.look_up(source.by, peer),
                SourceKind::Trackers(tiers) => self.announce(source.by, &tiers),
                #[cfg(feature = "dht")]
                SourceKind::Dht => {
                    let torrent: Arc<dyn AnnounceTarget> = Arc::<Swarm>::clone(&self.swarm);
                    if self.announcers.search_dht(&torrent, self.next_tier) {
                        self.open_tiers.insert(self.next_tier);
                        self.unheard_tiers.insert(self.next_tier);
                        self.next_tier += 1;
                    }
                }
            }
        }
    }

    fn announce(&mut self, by: NamedBy, tiers: &[Vec<Url>]) {
        let Coordinator { swarm, announcers, open_tiers, unheard_tiers, next_tier, .. } = self;
        let mut party = |tier: u32| -> Arc<dyn AnnounceTarget> {
            open_tiers.insert(tier);
            unheard_tiers.insert(tier);
            Arc::<Swarm>::clone(swarm)
        };
        let key = swarm.host.key;
        let longest = tiers.iter().map(Vec::len).max().unwrap_or_default();
        self.longest_tier = self.longest_tier.max(longest);
        *next_tier = announcers.start(by, tiers, *next_tier, key, &mut party, &swarm.phase.report);
    }

    fn on_event(&mut self, event: WorkerEvent) {
        match event {
            WorkerEvent::Done | WorkerEvent::Disk(_) => {}
            WorkerEvent::Damaged(piece) => self.damaged.add(piece),
            WorkerEvent::Lacks { source, file } => self.manager.on_lacked(source, file),
            WorkerEvent::Dialed { source, dialed } => self.manager.on_dialed(source, dialed),
            WorkerEvent::Ended { source, outcome, brought_bytes } => {
                self.manager.on_ended(source, outcome, brought_bytes)
            }
            WorkerEvent::BadPiece { source, piece, verdict } => {
                self.manager.on_bad_piece(source, piece, verdict)
            }
            WorkerEvent::Peers { addresses, by } => self.manager.peers.add_all(addresses, by),
            WorkerEvent::Exchanged { source, addresses } => {
                addresses.into_iter().for_each(|address| self.on_exchanged(source, address));
            }
            WorkerEvent::Resolved { by, name, addresses } => {
                self.manager.peers.on_resolved(by, &name, addresses);
            }
            WorkerEvent::Refreshed(answer) => self.on_refreshed(*answer),
            WorkerEvent::TierHeardOf(tier) => {
                self.unheard_tiers.remove(&tier);
            }
            WorkerEvent::TierLost(tier) => {
                self.open_tiers.remove(&tier);
                self.unheard_tiers.remove(&tier);
            }
        }
    }

    /// Adds a peer that another peer reported (PEX). It ranks with the peers from the torrent's
    /// trackers, whoever named the reporting peer.
    fn on_exchanged(&mut self, by: SourceId, address: SocketAddr) {
        if !self.exchanged.adds(by, address) {
            return;
        }
        if self.active == Some(Rank::Torrent) {
            self.manager.peers.add_all(vec![address], NamedBy::Neighbor);
        } else {
            let kind = SourceKind::Peer(address.to_string());
            self.waiting.push(SourceSpec { rank: Rank::Torrent, kind, by: NamedBy::Neighbor });
        }
    }
}
