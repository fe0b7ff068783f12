//! Serves datasets to other BitTorrent clients: [`Seed`].
//!
//! Layer 4, beside `get`: turns a call into a [`SeedTask`]. This is the only part of the crate that
//! accepts incoming connections.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

#[cfg(feature = "engine")]
use crate::engine::SeedRequests;
use crate::engine::SeedTask;
use crate::error::{Error, ErrorKind};
use crate::manifest::{Identity, Request, StoreKind, absolute};
use crate::plan;
use crate::settings::{Context, OfflineBy};
use crate::storage::Store;

pub use crate::engine::{SeedNote, SeededDataset, Seeding};

/// Default limit of connected peers.
const CONNECTIONS: usize = 200;

/// Serves datasets to other BitTorrent clients, such as the builds of colleagues. Requires the feature `seed`.
///
/// Listens on one TCP port over IPv4 and IPv6, and announces it to the torrents' trackers and, with the feature `dht`,
/// to the DHT (except for private torrents). Only verified data is served: complete datasets of the store, the verified
/// pieces of datasets that a build is downloading, and the directories of [`Seed::from`]. Nothing is written, except
/// with [`Seed::fetch`].
///
/// # Examples
/// Seed until stopped:
/// ```no_run
/// use academictorrents::Seed;
///
/// let seeding = Seed::new(["ce990b28668abf16480b8b906640a6cd7e3b8b21"]).port(6881).start()?;
/// println!("listening on {}", seeding.local_addr());
/// // …
/// let sent = seeding.stop()?;
/// # Ok::<(), academictorrents::Error>(())
/// ```
/// Seed all datasets of the store at 4 MiB per second, until everything was sent twice, for at most a day:
/// ```no_run
/// # use std::time::Duration;
/// let all: [&str; 0] = [];
/// let day = Duration::from_secs(24 * 60 * 60);
/// academictorrents::Seed::new(all).rate(4 << 20).ratio(2.0).for_time(day).run()?;
/// # Ok::<(), academictorrents::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Seed {
    ids: Vec<String>,
    /// Those of the command, in addition to `ids`.
    requests: Vec<Request>,
    store: Option<PathBuf>,
    from: Vec<PathBuf>,
    port: u16,
    bytes_per_second: u64,
    ratio: Option<f64>,
    time: Option<Duration>,
    fetch: bool,
    connections: usize,
    /// The option of a command that disables the network.
    offline: Option<&'static str>,
    context: Context,
}

impl Seed {
    /// Serves these datasets, each given as an infohash (40 hexadecimal or 32 base32 digits), a magnet link, or the path
    /// of a `.torrent` file. If `ids` is empty, serves everything in the store, including datasets that are added later.
    /// Reads the environment (`ACADEMICTORRENTS_…`, proxies).
    ///
    /// The trackers in a magnet link are notified, too. Its other sources and its selection of files apply to
    /// [`Seed::fetch`]; verified data of other files is also served.
    #[must_use]
    pub fn new<T: AsRef<str>>(ids: impl IntoIterator<Item = T>) -> Seed {
        Seed {
            ids: ids.into_iter().map(|id| id.as_ref().to_owned()).collect(),
            requests: Vec::new(),
            store: None,
            from: Vec::new(),
            port: 0,
            bytes_per_second: u64::MAX,
            ratio: None,
            time: None,
            fetch: false,
            connections: CONNECTIONS,
            offline: None,
            context: Context::of_call(),
        }
    }

    /// Uses this store instead of that of [`set_store`](crate::set_store) or `ACADEMICTORRENTS_STORE`.
    #[must_use]
    pub fn store(mut self, directory: impl Into<PathBuf>) -> Seed {
        self.store = Some(directory.into());
        self
    }

    /// Adds a directory that contains datasets in the torrent's own layout, or another store. Its files are hashed at
    /// the start, and only correct pieces are served. A file that changes later is no longer served.
    #[must_use]
    pub fn from(mut self, directory: impl Into<PathBuf>) -> Seed {
        self.from.push(directory.into());
        self
    }

    /// Listens on this TCP port; 0, the default, means any free port.
    #[must_use]
    pub fn port(mut self, port: u16) -> Seed {
        self.port = port;
        self
    }

    /// Limits the bytes per second sent to all peers together. Unlimited by default.
    #[must_use]
    pub fn rate(mut self, bytes_per_second: u64) -> Seed {
        self.bytes_per_second = bytes_per_second;
        self
    }

    /// Ends when `ratio` times the size of the datasets was sent. Unlimited by default.
    #[must_use]
    pub fn ratio(mut self, ratio: f64) -> Seed {
        self.ratio = Some(ratio);
        self
    }

    /// Ends after this time. Unlimited by default.
    #[must_use]
    pub fn for_time(mut self, time: Duration) -> Seed {
        self.time = Some(time);
        self
    }

    /// Downloads missing data of the named datasets to the store, as [`crate::Get`] does, and serves verified pieces
    /// meanwhile. Off by default.
    #[must_use]
    pub fn fetch(mut self, fetch: bool) -> Seed {
        self.fetch = fetch;
        self
    }

    /// Limits the number of connected peers: 200 by default, at least 1, and never more than the limit of open files
    /// (`ulimit -n`) allows. With several datasets, each gets at least a quarter of the connections if it needs them.
    /// One host, which is an IPv4 address or an IPv6 /64 network, gets at most a quarter of all connections and of each
    /// dataset's share, but at least eight. Raise the limit if more peers are behind one address.
    #[must_use]
    pub fn connections(mut self, connections: usize) -> Seed {
        self.connections = connections.max(1);
        self
    }

    /// Clears all environment variables; only those set with [`Seed::env`] afterwards apply.
    #[must_use]
    pub fn env_clear(mut self) -> Seed {
        self.context = Context::default();
        self
    }

    /// Sets an environment variable for this seed only.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Seed {
        self.context.set(name, value);
        self
    }

    /// Starts seeding in the background.
    ///
    /// # Errors
    /// [`ErrorKind::Manifest`] for an invalid id, value or environment variable; [`ErrorKind::Metainfo`] if no part of
    /// a dataset is there and nothing is to be downloaded; [`ErrorKind::Network`] if the port is in use;
    /// [`ErrorKind::Offline`]; [`ErrorKind::Disk`].
    pub fn start(mut self) -> Result<Seeding, Error> {
        self.context.read_config()?;
        let mut settings = self.context.settings()?;
        if let (Some(option), false) = (self.offline, settings.offline) {
            settings.offline = true;
            settings.offline_by = Some(OfflineBy::Setting(format!("`{option}`")));
        }
        plan::check_named(&settings)?;
        let store = match &self.store {
            Some(directory) => absolute(directory)?,
            None => self.context.store_dir()?,
        };
        if self.ratio.is_some_and(|ratio| !(ratio > 0.0 && ratio.is_finite())) {
            return Err(Error::new(ErrorKind::Manifest, "invalid `Seed::ratio`")
                .why(format!("it is {}", self.ratio.unwrap_or_default()))
                .help("use a number above 0, such as 2.0 to send everything twice"));
        }
        if self.fetch && self.ids.is_empty() && self.requests.is_empty() {
            return Err(Error::new(ErrorKind::Manifest, "no datasets to download were given")
                .help("use infohashes, magnet links, or paths of .torrent files"));
        }
        let of_ids = self.ids.iter().map(|id| request(id));
        let task = SeedTask {
            settings,
            store: Store::at(&store),
            requests: of_ids.chain(self.requests.into_iter().map(Ok)).collect::<Result<_, _>>()?,
            from: self.from.iter().map(|path| absolute(path)).collect::<Result<_, _>>()?,
            port: self.port,
            bytes_per_second: self.bytes_per_second,
            ratio: self.ratio,
            time: self.time,
            fetch: self.fetch,
            connections: self.connections,
        };
        Seeding::start(task)
    }

    /// Starts seeding, waits until [`Seed::ratio`] or [`Seed::for_time`] ends it, and returns the number of bytes sent.
    ///
    /// # Errors
    /// As [`Seed::start`], and the error of a dataset that could not be downloaded.
    pub fn run(self) -> Result<u64, Error> {
        self.start()?.wait()
    }
}

/// The settings are those of a command that cargo runs.
#[cfg(feature = "engine")]
#[doc(hidden)]
impl From<SeedRequests> for Seed {
    fn from(SeedRequests { requests, offline }: SeedRequests) -> Seed {
        let none: [&str; 0] = [];
        Seed { requests, offline, context: Context::of_command(), ..Seed::new(none) }
    }
}

fn request(id: &str) -> Result<Request, Error> {
    let identity = Identity::parse(id, None);
    let identity = identity.map_err(|why| why.error(format!("`{id}` cannot be seeded")))?;
    let name = identity.shown_name(id);
    Request::of_call(&name, identity, StoreKind::Shared, &Default::default())
}
