//! From a request to a dataset in its place: the one coordinator of everything that waits.
//!
//! Floor 3; it owns the deadlines. [`provide_all`] serves the datasets of a build side by side, each by
//! [`dataset`]: present? lock, metainfo, selection, budget, what is on disk, [`coordinator`], publish.
//!
//! Threads: a coordinator for each dataset; workers in one rayon pool, one connection each ([`budget`]); a few that announce to
//! trackers and search the DHT ([`announcer`]), which nobody waits for; hashing of what is on disk in a pool of its own.
//! What workers share is in [`swarm`]; who fetches what next is [`crate::schedule`]'s matter.

mod announcer;
#[cfg(feature = "cli")]
mod ask;
mod assembly;
mod at_hand;
mod batch;
mod budget;
#[cfg(feature = "cli")]
mod catalogue;
mod circle;
mod claim;
mod coordinator;
mod dataset;
#[cfg(feature = "dht")]
mod dht;
mod directory_worker;
mod elsewhere;
mod growth;
mod host;
#[cfg(feature = "cli")]
mod import;
mod line;
mod locate;
mod lock;
mod lost;
mod metadata;
mod peer_worker;
mod permission;
#[cfg(feature = "cli")]
mod planned;
mod redirects;
mod report;
mod roots;
mod roster;
#[cfg(feature = "seed")]
mod seeding;
mod serving;
mod space;
#[cfg(feature = "cli")]
mod standing;
mod stream;
mod swarm;
#[cfg(test)]
mod tests;
mod uploads;
#[cfg(feature = "cli")]
mod verify;
mod web_worker;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::context::Settings;
use crate::counters::{Counters, Phase};
use crate::error::{Error, ErrorKind};
use crate::infohash::Infohash;
use crate::manifest::{Request, StoreKind};
use crate::store::Store;

use budget::Budget;
use coordinator::Event;
use uploads::Uplink;

#[cfg(feature = "cli")]
pub use ask::{Answer, Question, ask, clock_is_plausible, of_web_seed};
#[cfg(feature = "cli")]
pub use at_hand::{at_hand, infohash};
#[cfg(feature = "cli")]
pub use catalogue::{Document, Wanted, document};
pub use host::Host;
#[cfg(feature = "cli")]
pub use import::{Import, Imported, import};
#[cfg(feature = "cli")]
pub use planned::{planned, torrent_at};
#[cfg(feature = "cli")]
pub use roots::note_use;
#[cfg(feature = "seed")]
pub use seeding::{SeedNote, SeededDataset, Seeding, Task};
#[cfg(feature = "cli")]
pub use standing::{Standing, State, standing};
#[cfg(feature = "cli")]
pub use verify::{Verified, Whose, metainfo, verify};

/// Datasets fetched at a time; more wait for their turn.
const SIDE_BY_SIDE: usize = 8;

/// A dataset in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provided {
    pub infohash: Infohash,
    /// The file of a single-file torrent, else its root directory.
    pub path: PathBuf,
    /// What makes it complete: Cargo's rerun target.
    pub stamp: PathBuf,
}

/// What all datasets of a build share.
#[derive(Debug)]
pub struct Session<'a> {
    pub settings: &'a Settings,
    /// The manifest that holds the requests, for messages and as a root; empty where these come from calls.
    pub manifest: &'a Path,
    /// The user's store.
    pub shared: &'a Store,
    /// The build's own, for `store = "out-dir"`, or the directory that a call names.
    pub own: &'a Store,
    pub counters: &'a Counters,
    /// The manifest is not the user's own, but of a dependency that Cargo brought.
    pub foreign: bool,
    uplink: Option<Arc<Uplink>>,
    host: Host,
    #[cfg(feature = "dht")]
    dht: Option<Arc<crate::net::Dht>>,
    budget: OnceLock<Budget>,
    /// For hashing what is on disk, and for syncing.
    hashing: OnceLock<rayon::ThreadPool>,
    datasets: usize,
}

impl<'a> Session<'a> {
    pub fn new(
        settings: &'a Settings,
        manifest: &'a Path,
        shared: &'a Store,
        own: &'a Store,
        counters: &'a Counters,
    ) -> Session<'a> {
        Session {
            settings,
            manifest,
            shared,
            own,
            counters,
            foreign: false,
            uplink: Uplink::new(settings.upload_bytes_per_second),
            host: Host::deaf(),
            #[cfg(feature = "dht")]
            dht: crate::net::Dht::new(settings).map(Arc::new),
            budget: OnceLock::new(),
            hashing: OnceLock::new(),
            datasets: 1,
        }
    }

    /// All that it does ends when this host is stopped.
    #[cfg(feature = "cli")]
    pub fn at_host(mut self, host: &Host) -> Session<'a> {
        self.host = host.clone();
        self
    }

    /// Says where the dataset is declared, in an error that may be mended there.
    fn declared(&self, request: &Request, error: Error) -> Error {
        match (error.kind(), request.line) {
            // The datasets of a command line are from several manifests: it says itself where.
            _ if self.manifest.as_os_str().is_empty() => error,
            (ErrorKind::Manifest | ErrorKind::Metainfo, Some(line)) => {
                error.why(format!("declared at {}:{line}", self.manifest.display()))
            }
            _ => error,
        }
    }

    fn store(&self, request: &Request) -> &'a Store {
        match request.store {
            StoreKind::Shared => self.shared,
            StoreKind::Own => self.own,
        }
    }

    /// Threads are made when the first dataset has to be fetched: a warm build makes none.
    fn budget(&self, missing_bytes: u64) -> Result<&Budget, Error> {
        if let Some(budget) = self.budget.get() {
            return Ok(budget);
        }
        let made = Budget::new(self.datasets, missing_bytes).map_err(|why| no_threads(&why))?;
        Ok(self.budget.get_or_init(|| made))
    }

    fn hashing(&self) -> Result<&rayon::ThreadPool, Error> {
        if let Some(pool) = self.hashing.get() {
            return Ok(pool);
        }
        let name = |index| format!("at-hash-{index}");
        let made = rayon::ThreadPoolBuilder::new()
            .thread_name(name)
            .build()
            .map_err(|why| no_threads(&why))?;
        Ok(self.hashing.get_or_init(|| made))
    }
}

fn no_threads(why: &rayon::ThreadPoolBuildError) -> Error {
    Error::new(ErrorKind::Disk, "the system gives no more threads").why(why.to_string())
}

/// Provides datasets side by side; a result for each, in the order of the requests.
///
/// `begin` is called when something has to be done that takes time, and what it gives is kept until that is done.
pub fn provide_all<Guard>(
    mut session: Session<'_>,
    requests: &[&Request],
    begin: impl FnOnce() -> Guard,
) -> Vec<Result<Provided, Error>> {
    // The warm path: no lock, no thread, no socket.
    let mut results: Vec<_> =
        requests.iter().map(|request| dataset::present(&session, request).transpose()).collect();
    let missing: Vec<_> = (0..requests.len()).filter(|index| results[*index].is_none()).collect();
    session.datasets = missing.len().min(SIDE_BY_SIDE);
    let guard = (!missing.is_empty()).then(begin);
    if !missing.is_empty() {
        // Before the download: whoever ends it comes back to go on.
        let would_be: Vec<_> =
            missing.iter().map(|index| would_be(&session, requests[*index])).collect();
        roots::note_use(session.shared, session.manifest, &mut would_be.iter());
    }
    let counters: Vec<_> =
        missing.iter().map(|index| session.counters.add(requests[*index].name.as_str())).collect();
    let todo = Mutex::new(missing.iter().zip(&counters));
    let done = Mutex::new(Vec::new());
    let running = AtomicUsize::new(missing.len());
    std::thread::scope(|scope| {
        for _ in 0..session.datasets {
            scope.spawn(|| {
                loop {
                    let next = todo.lock().unwrap_or_else(PoisonError::into_inner).next();
                    let Some((index, counters)) = next else { break };
                    if session.host.is_stopped() {
                        break;
                    }
                    let result = dataset::provide(&session, requests[*index], counters);
                    counters.set_phase(if result.is_ok() { Phase::Done } else { Phase::Failed });
                    let others = running.fetch_sub(1, Ordering::Relaxed) - 1;
                    if let (Err(error), true) = (&result, others > 0) {
                        session.counters.say(format!(
                            "{}: failed: {}; the others go on",
                            counters.name,
                            error.what()
                        ));
                    }
                    done.lock().unwrap_or_else(PoisonError::into_inner).push((*index, result));
                }
            });
        }
    });
    drop(guard);
    for (index, result) in done.into_inner().unwrap_or_else(PoisonError::into_inner) {
        results[index] = Some(result);
    }
    let there = &mut results.iter().filter_map(|result| result.as_ref()?.as_ref().ok());
    roots::note_use(session.shared, session.manifest, there);
    let lost = || {
        Error::new(
            ErrorKind::Disk,
            "the dataset was not provided: this is a fault of academictorrents",
        )
    };
    results
        .into_iter()
        .zip(requests)
        .map(|(result, request)| {
            result
                .unwrap_or_else(|| Err(lost()))
                .map_err(|error| error.for_dataset(request.name.as_str()))
        })
        .collect()
}

/// Where a dataset would lie, for those who build without it (docs.rs): as exact as can be told without looking
/// anything up.
pub fn would_be(session: &Session<'_>, request: &Request) -> Provided {
    dataset::would_be(session, request)
}

/// The metainfo of a dataset, looked up as a download would, and its `.torrent`. It is kept in the store where that can be
/// written.
///
/// # Errors
/// See [`locate::find`], and of the network's settings.
#[cfg(feature = "cli")]
pub fn look_up(
    session: &Session<'_>,
    request: &Request,
) -> Result<(crate::metainfo::Metainfo, Vec<u8>), Error> {
    let settings = session.settings;
    let client = if settings.offline { None } else { Some(crate::net::Client::new(settings)?) };
    let mirrors = crate::plan::metainfo_mirrors(request, settings)?;
    let found =
        locate::find(session, request, &mirrors, client.as_ref()).map_err(|error| match request
            .line
        {
            Some(_) => error.for_dataset(request.name.as_str()),
            None => error,
        })?;
    let store = session.shared;
    if store.torrent(found.metainfo.infohash).as_deref() != Some(&found.bytes) {
        // Who cannot write there still knows the torrent.
        let _ =
            store.create().and_then(|()| store.keep_torrent(found.metainfo.infohash, &found.bytes));
    }
    Ok((found.metainfo, found.bytes))
}

/// Whether the environment names a copy, or a directory that holds something of the dataset.
pub fn may_lie_elsewhere(session: &Session<'_>, request: &Request) -> bool {
    elsewhere::may_be(session, request)
}

/// The dataset, where it is complete and nothing needs to be looked up.
pub fn present(session: &Session<'_>, request: &Request) -> Option<Provided> {
    dataset::present(session, request).ok().flatten()
}

/// The path that stands for a dataset: the file or directory with the torrent's name.
fn path_of(store: &Store, id: &str, name: &Path) -> PathBuf {
    store.files_path(id).join(name)
}

/// Starts a thread that nobody need join. Not generic: each kind of closure would have the threads' machinery
/// compiled anew.
fn start_thread(
    name: &str,
    work: Box<dyn FnOnce() + Send>,
) -> std::io::Result<std::thread::JoinHandle<()>> {
    std::thread::Builder::new().name(name.to_owned()).spawn(work)
}

type SharedCounters = Arc<crate::counters::DatasetCounters>;
