//! What all datasets of a build share.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::budget::{Budget, Dials, MetadataBudget};
use super::local_peer::LocalPeer;
use super::upload::manager::RateLimiter;
use crate::counters::{Counters, DatasetCounters};
use crate::error::{Error, ErrorKind};
use crate::manifest::{Request, StoreKind};
use crate::settings::Settings;
use crate::storage::{Store, Target};
use crate::torrent::infohash::Infohash;
use crate::torrent::metainfo::Metainfo;

pub type SharedCounters = Arc<DatasetCounters>;

/// A dataset in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provided {
    pub infohash: Infohash,
    /// The file of a single-file torrent, else its root directory.
    pub path: PathBuf,
    /// What makes it complete: Cargo's rerun target.
    pub stamp: PathBuf,
}

/// Refuses a path that a dataset would be published at.
pub type PathCheck = fn(&Path) -> Result<(), Error>;

/// What all datasets of a build share.
#[derive(Debug)]
pub struct Session<'a> {
    pub settings: &'a Settings,
    /// The Cargo.toml whose use of the store is noted.
    pub manifest: Option<&'a Path>,
    /// The user's store.
    pub shared: &'a Store,
    /// The build's own store, for `store = "out-dir"`, or the directory that a call names.
    pub own: Target<'a>,
    pub counters: &'a Counters,
    /// The manifest is not the user's own, but of a dependency that Cargo brought.
    pub foreign: bool,
    /// Refuses a path that the caller has no use for, before anything is fetched.
    pub accepts_path: Option<PathCheck>,
    pub rate_limiter: Option<Arc<RateLimiter>>,
    pub host: LocalPeer,
    #[cfg(feature = "dht")]
    pub dht: Option<Arc<crate::net::Dht>>,
    catalogue: Mutex<HashMap<Infohash, Option<Arc<Metainfo>>>>,
    budget: OnceLock<Budget>,
    dials: OnceLock<Dials>,
    metadata: OnceLock<MetadataBudget>,
    /// For hashing what is on disk, and for syncing.
    hashing: OnceLock<rayon::ThreadPool>,
    pub datasets: usize,
}

impl<'a> Session<'a> {
    pub fn new(settings: &'a Settings, shared: &'a Store, counters: &'a Counters) -> Session<'a> {
        Session {
            settings,
            manifest: None,
            shared,
            own: Target::Store(shared),
            counters,
            foreign: false,
            accepts_path: None,
            rate_limiter: RateLimiter::new(settings.upload_bytes_per_second),
            host: LocalPeer::not_listening(),
            #[cfg(feature = "dht")]
            dht: crate::net::Dht::new(settings).map(Arc::new),
            catalogue: Mutex::default(),
            budget: OnceLock::new(),
            dials: OnceLock::new(),
            metadata: OnceLock::new(),
            hashing: OnceLock::new(),
            datasets: 1,
        }
    }

    /// Its datasets are a dependency's: what they may cost is less, and nothing is uploaded unless the user said how much.
    pub fn for_dependency(&mut self) {
        self.foreign = true;
        if !self.settings.upload_is_chosen {
            self.rate_limiter = None;
        }
    }

    pub fn target(&self, request: &Request) -> Target<'a> {
        match request.store {
            StoreKind::Shared => Target::Store(self.shared),
            StoreKind::Own => self.own,
        }
    }

    /// The catalog is asked for this torrent, or gave it, in place of the one that was at hand.
    pub fn note_catalogue(&self, infohash: Infohash, newer: Option<Arc<Metainfo>>) {
        let mut answers = self.catalogue.lock().unwrap_or_else(PoisonError::into_inner);
        let known = answers.entry(infohash).or_default();
        *known = newer.or_else(|| known.take());
    }

    /// What became of asking the catalog for this torrent in this run; `None` if it was not asked yet. It is asked once.
    pub fn of_catalogue(&self, infohash: Infohash) -> Option<Option<Arc<Metainfo>>> {
        let answers = self.catalogue.lock().unwrap_or_else(PoisonError::into_inner);
        answers.get(&infohash).cloned()
    }

    pub fn check_path(&self, path: &Path) -> Result<(), Error> {
        self.accepts_path.map_or(Ok(()), |accepts| accepts(path))
    }

    /// Threads are made when the first dataset has to be fetched: a warm build makes none.
    pub fn budget(&self, missing_bytes: u64) -> Result<&Budget, Error> {
        if let Some(budget) = self.budget.get() {
            return Ok(budget);
        }
        let made = Budget::new(self.datasets, missing_bytes, self.dials().clone())
            .map_err(|why| no_threads(&why))?;
        Ok(self.budget.get_or_init(|| made))
    }

    /// The budget of connecting to peers.
    pub fn dials(&self) -> &Dials {
        self.dials.get_or_init(|| Dials::new(self.datasets))
    }

    /// The budget of asking peers for metadata.
    pub fn metadata_budget(&self) -> &MetadataBudget {
        self.metadata.get_or_init(|| MetadataBudget::new(self.datasets))
    }

    pub fn hashing(&self) -> Result<&rayon::ThreadPool, Error> {
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
