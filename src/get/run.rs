//! Runs a [`Get`].

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::{Get, Progress, Snapshot, Verify};
use crate::counters::Counters;
use crate::engine;
use crate::engine::{Dataset, Session, StopHandle};
use crate::error::{Error, ErrorKind};
use crate::manifest::{Identity, Request, StoreKind, absolute};
use crate::settings::{OfflineBy, Settings};
use crate::storage::{Directory, Store, Target};
use crate::{plan, progress};

/// A shorter timeout would expire before a connection can be established.
const SHORTEST_TIMEOUT: Duration = Duration::from_millis(100);

impl Get {
    /// Downloads the dataset unless it is there already, and returns its path, as [`super::get`] does.
    ///
    /// # Errors
    /// As [`Get::fetch`].
    pub fn run(self) -> Result<PathBuf, Error> {
        self.fetch().map(|dataset| dataset.path().to_owned())
    }

    /// Downloads the dataset unless it is there already, and returns its path, its files, and the archive that they
    /// were unpacked from.
    ///
    /// By default, progress is drawn on the terminal, or printed as plain lines on stderr. Several calls may run in
    /// parallel, even for the same dataset.
    ///
    /// # Errors
    /// [`ErrorKind::Manifest`] for an invalid id, value or environment variable, and any other kind.
    /// [`ErrorKind::TooLarge`] only occurs if a limit is set. Verified data is kept.
    pub fn fetch(mut self) -> Result<Dataset, Error> {
        self.context.read_config()?;
        let identity = self.identity()?;
        let settings = self.settings()?;
        plan::check_named(&settings)?;
        let own = self.into.as_deref().map(absolute).transpose()?;
        let own = own.map(|directory| Directory::new(&directory, self.overwrite));
        let shared = match (self.store_dir(), &own) {
            (Ok(directory), _) => Store::at(&directory),
            // A download to a directory needs no store: it locks and resumes in that directory.
            (Err(_), Some(own)) => Target::Directory(own).workplace().clone(),
            (Err(error), None) => return Err(error),
        };
        let kind = if own.is_some() { StoreKind::Own } else { StoreKind::Shared };
        let name = identity.shown_name(&self.id);
        let mut request = Request::of_call(&name, identity, kind, &self.options)?;
        request.hash_again = self.verify == Verify::Always;
        let counters = Arc::new(Counters::default());
        let mut session = Session::new(&settings, &shared, &counters);
        if let Some(directory) = &own {
            session.own = Target::Directory(directory);
        }
        let stop = self.stop.as_ref().map_or_else(StopHandle::new, StopHandle::part);
        session.stop_with(stop.clone());
        let mut watch = None;
        let begin = || {
            let stop_it = Box::new(move || stop.stop());
            let callback = self.on_progress.as_ref();
            watch = callback.map(|callback| callback.watch(&counters, stop_it));
            let _ = shared.create_locks(); // the download reports a failure
            let locks = shared.locks_path();
            progress::start(Arc::clone(&counters), &self.context, settings.progress, &locks)
        };
        let mut results = engine::provide_all(session, &[&request], begin);
        // `provide_all` returns one result per request.
        let result = results.pop().unwrap_or_else(|| Err(self.odd("it was not provided")));
        let result = result.map(|provided| Dataset { name, provided });
        if let Some(callback) = &self.on_progress {
            let size = result.as_ref().ok().map(Dataset::size_bytes);
            callback.finish(watch, &Snapshot::at_end(&counters, size))?;
        }
        result
    }

    /// The settings of the environment, overridden by the methods that were called.
    fn settings(&self) -> Result<Settings, Error> {
        let mut settings = self.context.settings()?;
        if self.offline && !settings.offline {
            settings.offline = true;
            settings.offline_by = Some(OfflineBy::Setting("`Get::offline`".to_owned()));
        }
        if let Some(timeout) = self.timeout {
            if timeout < SHORTEST_TIMEOUT {
                return Err(self
                    .odd(&format!("`Get::timeout` is {timeout:?}"))
                    .help(format!("use at least {SHORTEST_TIMEOUT:?}")));
            }
            (settings.timeout, settings.timeout_is_chosen) = (timeout, true);
        }
        let own = self.on_progress.as_ref().map(|_| Progress::Off);
        settings.progress = self.progress.or(own).unwrap_or(settings.progress);
        Ok(settings)
    }

    fn store_dir(&self) -> Result<PathBuf, Error> {
        match &self.store {
            Some(directory) => absolute(directory),
            None => self.context.store_dir(),
        }
    }

    fn identity(&self) -> Result<Identity, Error> {
        let torrent = self.torrent.as_deref().map(absolute).transpose()?;
        Identity::parse(&self.id, torrent)
            .map_err(|why| why.error(format!("`{}` cannot be provided", self.id)))
    }

    fn odd(&self, why: &str) -> Error {
        Error::new(ErrorKind::Manifest, format!("`{}` cannot be provided", self.id)).why(why)
    }
}
