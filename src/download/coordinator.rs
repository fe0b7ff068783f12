//! The coordinator of one dataset's download: starts workers, hears how they ended, decides when to stop.
//!
//! ```text
//! sources ──▶ known ─ permit ─▶ working ──ended──▶ known (again after a pause, doubled each time)
//!                                   └──lost, or failed too often──▶ lost
//! ```

use std::collections::HashSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, SystemTime};

use super::announcer::Announcers;
use super::budget::Budget;
use super::stream::Outcome;
use super::swarm::Swarm;
use super::web_worker::WebSeed;
use super::{directory_worker, peer_worker, web_worker};
use crate::error::{Error, ErrorKind};
use crate::geometry::PieceIndex;
use crate::net::{authority, resolve};
use crate::plan::{Rank, SourceKind, SourceSpec};
use crate::protocol::tracker::Tiers;
use crate::schedule::{SourceId, Verdict};

/// Connections to one web seed: one line is often held back by the server or by its round trip.
const PER_WEB_SEED: usize = 4;

/// What a further connection to a web seed must have to fetch, to be worth its handshake.
const BYTES_PER_CONNECTION: u64 = 2 << 20;

/// A source that failed so often, with nothing in between, is given up.
const FAILURES: u32 = 4;

/// Peers remembered; trackers of large swarms name more with every announce.
const MAX_SOURCES: usize = 1_000;

/// How often the coordinator looks around when nothing happens.
const TICK: Duration = Duration::from_millis(50);

/// What workers and announcers tell the coordinator.
#[derive(Debug)]
pub enum Event {
    /// All needed pieces are verified.
    Done,
    Ended {
        source: SourceId,
        outcome: Outcome,
        /// The connection had brought data before.
        brought: bool,
    },
    BadPiece {
        source: SourceId,
        piece: PieceIndex,
        verdict: Verdict,
    },
    Peers(Vec<SocketAddr>),
    /// A named peer's name look-up ended.
    Resolved {
        name: String,
        addresses: Result<Vec<SocketAddr>, String>,
    },
    /// No tracker of this tier ever answered.
    TierLost(u32),
    Disk(Box<Error>),
}

#[derive(Debug)]
enum Place {
    Directory(PathBuf),
    Web(Arc<WebSeed>),
    Peer(SocketAddr),
}

#[derive(Debug)]
struct Source {
    id: SourceId,
    name: String,
    host: String,
    place: Place,
    /// Connections now, and at most.
    working: usize,
    allowed: usize,
    failures: u32,
    not_before: Duration,
    lost: bool,
}

/// What a worker does on its thread.
type Run = Box<dyn FnOnce(&Arc<Swarm>) -> Outcome + Send>;

/// Runs the download to its end.
pub struct Coordinator<'a> {
    swarm: Arc<Swarm>,
    budget: &'a Budget,
    events: Receiver<Event>,
    announcers: Announcers,
    waiting: Vec<SourceSpec>,
    sources: Vec<Source>,
    peers: HashSet<SocketAddr>,
    /// Tiers that may still name peers, and names that are being looked up.
    open_tiers: HashSet<u32>,
    next_tier: u32,
    looking_up: usize,
    active: Option<Rank>,
    active_since: Duration,
}

impl<'a> Coordinator<'a> {
    pub fn new(
        swarm: Arc<Swarm>,
        budget: &'a Budget,
        events: Receiver<Event>,
        announcers: Announcers,
        sources: Vec<SourceSpec>,
    ) -> Coordinator<'a> {
        Coordinator {
            swarm,
            budget,
            events,
            announcers,
            waiting: sources,
            sources: Vec::new(),
            peers: HashSet::new(),
            open_tiers: HashSet::new(),
            next_tier: 0,
            looking_up: 0,
            active: None,
            active_since: Duration::ZERO,
        }
    }

    /// Until all needed pieces are verified, or no source can bring them. Gives the announcers, to say goodbye.
    ///
    /// # Errors
    /// [`ErrorKind::Network`] with what each source said; [`ErrorKind::Disk`].
    pub fn run(mut self) -> (Result<(), Error>, Announcers) {
        let result = self.until_done();
        self.swarm.close();
        (result, self.announcers)
    }

    fn until_done(&mut self) -> Result<(), Error> {
        let mut last_seen = Duration::ZERO;
        while !self.swarm.schedule().is_done() {
            self.activate();
            self.start_workers();
            match self.events.recv_timeout(TICK) {
                Ok(Event::Disk(error)) => return Err(*error),
                Ok(event) => self.on_event(event),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
            }
            let now = self.swarm.now();
            let useful = self.swarm.last_useful();
            if useful > last_seen + Duration::from_millis(500) {
                last_seen = useful;
                self.swarm.partial.alive(SystemTime::now());
            }
            let give_up = self.swarm.client.timing().give_up;
            if now.saturating_sub(useful) >= give_up {
                let what = format!("no source brought any data for {} s", give_up.as_secs_f32());
                return Err(self.gave_up(what)
                    .help("set ACADEMICTORRENTS_TIMEOUT to wait longer; what was verified is kept, and the next build goes on from there"));
            }
            if self.is_hopeless() {
                return Err(self.gave_up("no source can bring the data".to_owned()));
            }
        }
        Ok(())
    }

    fn gave_up(&self, what: String) -> Error {
        for source in self.sources.iter().filter(|source| source.working > 0) {
            self.swarm
                .report
                .note_first(&source.name, "is connected, or connecting, and was silent");
        }
        let missing = self.swarm.schedule().wanted_bytes();
        let error = Error::new(ErrorKind::Network, what)
            .why(format!("{} are missing", crate::size::display(missing)));
        let error = if self.swarm.report.is_empty() {
            error.why("the torrent names no tracker and no web seed, and neither does the manifest")
        } else {
            self.swarm.report.explain(error)
        };
        error.help(
            "add `mirrors`, `web-seeds` or `peers` to the dataset in Cargo.toml, if you know any",
        )
    }

    /// Lets the named sources begin, and the torrent's own once those lack something or fail.
    fn activate(&mut self) {
        let now = self.swarm.now();
        match self.active {
            None => {
                let named = self.waiting.iter().any(|source| source.rank == Rank::Named);
                self.join(if named { Rank::Named } else { Rank::Torrent });
            }
            Some(Rank::Named) => {
                let quiet = self.swarm.client.timing().silence / 2;
                let since = now.saturating_sub(self.swarm.last_useful().max(self.active_since));
                if since >= quiet || self.named_sources_fail() {
                    self.join(Rank::Torrent);
                }
            }
            Some(Rank::Torrent) => {}
        }
    }

    fn named_sources_fail(&self) -> bool {
        if self.looking_up > 0 || (!self.open_tiers.is_empty() && self.sources.is_empty()) {
            return false;
        }
        let well: Vec<_> =
            self.sources.iter().filter(|s| !s.lost && (s.failures == 0 || s.working > 0)).collect();
        // A peer says what it has once it is connected: until then it may have all.
        let unknown =
            well.iter().any(|source| matches!(source.place, Place::Peer(_)) && source.working == 0);
        let connecting = well.iter().any(|source| matches!(source.place, Place::Peer(_)));
        let ids: Vec<_> = well.iter().map(|source| source.id).collect();
        if self.swarm.schedule().is_covered_by(&ids) {
            return false;
        }
        well.is_empty() || !(unknown || (connecting && self.swarm.last_useful().is_zero()))
    }

    fn join(&mut self, rank: Rank) {
        self.active = Some(rank);
        self.active_since = self.swarm.now();
        let (now, later) =
            std::mem::take(&mut self.waiting).into_iter().partition(|source| source.rank <= rank);
        self.waiting = later;
        for source in now {
            match source.kind {
                SourceKind::Directory(path) => {
                    let name = path.display().to_string();
                    self.add(name.clone(), name, 1, |_| Place::Directory(path));
                }
                SourceKind::WebSeed(url) => match authority(&url) {
                    Some(host) => {
                        let missing = self.swarm.schedule().wanted_bytes();
                        let useful =
                            usize::try_from(missing / BYTES_PER_CONNECTION).unwrap_or(usize::MAX);
                        let allowed = PER_WEB_SEED.min(useful).max(1);
                        self.add(url.clone(), host, allowed, |id| {
                            Place::Web(Arc::new(WebSeed::new(id, url)))
                        });
                    }
                    None => {
                        self.swarm.report.note(&url, "only http and https web seeds are supported")
                    }
                },
                SourceKind::Peer(peer) => self.look_up(peer),
                SourceKind::Trackers(tiers) => self.announce(&tiers),
            }
        }
    }

    fn announce(&mut self, tiers: &[Vec<String>]) {
        let tiers = Tiers::new(None, tiers, fastrand::u64(..));
        for tier in tiers.tiers() {
            let (usable, other): (Vec<_>, Vec<_>) =
                tier.iter().cloned().partition(|url| crate::context::is_http(url));
            for url in other {
                self.swarm.report.note(&url, "only http and https trackers are supported so far");
            }
            if !usable.is_empty() {
                self.open_tiers.insert(self.next_tier);
                self.announcers.start(&self.swarm, usable, self.next_tier, fastrand::u32(..));
                self.next_tier += 1;
            }
        }
    }

    /// Looks a peer's name up on a thread of its own: the resolver has no deadline.
    fn look_up(&mut self, name: String) {
        if let Ok(address) = name.parse() {
            self.add_peer(address);
            return;
        }
        let swarm = Arc::clone(&self.swarm);
        let look_up = move || {
            let addresses = resolve(&name);
            swarm.tell(Event::Resolved { name, addresses });
        };
        if std::thread::Builder::new().name("at-resolver".to_owned()).spawn(look_up).is_ok() {
            self.looking_up += 1;
        }
    }

    fn add(
        &mut self,
        name: String,
        host: String,
        allowed: usize,
        place: impl FnOnce(SourceId) -> Place,
    ) {
        let id = SourceId(self.sources.len() as u32);
        let place = place(id);
        let mut schedule = self.swarm.schedule();
        match place {
            Place::Peer(_) => schedule.add_peer(id),
            Place::Directory(_) | Place::Web(_) => schedule.add_streaming(id),
        }
        drop(schedule);
        self.sources.push(Source {
            id,
            name,
            host,
            place,
            working: 0,
            allowed,
            failures: 0,
            not_before: Duration::ZERO,
            lost: false,
        });
    }

    fn add_peer(&mut self, address: SocketAddr) {
        if self.sources.len() < MAX_SOURCES && self.peers.insert(address) {
            self.add(format!("peer {address}"), address.to_string(), 1, |_| Place::Peer(address));
        }
    }

    fn start_workers(&mut self) {
        let now = self.swarm.now();
        let mut working: usize = self.sources.iter().map(|source| source.working).sum();
        // One connection each before anyone gets a second; within that, named sources first.
        for round in 0..PER_WEB_SEED {
            for index in 0..self.sources.len() {
                if working >= self.budget.per_dataset() {
                    return;
                }
                let source = &self.sources[index];
                let ready = !source.lost
                    && source.working == round
                    && round < source.allowed
                    && now >= source.not_before;
                if ready && self.start_worker(index, now) {
                    working += 1;
                }
            }
        }
    }

    fn start_worker(&mut self, index: usize, now: Duration) -> bool {
        let source = &mut self.sources[index];
        let id = source.id;
        {
            let mut schedule = self.swarm.schedule();
            match source.place {
                // What a peer has is known only while it is connected.
                Place::Peer(_) => schedule.add_peer(id),
                Place::Directory(_) | Place::Web(_) if !schedule.is_useful(id) => {
                    source.lost = true;
                    return false;
                }
                Place::Directory(_) | Place::Web(_) => {}
            }
        }
        let Some(permit) = self.budget.permit(&source.host) else { return false };
        source.working += 1;
        let swarm = Arc::clone(&self.swarm);
        let worker = swarm.schedule().begin(id, now);
        let run: Run = match &source.place {
            Place::Directory(path) => {
                let path = path.clone();
                Box::new(move |swarm| directory_worker::work(swarm, id, worker, &path))
            }
            Place::Web(seed) => {
                let seed = Arc::clone(seed);
                Box::new(move |swarm| web_worker::work(swarm, &seed, worker))
            }
            Place::Peer(address) => {
                let address = *address;
                Box::new(move |swarm| peer_worker::work(swarm, id, worker, address))
            }
        };
        let is_peer = matches!(source.place, Place::Peer(_));
        self.budget.spawn(permit, move || {
            let mut guard = Guard { swarm, source: id, worker, is_peer, outcome: None };
            guard.counter().fetch_add(1, Ordering::Relaxed);
            guard.outcome = Some(run(&guard.swarm));
        });
        true
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::Done | Event::Disk(_) => {}
            Event::Ended { source, outcome, brought } => self.on_ended(source, outcome, brought),
            Event::BadPiece { source, piece, verdict } => {
                if let Some(source) = self.sources.get_mut(source.0 as usize) {
                    source.lost |= verdict == Verdict::Banned;
                    let then = if verdict == Verdict::Banned {
                        ", once too often: it is not asked again"
                    } else {
                        ""
                    };
                    self.swarm
                        .report
                        .note(&source.name, format!("sent wrong bytes (piece {piece}){then}"));
                }
            }
            Event::Peers(addresses) => {
                addresses.into_iter().for_each(|address| self.add_peer(address));
            }
            Event::Resolved { name, addresses } => {
                self.looking_up -= 1;
                match addresses {
                    Ok(addresses) => {
                        addresses.into_iter().for_each(|address| self.add_peer(address))
                    }
                    Err(why) => self.swarm.report.note(&format!("peer {name}"), why),
                }
            }
            Event::TierLost(tier) => {
                self.open_tiers.remove(&tier);
            }
        }
    }

    fn on_ended(&mut self, id: SourceId, outcome: Outcome, brought: bool) {
        let now = self.swarm.now();
        let back_off = self.swarm.client.timing().back_off;
        let Some(source) = self.sources.get_mut(id.0 as usize) else { return };
        source.working = source.working.saturating_sub(1);
        match outcome {
            Outcome::Ended => {
                source.failures = 0;
                if !matches!(source.place, Place::Peer(_)) && !self.swarm.schedule().is_useful(id) {
                    source.lost = true;
                }
            }
            Outcome::Failed(why) => {
                // A connection that had brought data before it broke is no sign of a dead source.
                if brought {
                    source.failures = 0;
                }
                source.failures += 1;
                source.allowed = source.allowed.div_ceil(2);
                source.not_before = now + back_off * 2_u32.saturating_pow(source.failures - 1);
                source.lost |= source.failures >= FAILURES;
                self.swarm.report.note(&source.name, why);
            }
            Outcome::Paused(pause, why) => {
                source.allowed = source.allowed.div_ceil(2);
                source.not_before = source.not_before.max(now + pause);
                self.swarm.report.note(&source.name, why);
            }
            Outcome::Lost(why) => {
                // Of a banned one it was noted already which piece was wrong.
                if !std::mem::replace(&mut source.lost, true) {
                    self.swarm.report.note(&source.name, why);
                }
            }
        }
    }

    /// Whether no source is left that could bring anything.
    fn is_hopeless(&self) -> bool {
        self.waiting.is_empty()
            && self.open_tiers.is_empty()
            && self.looking_up == 0
            && self.sources.iter().all(|source| source.lost && source.working == 0)
    }
}

/// Tells the coordinator that a worker ended, however it did.
struct Guard {
    swarm: Arc<Swarm>,
    source: SourceId,
    worker: crate::schedule::WorkerId,
    is_peer: bool,
    outcome: Option<Outcome>,
}

impl Guard {
    fn counter(&self) -> &AtomicU32 {
        if self.is_peer { &self.swarm.counters.peers } else { &self.swarm.counters.web_seeds }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.counter().fetch_sub(1, Ordering::Relaxed);
        let brought = self.swarm.schedule().end(self.worker);
        self.swarm.wake();
        let panicked =
            || Outcome::Lost("its worker failed: this is a fault of academictorrents".to_owned());
        let outcome = self.outcome.take().unwrap_or_else(panicked);
        self.swarm.tell(Event::Ended { source: self.source, outcome, brought });
    }
}
