//! Seeding: peers connect to us, and are served what the store has verified.
//!
//! A seed is a listener, a shelf for each dataset, and what serving back has for a download: `Served` is implemented by a
//! shelf as it is by a download's swarm, so that a peer's session, the slots, the rate and the writer are the same,
//! whoever opened the connection. A shelf knows what is verified from the store's own files (stamps and resume
//! records), which it looks at ten times a second. So it need not care who fetches what is missing: a build in another
//! process, or, with [`Task::fetch`], this one, by a download like any other.
//!
//! Threads: one that accepts, looks at the shelves and knows when it is enough; one for each peer, and its writer; a
//! few for all trackers; those of a download. The end wakes all of them and waits for the trackers alone, and for the
//! download, which has trackers of its own, for less than a second in all.

mod guests;
mod run;
mod shelf;
mod visitor;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::announcer::Announcers;
use super::host::Host;
use super::uploads::Uplink;
use super::{Session, at_hand, provide_all};
use crate::context::Settings;
use crate::counters::Counters;
use crate::error::{Error, ErrorKind, printable};
use crate::infohash::Infohash;
use crate::manifest::{Identity, Request, StoreKind};
use crate::net::{Client, Listener};
use crate::store::Store;

use guests::Guests;
use run::Run;
use shelf::Shelf;

pub use shelf::SeedNote;

/// What is to be seeded, how, and until when.
#[derive(Debug)]
pub struct Task {
    pub settings: Settings,
    pub store: Store,
    /// What is seeded; all that the store has, where it is empty.
    pub requests: Vec<Request>,
    /// Directories that may hold it, beside the store.
    pub from: Vec<PathBuf>,
    /// 0 for any.
    pub port: u16,
    pub bytes_per_second: u64,
    /// Until so many times the datasets' bytes were sent.
    pub ratio: Option<f64>,
    pub time: Option<Duration>,
    /// What is missing is fetched.
    pub fetch: bool,
    /// Peers that may be connected at a time, in all.
    pub connections: usize,
}

/// What the threads of a seed share.
pub struct Seeder {
    client: Client,
    host: Host,
    store: Store,
    uplink: Arc<Uplink>,
    shelves: Mutex<Vec<Arc<Shelf>>>,
    connections: usize,
    /// The peers that are connected, their handshake done or not.
    guests: Arc<Guests>,
    failed: Mutex<Option<Error>>,
}

impl Seeder {
    fn shelves(&self) -> MutexGuard<'_, Vec<Arc<Shelf>>> {
        self.shelves.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn shelf(&self, infohash: Infohash) -> Option<Arc<Shelf>> {
        self.shelves().iter().find(|shelf| shelf.metainfo.infohash == infohash).cloned()
    }

    /// One of many datasets may have a quarter of all, so that it does not starve the others.
    fn most_per_dataset(&self) -> usize {
        let datasets = self.shelves().len().clamp(1, 4);
        self.connections.div_ceil(datasets)
    }

    /// Adds a dataset whose torrent is at hand; `None` where it is not.
    fn add(&self, session: &Session<'_>, request: &Request) -> Result<Option<Arc<Shelf>>, Error> {
        let Some((metainfo, torrent)) = at_hand::at_hand(session, request)? else {
            return Ok(None);
        };
        if let Some(shelf) = self.shelf(metainfo.infohash) {
            return Ok(Some(shelf));
        }
        let shelf = Shelf::new(&self.store, metainfo, torrent, &self.uplink, &self.host);
        shelf.look(false);
        let shelf = Arc::new(shelf);
        self.shelves().push(Arc::clone(&shelf));
        Ok(Some(shelf))
    }

    fn fail(&self, error: Error) {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        self.host.stop();
    }
}

/// How a dataset stands that a [`crate::Seeding`] serves. Needs the feature `seed`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SeededDataset {
    /// The torrent's name; what would move a terminal's cursor is escaped.
    pub name: String,
    /// Its identity.
    pub infohash: Infohash,
    /// Bytes of it that are verified, and served.
    pub there_bytes: u64,
    /// Bytes of all its files.
    pub total_bytes: u64,
    /// Peers that are connected for it.
    pub peers: usize,
    /// Bytes of it that were sent.
    pub uploaded_bytes: u64,
    /// What its trackers and the DHT have said since [`crate::Seeding::datasets`] was called before. What one says again and
    /// again is said once. Also which files of [`crate::Seed::from`]'s directories have changed.
    pub notes: Vec<SeedNote>,
}

/// A seed that runs.
pub struct Seeding {
    address: SocketAddr,
    seeder: Arc<Seeder>,
    thread: JoinHandle<()>,
}

impl Seeding {
    /// Looks what there is, hashes what lies in directories, and listens.
    ///
    /// # Errors
    /// [`ErrorKind::Offline`]; [`ErrorKind::Metainfo`] where nothing of a dataset is there and nothing is to be fetched;
    /// [`ErrorKind::Network`] for a port that is taken.
    pub fn start(task: Task) -> Result<Seeding, Error> {
        let failed = |what: &str| Error::new(ErrorKind::Network, what);
        if task.settings.offline {
            return Err(Error::new(ErrorKind::Offline, "nothing can be seeded without a network")
                .why(task.settings.offline_reason()));
        }
        let client = Client::new(&task.settings)?;
        let listener = Listener::bind(task.port).map_err(|why| {
            failed(&format!("port {} cannot be listened on", task.port))
                .why(why)
                .help("choose another port; 0 is any that is free")
        })?;
        let uplink = Uplink::new(task.bytes_per_second).ok_or_else(|| {
            Error::new(ErrorKind::Manifest, "a seed with a rate of 0 serves nobody")
                .help("give a rate above 0, or none: then there is no limit")
        })?;
        let address = listener.address();
        let seeder = Arc::new(Seeder {
            client,
            host: Host::at(address.port()),
            store: task.store.clone(),
            uplink,
            shelves: Mutex::default(),
            connections: task.connections,
            guests: Arc::default(),
            failed: Mutex::default(),
        });
        let missing = stock(&seeder, &task)?;
        let (ended, fetched) = channel();
        if task.fetch && !missing.is_empty() {
            let (seeder, settings) = (Arc::clone(&seeder), task.settings.clone());
            let fetch = move || {
                fetch(&seeder, &settings, &missing);
                drop(ended);
            };
            spawn("at-seed-fetch", 0, fetch).map_err(|why| failed("no thread").why(why))?;
        }
        let announcers = Announcers::new(seeder.client.separate());
        let announcers = announcers.over_each_family(address.is_ipv6());
        #[cfg(feature = "dht")]
        let announcers = announcers.with_dht(crate::net::Dht::new(&task.settings).map(Arc::new));
        let run = Run {
            seeder: Arc::clone(&seeder),
            announcers,
            announced: Vec::new(),
            task,
            listener,
            fetched,
            next_id: 0,
        };
        let thread = spawn("at-seed", 0, move || run.run());
        let thread = thread.map_err(|why| failed("no thread").why(why))?;
        Ok(Seeding { address, seeder, thread })
    }

    /// Where it listens, on all addresses of the machine.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether it has ended, and [`Seeding::wait`] need not wait.
    pub fn has_ended(&self) -> bool {
        self.thread.is_finished()
    }

    /// How each dataset stands, with what trackers said of it since this was asked last.
    pub fn datasets(&self) -> Vec<SeededDataset> {
        let dataset = |shelf: &Arc<Shelf>| {
            let total_bytes = shelf.metainfo.geometry.total_bytes();
            SeededDataset {
                name: printable(&String::from_utf8_lossy(&shelf.metainfo.name)),
                infohash: shelf.metainfo.infohash,
                there_bytes: total_bytes - shelf.missing_bytes(),
                total_bytes,
                peers: shelf.guests.count(),
                uploaded_bytes: shelf.uploaded_bytes(),
                notes: shelf.new_notes(),
            }
        };
        self.seeder.shelves().iter().map(dataset).collect()
    }

    pub fn uploaded_bytes(&self) -> u64 {
        self.seeder.host.sent_bytes()
    }

    /// By which it is told to end.
    pub fn host(&self) -> &Host {
        &self.seeder.host
    }

    /// Waits until it ends, and gives the bytes that it sent.
    ///
    /// # Errors
    /// Of a dataset that could not be fetched.
    pub fn wait(self) -> Result<u64, Error> {
        let ended = self.thread.join();
        let sent = self.seeder.host.sent_bytes();
        let failed = self.seeder.failed.lock().unwrap_or_else(PoisonError::into_inner).take();
        match (failed, ended) {
            (Some(error), _) => Err(error),
            (None, Ok(())) => Ok(sent),
            (None, Err(_)) => Err(Error::new(
                ErrorKind::Network,
                "the seed failed: this is a fault of academictorrents",
            )),
        }
    }
}

/// A thread with a stack of so many bytes, or the usual one.
fn spawn(
    name: &str,
    stack_bytes: usize,
    run: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>, String> {
    let run: Box<dyn FnOnce() + Send> = Box::new(run);
    let mut thread = std::thread::Builder::new().name(name.to_owned());
    if stack_bytes > 0 {
        thread = thread.stack_size(stack_bytes);
    }
    thread.spawn(run).map_err(|why| why.to_string())
}

/// Fills the shelves with what is there, and gives what lacks something.
fn stock(seeder: &Arc<Seeder>, task: &Task) -> Result<Vec<Request>, Error> {
    let counters = Counters::default();
    let session = Session::new(&task.settings, Path::new(""), &task.store, &task.store, &counters);
    let of_store = if task.requests.is_empty() { all_of(&task.store) } else { Vec::new() };
    let mut missing = Vec::new();
    for request in task.requests.iter().chain(&of_store) {
        let named = !task.requests.is_empty();
        let Some(shelf) = seeder.add(&session, request)? else {
            if named && !task.fetch {
                return Err(nothing_of(request, &task.store));
            }
            missing.push(request.clone());
            continue;
        };
        if !task.from.is_empty() && !shelf.is_complete() {
            let hashed = AtomicU64::new(0);
            let look = || task.from.iter().for_each(|at| shelf.offered.add_copy(at, &hashed));
            session.hashing()?.install(look);
            shelf.take_stock();
        }
        if named && !task.fetch && shelf.is_empty() {
            return Err(nothing_of(request, &task.store));
        }
        if !shelf.is_complete() && named {
            missing.push(request.clone());
        }
    }
    let is_empty = seeder.shelves().iter().all(|shelf| shelf.is_empty());
    if is_empty && (!task.fetch || missing.is_empty()) {
        let place = task.store.root().display();
        return Err(Error::new(
            ErrorKind::Metainfo,
            format!("there is nothing to seed in {place}"),
        )
        .help("name a dataset, and have it fetched: `--fetch`, `Seed::fetch`"));
    }
    Ok(missing)
}

fn nothing_of(request: &Request, store: &Store) -> Error {
    let name = request.name.as_str();
    let place = store.root().display();
    Error::new(ErrorKind::Metainfo, "nothing of the dataset is there to be seeded")
        .why(format!("it is not in {place}"))
        .help("fetch it first, or have it fetched while it is seeded: `--fetch`, `Seed::fetch`")
        .help("name the directory where it lies, if that is another one: `--from`, `Seed::from`")
        .for_dataset(name)
}

fn all_of(store: &Store) -> Vec<Request> {
    let of = |infohash: Infohash| {
        let identity = Identity { infohash: Some(infohash), torrent: None, magnet: None };
        let name = infohash.to_string();
        Request::of_call(&name, identity, StoreKind::Shared, &Default::default()).ok()
    };
    store.torrents().into_iter().filter_map(of).collect()
}

/// Fetches what is missing, as any download does. It is announced by the download, under our port.
fn fetch(seeder: &Arc<Seeder>, settings: &Settings, missing: &[Request]) {
    let counters = Counters::default();
    let store = &seeder.store;
    let mut session = Session::new(settings, Path::new(""), store, store, &counters);
    session.uplink = Some(Arc::clone(&seeder.uplink));
    session.host = seeder.host.clone();
    let requests: Vec<&Request> = missing.iter().collect();
    for result in provide_all(session, &requests, || ()) {
        match result {
            Err(error) if !seeder.host.is_stopped() => seeder.fail(error),
            _ => {}
        }
    }
}
