//! The sources of one dataset's download: which are known, which are working, and which are given
//! up.
//!
//! ```text
//! known ─ permit ─▶ working ──ended──▶ known (after a failure: after a pause, doubled each time)
//!                      └──lost, or failed too often──▶ lost
//! ```
//! Web seeds and directories, which stream whole files, are handled here; [`super::peer_queue`]
//! handles peers until they get a worker.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::attempts::{Attempts, RetryPolicy};
use super::dial::Greeting;
use super::event::WorkerOutcome;
use super::peer_queue::PeerQueue;
use super::swarm::Swarm;
use super::web_seed::WebSeed;
use super::{directory_worker, peer_worker, web_worker};
use crate::address::NamedBy;
use crate::engine::budget::{Budget, FAILURES, MAX_SOURCES, OVERBOOKED};
use crate::engine::connection_limiter::Permit;
use crate::engine::sources::concurrency::Concurrency;
use crate::engine::sources::lost_files::LostFiles;
use crate::net::SourceError;
use crate::picker::pace::Pace;
use crate::picker::{SourceId, WorkerId};
use crate::storage::data_in_mirror;
use crate::url::Url;

use crate::engine::sources::manager::ending::WorkerGuard;
use crate::engine::sources::manager::final_answers::LackedFiles;

mod ending;
mod final_answers;

/// A web seed gets another connection for this many missing bytes; with fewer, the handshake is not
/// worth it.
const BYTES_PER_CONNECTION: u64 = 2 << 20;

#[derive(Debug)]
enum StreamPlace {
    Directory(PathBuf, Arc<LostFiles>),
    Web(Arc<WebSeed>),
}

/// A source of whole files: a web seed or a directory.
#[derive(Debug)]
struct StreamSource {
    id: SourceId,
    name: String,
    host: String,
    place: StreamPlace,
    attempts: Attempts,
    /// The number of connections that are worth having.
    concurrency: Concurrency,
    /// For a mirror that was named by URL: the URL of the data if the mirror is a store. Taken when
    /// it is tried.
    as_store: Option<(NamedBy, Url)>,
}

impl StreamSource {
    /// The files that the source does not have.
    fn lost_files(&self) -> &LostFiles {
        match &self.place {
            StreamPlace::Directory(_, lost) => lost,
            StreamPlace::Web(seed) => &seed.lost,
        }
    }
}

/// The work of a worker on its thread.
type WorkerRun = Box<dyn FnOnce(&Arc<Swarm>) -> WorkerOutcome + Send>;

/// All sources of a download. IDs are assigned in the order in which sources become known.
#[derive(Debug)]
pub struct SourceManager {
    swarm: Arc<Swarm>,
    policy: RetryPolicy,
    streams: Vec<StreamSource>,
    pub peers: PeerQueue,
    /// The number of streaming workers.
    streaming: usize,
    /// The pace of all sources together.
    pace: Pace,
    lacked: LackedFiles,
}

impl SourceManager {
    pub fn new(swarm: Arc<Swarm>) -> SourceManager {
        let timing = swarm.phase.client.timing();
        let policy = RetryPolicy { pause: timing.back_off, failures: FAILURES };
        let counters = Some(Arc::clone(&swarm.counters));
        SourceManager {
            pace: Pace::new(timing.slice(0), swarm.now(), 0),
            policy,
            streams: Vec::new(),
            peers: PeerQueue::new(Arc::clone(&swarm.phase), policy, counters),
            streaming: 0,
            lacked: LackedFiles::default(),
            swarm,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.streams.is_empty() && self.peers.iter().next().is_none()
    }

    #[cfg(feature = "bench")]
    pub fn len(&self) -> usize {
        self.streams.len() + self.peers.iter().count()
    }

    /// Whether every source is lost for good and has no worker left.
    pub fn is_exhausted(&self) -> bool {
        self.streams.iter().all(|source| source.attempts.is_over()) && self.peers.is_exhausted()
    }

    /// Whether the known sources lack data that is needed, or fail.
    pub fn falls_short(&mut self) -> bool {
        let lacks_a_file = self.lacks_a_file();
        let streams: Vec<_> = self.streams.iter().filter(|it| it.attempts.goes_well()).collect();
        let peers: Vec<_> = self.peers.iter().filter(|it| it.attempts.goes_well()).collect();
        let bring_all = streams.iter().filter(|_| !lacks_a_file).map(|source| source.id);
        let ids: Vec<_> = bring_all.chain(peers.iter().map(|peer| peer.id)).collect();
        if self.swarm.schedule().is_covered_by(&ids) {
            return false;
        }
        // A peer reports its pieces only once it is connected; until then it may have all of them.
        let undecided = !peers.is_empty() && self.swarm.last_useful().is_zero();
        let undecided = undecided || streams.iter().any(|source| source.as_store.is_some());
        !(undecided || peers.iter().any(|peer| peer.attempts.working == 0))
    }

    /// Whether a peer is connected that was named by its address.
    pub fn has_named_peer(&self) -> bool {
        self.peers.iter().any(|peer| peer.attempts.working > 0 && peer.named)
    }

    /// Adds a mirror directory with the torrent's own layout: `<infohash>` in the mirror or, if the
    /// mirror is a store, the data directory of that store.
    pub fn add_directory(&mut self, mut path: PathBuf) {
        let infohash = self.swarm.partial.metainfo().infohash.to_string();
        if let Some(mirror) = path.parent().filter(|_| path.ends_with(&infohash)) {
            path = data_in_mirror(mirror, &infohash);
        }
        let name = path.display().to_string();
        let place = |_| StreamPlace::Directory(path, Arc::default());
        self.add(name.clone(), name, Concurrency::single(), place);
    }

    /// Called when data that was already present must be fetched again.
    pub fn is_wanted_again(&mut self) {
        self.lacked.look_again();
    }

    /// Records that a source does not have a file. A mirror that lacks a file in its own layout may
    /// be a store, whose layout differs; that is tried once.
    pub fn on_lacked(&mut self, id: SourceId, file: u32) {
        self.lacked.add(file);
        let source = self.stream_mut(id);
        if let Some((by, url)) = source.and_then(|source| source.as_store.take()) {
            self.add_web_seed(url, by, false);
        }
    }

    /// Adds a web seed. If the user named it, it may be a mirror.
    pub fn add_web_seed(&mut self, url: Url, by: NamedBy, may_be_mirror: bool) {
        let infohash = self.swarm.partial.metainfo().infohash;
        let mirror = url.exposed().strip_suffix(&format!("/{infohash}/"));
        let as_store = mirror.filter(|_| may_be_mirror);
        let as_store =
            as_store.map(|base| (by, format!("{base}/v1/data/{infohash}/files/").into()));
        let Some(host) = url.origin() else {
            let why = SourceError::UnsupportedWebSeed;
            self.swarm.phase.report.note(&url.to_string(), Err(why));
            return;
        };
        let missing = self.swarm.schedule().wanted_bytes();
        let useful = usize::try_from(missing / BYTES_PER_CONNECTION).unwrap_or(usize::MAX);
        let metainfo = Arc::clone(self.swarm.partial.metainfo());
        let added = self.add(url.to_string(), host, Concurrency::up_to(useful), |id| {
            StreamPlace::Web(Arc::new(WebSeed::new(id, url, by, &metainfo)))
        });
        if let Some(source) = added {
            source.as_store = as_store;
        }
    }

    /// Adds a source, unless there are too many.
    fn add(
        &mut self,
        name: String,
        host: String,
        concurrency: Concurrency,
        place: impl FnOnce(SourceId) -> StreamPlace,
    ) -> Option<&mut StreamSource> {
        if self.streams.len() >= MAX_SOURCES {
            return None;
        }
        let id = self.peers.next_id(&name);
        let place = place(id);
        self.swarm.schedule().add_streaming(id);
        self.lacked.look_again();
        let (attempts, as_store) = (Attempts::default(), None);
        self.streams.push(StreamSource { id, name, host, place, attempts, concurrency, as_store });
        self.streams.last_mut()
    }

    fn stream_mut(&mut self, id: SourceId) -> Option<&mut StreamSource> {
        let index = self.streams.binary_search_by_key(&id, |source| source.id).ok()?;
        self.streams.get_mut(index)
    }

    /// Starts as many workers as the budget allows and the download can use, and dials peers.
    pub fn start_workers(&mut self, budget: &Budget) {
        let now = self.swarm.now();
        // Streaming sources first, with a share reserved for them: peers may be numerous and all
        // silent.
        let all = budget.per_dataset;
        self.start_streams(now, all, budget);
        self.start_peers(now, all.div_ceil(4) * 3, budget);
    }

    /// Each source gets one connection before any source gets a second; ties are broken by the
    /// order in which sources became known.
    fn start_streams(&mut self, now: Duration, most: usize, budget: &Budget) {
        let mut ready = Vec::new();
        let mut schedule = self.swarm.schedule();
        for (index, source) in self.streams.iter_mut().enumerate() {
            let working = source.attempts.working;
            if let StreamPlace::Web(seed) = &source.place {
                if let Some(most) = seed.most_connections() {
                    source.concurrency.limit(most);
                }
                let delivering = match working {
                    0 => 0,
                    _ => schedule.delivering(source.id),
                };
                source.concurrency.look(now, delivering, seed.received_bytes());
            }
            if working < source.concurrency.allowed && source.attempts.may_begin(now) {
                if schedule.is_useful(source.id) {
                    ready.push(index);
                } else {
                    source.attempts.lost = true;
                    self.lacked.look_again();
                }
            }
        }
        drop(schedule);
        if !budget.has_room() {
            return;
        }
        let mut round = 0;
        while !ready.is_empty() {
            let mut later = Vec::new();
            for index in ready {
                if self.at_work() >= most {
                    return;
                }
                let has_more = self.streams[index].attempts.working > round;
                if has_more || self.start_stream(index, now, budget) {
                    let StreamSource { attempts, concurrency, .. } = &self.streams[index];
                    later.extend(Some(index).filter(|_| attempts.working < concurrency.allowed));
                }
            }
            ready = later;
            round += 1;
        }
    }

    /// Starts a worker, if it would be useful and a permit is available.
    fn start_stream(&mut self, index: usize, now: Duration, budget: &Budget) -> bool {
        let source = &mut self.streams[index];
        let id = source.id;
        if !self.swarm.schedule().is_useful(id) {
            source.attempts.lost = true;
            self.lacked.look_again();
            return false;
        }
        let Some(permit) = budget.permit(&source.host) else { return false };
        source.attempts.begin(now);
        let worker = self.swarm.schedule().begin(id, now);
        let run: WorkerRun = match &source.place {
            StreamPlace::Directory(path, lost) => {
                let (path, lost) = (path.clone(), Arc::clone(lost));
                Box::new(move |swarm| directory_worker::work(swarm, id, worker, &path, &lost))
            }
            StreamPlace::Web(seed) => {
                let seed = Arc::clone(seed);
                Box::new(move |swarm| web_worker::work(swarm, &seed, worker))
            }
        };
        if source.attempts.working == 1 {
            self.swarm.counters.web_seeds.fetch_add(1, Ordering::Relaxed);
        }
        self.swarm.counters.sources.set_works(id.0, true);
        self.streaming += 1;
        self.spawn(id, worker, run, permit, budget);
        true
    }

    /// Gives places to waiting peers, up to `most` workers in total, and dials more peers.
    fn start_peers(&mut self, now: Duration, most: usize, budget: &Budget) {
        while self.at_work() < most {
            let next = self.peers.next_greeted(|peer| budget.permit(&peer.target.to_string()));
            let Some((permit, id, greeting)) = next else { break };
            self.start_peer(id, greeting, permit, now, budget);
        }
        self.peers.expire(now);
        let starves = self.pace.trickles(now, self.swarm.heard_bytes());
        let slice = |id| self.peers.slice(id);
        let idle = if starves { self.swarm.schedule().idle_peers(now, slice) } else { 0 };
        let waiting = self.peers.waiting();
        self.swarm.phase.want_places(waiting.min(idle));
        // Dials for each free place, and for each idle peer's place that no waiting peer will take.
        let free = most.saturating_sub(self.at_work() + waiting);
        let dialed_for = free + idle.saturating_sub(waiting);
        self.peers.dial(now, dialed_for * OVERBOOKED, budget.dials());
    }

    /// Starts the worker of a peer that answered the handshake.
    fn start_peer(
        &mut self,
        id: SourceId,
        greeting: Box<Greeting>,
        permit: Permit<String>,
        now: Duration,
        budget: &Budget,
    ) {
        let Some(peer) = self.peers.get(id) else { return };
        let (target, named, slice) = (peer.target.clone(), peer.named, self.peers.slice(id));
        let mut schedule = self.swarm.schedule();
        // A peer's pieces are known only while it is connected.
        schedule.add_peer(id);
        let worker = schedule.begin(id, now);
        drop(schedule);
        let run: WorkerRun = Box::new(move |swarm| {
            peer_worker::work(swarm, (id, worker), &target, named, slice, *greeting)
        });
        self.spawn(id, worker, run, permit, budget);
    }

    fn at_work(&self) -> usize {
        self.streaming + self.peers.at_work()
    }

    fn spawn(
        &self,
        id: SourceId,
        worker: WorkerId,
        run: WorkerRun,
        permit: Permit<String>,
        budget: &Budget,
    ) {
        let swarm = Arc::clone(&self.swarm);
        budget.spawn(permit, move || {
            let mut guard = WorkerGuard { swarm, source: id, worker, outcome: None };
            guard.outcome = Some(run(&guard.swarm));
        });
    }
}
