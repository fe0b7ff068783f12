//! State shared by all datasets of a build.

use std::path::Path;
use std::sync::Arc;

#[cfg(feature = "fetch")]
use super::budget::Budget;
#[cfg(feature = "fetch")]
use super::network_share::NetworkShare;
use super::stop::StopHandle;
use crate::counters::{Counters, DatasetCounters};
use crate::error::Error;
use crate::manifest::{Request, StoreKind};
use crate::settings::Settings;
use crate::storage::{DiskWork, Store, Target};

pub type SharedCounters = Arc<DatasetCounters>;

/// Rejects a path at which a dataset would be published.
pub type PathCheck = fn(&Path) -> Result<(), Error>;

/// State shared by all datasets of a build.
#[derive(Debug)]
pub struct Session<'a> {
    pub settings: &'a Settings,
    /// The Cargo.toml to record as a user of the store.
    pub manifest: Option<&'a Path>,
    /// The user's store.
    pub shared: &'a Store,
    /// The target for requests that do not use the shared store: the build's own store (`store =
    /// "out-dir"`), or the directory that the caller named.
    pub own: Target<'a>,
    pub counters: &'a Counters,
    /// The manifest belongs to a dependency that Cargo downloaded, not to the user.
    pub foreign: bool,
    /// Rejects a path that the caller cannot use, before anything is fetched.
    pub accepts_path: Option<PathCheck>,
    #[cfg(feature = "fetch")]
    pub network: NetworkShare,
    #[cfg(not(feature = "fetch"))]
    stop: StopHandle,
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
            #[cfg(feature = "fetch")]
            network: NetworkShare::new(settings),
            #[cfg(not(feature = "fetch"))]
            stop: StopHandle::new(),
            datasets: 1,
        }
    }

    /// Marks the datasets as a dependency's: its manifest cannot raise the size limit, and nothing
    /// is uploaded unless the user set an upload rate.
    pub fn for_dependency(&mut self) {
        self.foreign = true;
        #[cfg(feature = "fetch")]
        if !self.settings.upload_is_chosen {
            self.network.rate_limiter = None;
        }
    }

    pub fn target(&self, request: &Request) -> Target<'a> {
        match request.store {
            StoreKind::Shared => Target::Store(self.shared),
            StoreKind::Own => self.own,
        }
    }

    /// For an error about missing data: a job that does not inherit the variable uses another store.
    #[cfg(feature = "fetch")]
    pub fn store_in_words(&self, request: &Request) -> Option<String> {
        let store = self.shared.root().parent().filter(|_| request.store == StoreKind::Shared)?;
        Some(format!("the store is {}", crate::error::printable(&store.display().to_string())))
    }

    /// Replaces the handle that stops this session.
    pub fn stop_with(&mut self, stop: StopHandle) {
        #[cfg(feature = "fetch")]
        let own = &mut self.network.host.stop;
        #[cfg(not(feature = "fetch"))]
        let own = &mut self.stop;
        *own = stop;
    }

    /// The handle that stops this session.
    pub fn stop(&self) -> &StopHandle {
        #[cfg(feature = "fetch")]
        return &self.network.host.stop;
        #[cfg(not(feature = "fetch"))]
        return &self.stop;
    }

    /// Whether the caller has stopped this session.
    pub fn is_stopped(&self) -> bool {
        self.stop().is_stopped()
    }

    /// Context for work on files: progress is added to this dataset's counters, and the work ends
    /// when the session is stopped.
    pub fn disk_work<'w>(&'w self, counters: &'w DatasetCounters) -> DiskWork<'w> {
        DiskWork { done_bytes: &counters.done_bytes, stopped: Some(self.stop().flag()) }
    }

    pub fn check_path(&self, path: &Path) -> Result<(), Error> {
        self.accepts_path.map_or(Ok(()), |accepts| accepts(path))
    }

    /// # Errors
    /// [`crate::ErrorKind::Disk`] if the system refused to create a thread.
    #[cfg(feature = "fetch")]
    pub fn budget(&self, missing_bytes: u64) -> Result<&Budget, Error> {
        self.network.budget(self.datasets, missing_bytes).map_err(|why| {
            Error::new(crate::ErrorKind::Disk, "the system refused to create a thread")
                .why(why.to_string())
        })
    }
}
