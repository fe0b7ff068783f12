//! The sources of one dataset's download: which there are, who works, and who is given up.
//!
//! ```text
//! known ─ permit ─▶ working ──ended──▶ known (after a failure: after a pause, doubled each time)
//!                      └──lost, or failed too often──▶ lost
//! ```

use std::collections::HashSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::budget::Budget;
use super::coordinator::Event;
use super::growth::Growth;
use super::stream::Outcome;
use super::swarm::Swarm;
use super::web_worker::WebSeed;
use super::{directory_worker, peer_worker, web_worker};
use crate::geometry::PieceIndex;
use crate::net::authority;
use crate::protocol::socks::Target;
use crate::schedule::{SourceId, Verdict, WorkerId};

/// What a further connection to a web seed must have to fetch, to be worth its handshake.
const BYTES_PER_CONNECTION: u64 = 2 << 20;

/// A source that failed so often, with nothing in between, is given up.
const FAILURES: u32 = 4;

/// Peers remembered; trackers of large swarms name more with every announce.
const MAX_SOURCES: usize = 1_000;

#[derive(Debug)]
enum Place {
    Directory(PathBuf),
    Web(Arc<WebSeed>),
    Peer(Target),
}

#[derive(Debug)]
struct Source {
    id: SourceId,
    name: String,
    host: String,
    place: Place,
    /// A peer that the user or the manifest named by its address.
    named: bool,
    /// Connections now, and how many are worth having.
    working: usize,
    growth: Growth,
    /// Of a mirror: the URL of its data where it is a store, until that was tried.
    as_store: Option<String>,
    failures: u32,
    not_before: Duration,
    lost: bool,
}

/// What a worker does on its thread.
type Run = Box<dyn FnOnce(&Arc<Swarm>) -> Outcome + Send>;

/// The sources, in the order in which they became known.
#[derive(Debug)]
pub struct Roster {
    swarm: Arc<Swarm>,
    sources: Vec<Source>,
    peers: HashSet<SocketAddr>,
}

impl Roster {
    pub fn new(swarm: Arc<Swarm>) -> Roster {
        Roster { swarm, sources: Vec::new(), peers: HashSet::new() }
    }

    pub fn is_empty(&self) -> bool {
        self.sources.is_empty()
    }

    /// Whether each source is lost for good, and nobody works any more.
    pub fn is_exhausted(&self) -> bool {
        self.sources.iter().all(|source| source.lost && source.working == 0)
    }

    /// Notes of those that are connected, and of which nothing else is known, that they are.
    pub fn note_silent(&self) {
        for source in self.sources.iter().filter(|source| source.working > 0) {
            self.swarm.report.note_first(&source.name, "brought nothing so far");
        }
    }

    /// Whether the sources so far lack something, or fail.
    pub fn falls_short(&self) -> bool {
        let well: Vec<_> =
            self.sources.iter().filter(|s| !s.lost && (s.failures == 0 || s.working > 0)).collect();
        let ids: Vec<_> = well.iter().map(|source| source.id).collect();
        if self.swarm.schedule().is_covered_by(&ids) {
            return false;
        }
        // A peer says what it has once it is connected: until then it may have all.
        let mut peers =
            well.iter().filter(|source| matches!(source.place, Place::Peer(_))).peekable();
        let undecided = peers.peek().is_some() && self.swarm.last_useful().is_zero();
        let undecided = undecided || well.iter().any(|source| source.as_store.is_some());
        !(undecided || peers.any(|peer| peer.working == 0))
    }

    /// Whether some peer is connected that was named by its address.
    pub fn has_named_peer(&self) -> bool {
        self.sources.iter().any(|source| source.working > 0 && source.named)
    }

    /// A directory with the torrent's own layout: of a mirror `<infohash>`, or that of a store, where the mirror is one.
    pub fn add_directory(&mut self, mut path: PathBuf) {
        let infohash = self.swarm.partial.metainfo().infohash.to_string();
        if path.ends_with(&infohash) && !path.is_dir() {
            let in_store = path.with_file_name("v1").join("data").join(&infohash).join("files");
            path = if in_store.is_dir() { in_store } else { path };
        }
        let name = path.display().to_string();
        self.add(name.clone(), name, Growth::single(), |_| Place::Directory(path));
    }

    /// A mirror lacks something under its own layout: it may be a store, which has another.
    pub fn try_as_store(&mut self, id: SourceId) {
        let source = self.sources.get_mut(id.0 as usize);
        if let Some(url) = source.and_then(|source| source.as_store.take()) {
            self.add_web_seed(url, false);
        }
    }

    /// A web seed; where the user named it, it may be a mirror.
    pub fn add_web_seed(&mut self, url: String, may_be_mirror: bool) {
        let infohash = self.swarm.partial.metainfo().infohash;
        let mirror = url.strip_suffix(&format!("/{infohash}/")).filter(|_| may_be_mirror);
        let as_store = mirror.map(|base| format!("{base}/v1/data/{infohash}/files/"));
        let Some(host) = authority(&url) else {
            self.swarm.report.note(&url, "only http and https web seeds are supported");
            return;
        };
        let missing = self.swarm.schedule().wanted_bytes();
        let useful = usize::try_from(missing / BYTES_PER_CONNECTION).unwrap_or(usize::MAX);
        let metainfo = Arc::clone(self.swarm.partial.metainfo());
        self.add(url.clone(), host, Growth::up_to(useful), |id| {
            Place::Web(Arc::new(WebSeed::new(id, url, &metainfo)))
        });
        if let Some(source) = self.sources.last_mut().filter(|_| as_store.is_some()) {
            source.as_store = as_store;
        }
    }

    fn add(
        &mut self,
        name: String,
        host: String,
        growth: Growth,
        place: impl FnOnce(SourceId) -> Place,
    ) {
        if self.sources.len() >= MAX_SOURCES {
            return;
        }
        let id = SourceId(self.sources.len() as u32);
        let place = place(id);
        let mut schedule = self.swarm.schedule();
        match place {
            Place::Peer(_) => schedule.add_peer(id),
            Place::Directory(_) | Place::Web(_) => schedule.add_streaming(id),
        }
        drop(schedule);
        #[cfg(feature = "cli")]
        self.swarm.counters.add_source(&name);
        self.sources.push(Source {
            id,
            name,
            host,
            place,
            named: false,
            working: 0,
            growth,
            as_store: None,
            failures: 0,
            not_before: Duration::ZERO,
            lost: false,
        });
    }

    pub fn add_peer(&mut self, address: SocketAddr) {
        if self.sources.len() < MAX_SOURCES && self.peers.insert(address) {
            self.add_target(Target::Address(address));
        }
    }

    /// A peer that the user or the manifest named.
    pub fn add_named_peer(&mut self, address: SocketAddr) {
        let before = self.sources.len();
        self.add_peer(address);
        self.sources.iter_mut().skip(before).for_each(|source| source.named = true);
    }

    /// A peer whose name, in its `host:port`, is not looked up here.
    pub fn add_peer_by_name(&mut self, place: &str) {
        match Target::parse(place) {
            Some(target) => self.add_target(target),
            None => self.swarm.report.note(&format!("peer {place}"), "it is no `host:port`"),
        }
    }

    fn add_target(&mut self, target: Target) {
        let place = target.to_string();
        self.add(format!("peer {place}"), place, Growth::single(), |_| Place::Peer(target));
    }

    /// Starts as many workers as are allowed and useful.
    pub fn start_workers(&mut self, budget: &Budget) {
        let now = self.swarm.now();
        for source in &mut self.sources {
            if let Place::Web(seed) = &source.place {
                let delivering = self.swarm.schedule().delivering(source.id);
                source.growth.look(now, delivering, seed.received_bytes());
            }
        }
        let most = self.sources.iter().map(|source| source.growth.allowed()).max().unwrap_or(0);
        // Those who stream first, and a share kept for them: peers may all be silent, and many. One connection each
        // before anyone gets a second; within that, in the order in which they became known.
        let (all, to_peers) = (budget.per_dataset(), budget.per_dataset().div_ceil(4) * 3);
        for (peers, limit) in [(false, all), (true, to_peers)] {
            for round in 0..most {
                for index in 0..self.sources.len() {
                    let working: usize = self.sources.iter().map(|source| source.working).sum();
                    if working >= limit {
                        break;
                    }
                    let source = &self.sources[index];
                    let ready = matches!(source.place, Place::Peer(_)) == peers
                        && !source.lost
                        && source.working == round
                        && round < source.growth.allowed()
                        && now >= source.not_before;
                    if ready {
                        self.start_worker(index, now, budget);
                    }
                }
            }
        }
    }

    fn start_worker(&mut self, index: usize, now: Duration, budget: &Budget) {
        let source = &mut self.sources[index];
        let id = source.id;
        {
            let mut schedule = self.swarm.schedule();
            match source.place {
                // What a peer has is known only while it is connected.
                Place::Peer(_) => schedule.add_peer(id),
                Place::Directory(_) | Place::Web(_) if !schedule.is_useful(id) => {
                    source.lost = true;
                    return;
                }
                Place::Directory(_) | Place::Web(_) => {}
            }
        }
        let Some(permit) = budget.permit(&source.host) else { return };
        source.working += 1;
        #[cfg(feature = "cli")]
        self.swarm.counters.set_works(id.0, true);
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
            Place::Peer(target) => {
                let (target, named) = (target.clone(), source.named);
                Box::new(move |swarm| peer_worker::work(swarm, id, worker, &target, named))
            }
        };
        if source.working == 1 && !matches!(source.place, Place::Peer(_)) {
            self.swarm.counters.web_seeds.fetch_add(1, Ordering::Relaxed);
        }
        budget.spawn(permit, move || {
            let mut guard = Guard { swarm, source: id, worker, outcome: None };
            guard.outcome = Some(run(&guard.swarm));
        });
    }

    /// A piece of this source alone was wrong.
    pub fn on_bad_piece(&mut self, id: SourceId, piece: PieceIndex, verdict: Verdict) {
        let Some(source) = self.sources.get_mut(id.0 as usize) else { return };
        source.lost |= verdict == Verdict::Banned;
        let then = match (verdict, &source.place) {
            (Verdict::Banned, Place::Web(_)) => {
                ", once too often: it is not asked again; the server may hold another version of the file"
            }
            (Verdict::Banned, _) => ", once too often: it is not asked again",
            _ => "",
        };
        self.swarm.report.note(&source.name, format!("sent wrong bytes (piece {piece}){then}"));
    }

    /// A worker of this source ended.
    pub fn on_ended(&mut self, id: SourceId, outcome: Outcome, brought: bool) {
        let now = self.swarm.now();
        let back_off = self.swarm.client.timing().back_off;
        let Some(source) = self.sources.get_mut(id.0 as usize) else { return };
        source.working = source.working.saturating_sub(1);
        #[cfg(feature = "cli")]
        self.swarm.counters.set_works(id.0, source.working > 0);
        if source.working == 0 && !matches!(source.place, Place::Peer(_)) {
            self.swarm.counters.web_seeds.fetch_sub(1, Ordering::Relaxed);
        }
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
                // Connections that fail together, as they do when a server goes, are one failure.
                if now >= source.not_before {
                    source.failures += 1;
                    source.growth.shrink();
                    source.not_before = now + back_off * 2_u32.saturating_pow(source.failures - 1);
                }
                source.lost |= source.failures >= FAILURES;
                self.swarm.report.note(&source.name, why);
            }
            Outcome::Paused(pause, why) => {
                source.growth.shrink();
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
}

/// Tells the coordinator that a worker ended, however it did.
struct Guard {
    swarm: Arc<Swarm>,
    source: SourceId,
    worker: WorkerId,
    outcome: Option<Outcome>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        let brought = self.swarm.schedule().end(self.worker);
        self.swarm.wake();
        let panicked =
            || Outcome::Lost("its worker failed: this is a fault of academictorrents".to_owned());
        let outcome = self.outcome.take().unwrap_or_else(panicked);
        self.swarm.tell(Event::Ended { source: self.source, outcome, brought });
    }
}
