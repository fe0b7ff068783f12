//! Seeding: peers connect to us, and are served the verified data of the store.
//!
//! A seed has a listener, a [`SeededTorrent`] per dataset, and the upload code of downloads:
//! [`SeededTorrent`] implements `Served` as a download's swarm does, so sessions, slots, rate limit
//! and writers are the same whoever opened the connection. A [`SeededTorrent`] learns what is
//! verified from the store's own files (stamps and resume records), which it checks ten times a
//! second. So it does not matter who fetches missing data: a build in another process or, with
//! [`SeedTask::fetch`], a download in this process.
//!
//! Threads: one accepts connections, checks the store and decides when to end; each peer has one,
//! plus its writer; all trackers share a few; a download has its own. The end wakes all of them,
//! and waits less than a second in total for the trackers' goodbyes, its own and the download's.

pub mod incoming_peer;
mod run;
pub mod seeded_torrent;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::mpsc::channel;
use std::thread::JoinHandle;
use std::time::Duration;

use super::resolve::{Located, at_hand};
use crate::address::host;
use crate::counters::Counters;
use crate::engine::announce::announcer::Announcers;
use crate::engine::budget::guests_per_host;
use crate::engine::connection_limiter::{ConnectionLimiter, Permit};
use crate::engine::job::provide::provide_all;
use crate::engine::local_peer::LocalPeer;
use crate::engine::session::Session;
use crate::engine::stop::StopHandle;
use crate::engine::thread::start_thread;
use crate::engine::upload::manager::RateLimiter;
use crate::error::{Error, ErrorKind, printable};
use crate::manifest::{Request, StoreKind};
use crate::mutex::Mutex;
use crate::net::{Client, Listener};
use crate::process;
use crate::settings::Settings;
use crate::storage::Store;
use crate::torrent::infohash::Infohash;
use crate::torrent::metainfo::Metainfo;

use crate::engine::seed::run::SeedRun;
use crate::engine::seed::seeded_torrent::SeededTorrent;

pub use crate::engine::seed::seeded_torrent::SeedNote;

/// What to seed, how, and until when.
#[derive(Debug)]
pub struct SeedTask {
    pub settings: Settings,
    pub store: Store,
    /// The datasets to seed; if empty, everything in the store.
    pub requests: Vec<Request>,
    /// Directories that may contain the data, in addition to the store.
    pub from: Vec<PathBuf>,
    /// 0 for any free port.
    pub port: u16,
    pub bytes_per_second: u64,
    /// Ends once this multiple of the datasets' size was sent.
    pub ratio: Option<f64>,
    pub time: Option<Duration>,
    /// Whether to fetch missing data.
    pub fetch: bool,
    /// Limit on connected peers in total; lower if the process may not open that many sockets.
    pub connections: usize,
}

/// What a command seeds: datasets with the sources and the selection of their requests, such as
/// those of a manifest; everything in the store if there are none.
#[cfg(feature = "engine")]
pub struct SeedRequests {
    pub requests: Vec<Request>,
    /// The command's option that disables the network, if it is given.
    pub offline: Option<&'static str>,
}

/// State shared by the threads of a seed.
pub struct Seeder {
    client: Client,
    host: LocalPeer,
    store: Store,
    rate_limiter: Arc<RateLimiter>,
    all_seeded: Mutex<Vec<Arc<SeededTorrent>>>,
    connections: usize,
    /// The connected peers, including those whose handshake has not arrived.
    guests: ConnectionLimiter<IpAddr>,
    failed: Mutex<Option<Error>>,
}

impl Seeder {
    fn seeded(&self, infohash: Infohash) -> Option<Arc<SeededTorrent>> {
        self.all_seeded.lock().iter().find(|seeded| seeded.metainfo.infohash == infohash).cloned()
    }

    /// With several datasets, each may have an equal share of the places, or a quarter if there are
    /// more than four, so that it does not starve the others.
    fn most_per_dataset(&self) -> usize {
        let datasets = self.all_seeded.lock().len().clamp(1, 4);
        self.connections.div_ceil(datasets)
    }

    /// Admits a peer that connected to us from this address.
    fn admit(&self, from: IpAddr) -> Option<Permit<IpAddr>> {
        self.guests.admit(host(from), self.connections, guests_per_host(self.connections))
    }

    /// Admits such a peer to the dataset's share of the places.
    fn admit_for(&self, seeded: &SeededTorrent, host: IpAddr) -> Option<Permit<IpAddr>> {
        let most = self.most_per_dataset();
        seeded.guests.admit(host, most, guests_per_host(most))
    }

    /// Whether another peer of this dataset would be turned away.
    fn all_places_are_taken(&self, seeded: &SeededTorrent) -> bool {
        self.guests.count() >= self.connections || seeded.guests.count() >= self.most_per_dataset()
    }

    /// Adds a dataset whose torrent is on this machine; `None` if it is not.
    fn add(
        &self,
        session: &Session<'_>,
        request: &Request,
    ) -> Result<Option<Arc<SeededTorrent>>, Error> {
        let identity = &request.identity;
        // If a .torrent is named, too, it may belong to another infohash.
        let known = identity.infohash.filter(|_| identity.torrent.is_none());
        if let Some(seeded) = known.and_then(|infohash| self.seeded(infohash)) {
            return Ok(Some(seeded));
        }
        let Some(Located { metainfo, .. }) = at_hand(session, request)? else {
            return Ok(None);
        };
        if let Some(seeded) = self.seeded(metainfo.infohash) {
            return Ok(Some(seeded));
        }
        let seeded = SeededTorrent::new(&self.store, metainfo, &self.rate_limiter, &self.host);
        seeded.look(false);
        let seeded = Arc::new(seeded);
        self.all_seeded.lock().push(Arc::clone(&seeded));
        Ok(Some(seeded))
    }

    fn fail(&self, error: Error) {
        self.failed.lock().get_or_insert(error);
        self.host.stop.stop();
    }
}

/// State of a dataset that a [`crate::Seeding`] serves. Requires the feature `seed`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SeededDataset {
    /// The torrent's name, with control characters escaped.
    pub name: String,
    /// The torrent's infohash.
    pub infohash: Infohash,
    /// Bytes that are verified and served.
    pub done_bytes: u64,
    /// Total size of its files in bytes.
    pub total_bytes: u64,
    /// Number of connected peers.
    pub peers: usize,
    /// Bytes sent.
    pub uploaded_bytes: u64,
    /// Messages from its trackers and the DHT, and changed files in directories of [`crate::Seed::from`], since the
    /// last call of [`crate::Seeding::datasets`]. A repeated message is reported once.
    pub notes: Vec<SeedNote>,
}

/// A running [`crate::Seed`]. Dropping it ends the seed. Requires the feature `seed`.
#[must_use = "the seed ends when this is dropped"]
pub struct Seeding {
    address: SocketAddr,
    seeder: Arc<Seeder>,
    /// `None` after `wait`.
    thread: Option<JoinHandle<()>>,
}

impl std::fmt::Debug for Seeding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut debug = f.debug_struct("Seeding");
        debug.field("local_addr", &self.local_addr()).field("uploaded", &self.uploaded()).finish()
    }
}

impl Seeding {
    /// Finds what there is to seed, hashes the data in directories, and starts to listen.
    ///
    /// # Errors
    /// [`ErrorKind::Offline`]; [`ErrorKind::Metainfo`] if nothing of a dataset is present and
    /// nothing is to be fetched; [`ErrorKind::Network`] if the port is taken.
    pub(crate) fn start(task: SeedTask) -> Result<Seeding, Error> {
        let failed = |what: &str| Error::new(ErrorKind::Network, what);
        if task.settings.offline {
            return Err(Error::new(ErrorKind::Offline, "seeding requires the network")
                .why(task.settings.offline_reason()));
        }
        let client = Client::new(&task.settings)?;
        let listener = Listener::bind(task.port).map_err(|why| {
            failed(&format!("cannot listen on port {}", task.port))
                .why(why.to_string())
                .help("choose another port; 0 means any free port")
        })?;
        let rate_limiter = RateLimiter::new(task.bytes_per_second).ok_or_else(|| {
            Error::new(ErrorKind::Manifest, "a seed with a rate of 0 sends nothing")
                .help("set a rate above 0, or none for no limit")
        })?;
        let address = listener.address();
        let seeder = Arc::new(Seeder {
            client,
            host: LocalPeer::at(address.port()),
            store: task.store.clone(),
            rate_limiter,
            all_seeded: Mutex::default(),
            connections: task.connections.min(process::descriptors().guests(task.fetch)),
            guests: ConnectionLimiter::default(),
            failed: Mutex::default(),
        });
        let missing = stock(&seeder, &task)?;
        let announcers = Announcers::new(seeder.client.separate());
        let announcers = announcers.over_each_family(address.is_ipv6());
        #[cfg(feature = "dht")]
        let announcers = announcers.with_dht(crate::net::Dht::new(&task.settings).map(Arc::new));
        let (ended, fetched) = channel();
        let settings = (task.fetch && !missing.is_empty()).then(|| task.settings.clone());
        let run = SeedRun {
            seeder: Arc::clone(&seeder),
            announcers,
            announced: Vec::new(),
            pending: task.requests.clone(),
            task,
            listener,
            fetched,
            next_id: 0,
        };
        let no_thread = |why: std::io::Error| {
            failed("the system refused to create a thread").why(why.to_string())
        };
        let thread = start_thread("at-seed", Box::new(move || run.run())).map_err(no_thread)?;
        // Dropping it on an error ends all threads.
        let seeding = Seeding { address, seeder: Arc::clone(&seeder), thread: Some(thread) };
        if let Some(settings) = settings {
            let fetch = move || {
                fetch(&seeder, &settings, &missing);
                drop(ended);
            };
            start_thread("at-seed-fetch", Box::new(fetch)).map_err(no_thread)?;
        }
        Ok(seeding)
    }

    /// The address the seed listens on: all addresses of this machine, with the port.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Number of bytes sent so far.
    #[must_use]
    pub fn uploaded(&self) -> u64 {
        self.seeder.host.sent_bytes()
    }

    /// Whether the seed has ended, so that [`Seeding::wait`] returns at once.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Current state of each dataset. Call it repeatedly to show a table.
    #[must_use]
    pub fn datasets(&self) -> Vec<SeededDataset> {
        let dataset = |seeded: &Arc<SeededTorrent>| {
            let total_bytes = seeded.metainfo.geometry.total_bytes();
            SeededDataset {
                name: seeded.metainfo.shown_name(),
                infohash: seeded.metainfo.infohash,
                done_bytes: total_bytes - seeded.missing_bytes(),
                total_bytes,
                peers: seeded.guests.count(),
                uploaded_bytes: seeded.uploaded_bytes(),
                notes: seeded.new_notes(),
            }
        };
        self.seeder.all_seeded.lock().iter().map(dataset).collect()
    }

    /// A handle that ends the seed from another thread while [`Seeding::wait`] blocks.
    ///
    /// # Examples
    /// ```no_run
    /// let seeding = academictorrents::Seed::new(["ce990b28668abf16480b8b906640a6cd7e3b8b21"]).start()?;
    /// let handle = seeding.stop_handle();
    /// std::thread::spawn(move || {
    ///     let _ = std::io::stdin().read_line(&mut String::new());
    ///     handle.stop();
    /// });
    /// println!("{} bytes sent", seeding.wait()?);
    /// # Ok::<(), academictorrents::Error>(())
    /// ```
    #[must_use]
    pub fn stop_handle(&self) -> StopHandle {
        self.seeder.host.stop.clone()
    }

    /// Stops seeding: closes connections, announces `stopped` to trackers, and returns the number of bytes sent, all
    /// within a second.
    ///
    /// # Errors
    /// The error of a dataset that could not be downloaded.
    pub fn stop(self) -> Result<u64, Error> {
        self.stop_handle().stop();
        self.wait()
    }

    /// Waits until [`crate::Seed::ratio`], [`crate::Seed::for_time`] or a [`StopHandle`] ends the seed, and returns the
    /// number of bytes sent.
    ///
    /// # Errors
    /// The error of a dataset that could not be downloaded.
    pub fn wait(mut self) -> Result<u64, Error> {
        let ended = self.thread.take().map_or(Ok(()), JoinHandle::join);
        match (self.seeder.failed.lock().take(), ended) {
            (Some(error), _) => Err(error),
            (None, Ok(())) => Ok(self.seeder.host.sent_bytes()),
            (None, Err(_)) => Err(Error::new(
                ErrorKind::Network,
                "the seed failed: this is a bug in academictorrents",
            )),
        }
    }
}

impl Drop for Seeding {
    fn drop(&mut self) {
        self.seeder.host.stop.stop();
        // the caller is not interested in the result
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Fills `all_seeded` with what is present, and returns the requests that lack data.
fn stock(seeder: &Arc<Seeder>, task: &SeedTask) -> Result<Vec<Request>, Error> {
    let counters = Counters::default();
    let session = Session::new(&task.settings, &task.store, &counters);
    let of_store = if task.requests.is_empty() { all_of(&task.store) } else { Vec::new() };
    let mut missing: Vec<Request> = Vec::new();
    let mut hashed: Vec<Infohash> = Vec::new();
    for request in task.requests.iter().chain(&of_store) {
        let named = !task.requests.is_empty();
        let Some(seeded) = seeder.add(&session, request)? else {
            if named && !task.fetch {
                return Err(nothing_of(request, task, None));
            }
            add_once(&mut missing, request);
            continue;
        };
        let infohash = seeded.metainfo.infohash;
        if !task.from.is_empty() && !seeded.is_complete() && !hashed.contains(&infohash) {
            hashed.push(infohash);
            let bytes = AtomicU64::new(0);
            task.from.iter().for_each(|at| seeded.offered.add_copy(at, &bytes));
            seeded.take_stock();
        }
        if named && !task.fetch && seeded.is_empty() {
            return Err(nothing_of(request, task, Some(&seeded.metainfo)));
        }
        if !seeded.is_complete() && named {
            add_once(&mut missing, request);
        }
    }
    let is_empty = seeder.all_seeded.lock().iter().all(|seeded| seeded.is_empty());
    if is_empty && (!task.fetch || missing.is_empty()) {
        let place = task.store.root().display();
        return Err(Error::new(
            ErrorKind::Metainfo,
            format!("there is nothing to seed in {place}"),
        )
        .help("name a dataset, and download it with `--fetch` (`Seed::fetch`)"));
    }
    Ok(missing)
}

/// Adds a request, unless an equal one was added.
fn add_once(requests: &mut Vec<Request>, request: &Request) {
    if !requests.contains(request) {
        requests.push(request.clone());
    }
}

fn nothing_of(request: &Request, task: &SeedTask, metainfo: Option<&Metainfo>) -> Error {
    let name = request.name.as_str();
    let place = task.store.root().display();
    let discards = request.unpack.as_ref().is_some_and(|it| it.discards_archive);
    let why = if discards { "its archives were not kept: `keep-archive = false`" } else { "" };
    let error = Error::new(ErrorKind::Metainfo, "no data of the dataset is available to seed")
        .why(format!("it is not in {place}"));
    let roots =
        metainfo.into_iter().flat_map(|it| task.from.iter().map(|at| at.join(it.root_path())));
    let not_there = roots.map(|root| {
        let why = if root.exists() { "does not match the torrent" } else { "does not exist" };
        format!("{} {why}", printable(&root.display().to_string()))
    });
    not_there
        .fold(error, Error::why)
        .why(why)
        .help("download it first, or while it is seeded with `--fetch` (`Seed::fetch`)")
        .help("or specify the directory that contains it with `--from` (`Seed::from`)")
        .for_dataset(name)
}

fn all_of(store: &Store) -> Vec<Request> {
    let of = |infohash: Infohash| {
        let name = infohash.to_string();
        Request::of_call(&name, infohash.into(), StoreKind::Shared, &Default::default()).ok()
    };
    store.torrents().into_iter().filter_map(of).collect()
}

/// Fetches missing data with a regular download, which announces itself under the seed's port.
fn fetch(seeder: &Arc<Seeder>, settings: &Settings, missing: &[Request]) {
    let counters = Counters::default();
    let store = &seeder.store;
    let mut session = Session::new(settings, store, &counters);
    session.network.rate_limiter = Some(Arc::clone(&seeder.rate_limiter));
    session.network.host = seeder.host.clone();
    // Peers are served the torrent's own files, not unpacked ones.
    let packed = |request: &Request| Request { unpack: None, ..request.clone() };
    let missing: Vec<Request> = missing.iter().map(packed).collect();
    let requests: Vec<&Request> = missing.iter().collect();
    for result in provide_all(session, &requests, || ()) {
        match result {
            Err(error) if !seeder.host.is_stopped() => seeder.fail(error),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::Sha1;
    use crate::settings::Context;

    #[test]
    fn a_dataset_that_is_named_twice_is_hashed_and_fetched_once() {
        let directory = tempfile::tempdir().unwrap();
        let (piece, other) = ([1; 16384], [2; 16384]);
        let hashes = [Sha1::digest(&piece), Sha1::digest(&other)].concat();
        let info = b"d4:infod6:lengthi32768e4:name1:a12:piece lengthi16384e6:pieces40:";
        let torrent = directory.path().join("a.torrent");
        std::fs::write(&torrent, [&info[..], &hashes, b"ee"].concat()).unwrap();
        // Of the two pieces, only the first is correct.
        std::fs::write(directory.path().join("a"), [piece, piece].concat()).unwrap();
        let infohash = Metainfo::parse(&std::fs::read(&torrent).unwrap()).unwrap().infohash;
        let of_file = Request {
            identity: crate::manifest::Identity { torrent: Some(torrent), ..Default::default() },
            ..Request::default()
        };
        let of_infohash = Request { identity: infohash.into(), ..Request::default() };
        let unknown =
            Request { identity: Infohash::from_bytes([1; 20]).into(), ..Request::default() };
        let requests = [of_file, of_infohash, unknown];
        let settings = Context::default().settings().unwrap();
        let store = Store::at(&directory.path().join("store"));
        let seeder = Arc::new(Seeder {
            client: Client::new(&settings).unwrap(),
            host: LocalPeer::at(1),
            store: store.clone(),
            rate_limiter: RateLimiter::new(1).unwrap(),
            all_seeded: Mutex::default(),
            connections: 1,
            guests: ConnectionLimiter::default(),
            failed: Mutex::default(),
        });
        let task = SeedTask {
            settings,
            store,
            requests: [&requests[..], &requests].concat(),
            from: vec![directory.path().to_owned()],
            port: 0,
            bytes_per_second: 1,
            ratio: None,
            time: None,
            fetch: true,
            connections: 1,
        };
        assert_eq!(stock(&seeder, &task).unwrap(), requests);
        assert_eq!(seeder.seeded(infohash).unwrap().offered.place_count(), 1);
    }
}
