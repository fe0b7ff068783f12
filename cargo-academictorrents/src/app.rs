//! The user's settings and store, for all commands.

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use academictorrents::Error;
use academictorrents::engine::counters::Counters;
use academictorrents::engine::manifest::absolute;
use academictorrents::engine::plan;
use academictorrents::engine::progress::{self, Command, ProgressDisplay};
use academictorrents::engine::settings::{Context, OfflineBy, Settings};
use academictorrents::engine::storage::{Directory, Store, Target};
use academictorrents::engine::{self, LocalPeer, Session};

use crate::dataset_spec::DatasetSpec;

/// The user's settings and store.
#[derive(Debug)]
pub struct App {
    pub context: Context,
    pub settings: Settings,
    /// The store's absolute directory, as in `ACADEMICTORRENTS_STORE`.
    pub directory: PathBuf,
    pub store: Store,
    /// A user's directory that datasets are downloaded into, in the torrent's own layout.
    pub into: Option<Directory>,
    pub stop: Stop,
}

impl App {
    /// Reads the environment and the user's configuration file. `store` overrides their store, and
    /// `offline` is added to their settings. `into` is a directory to download into, for which no
    /// store is needed, and whether existing files there are replaced.
    ///
    /// # Errors
    /// [`academictorrents::ErrorKind::Manifest`] for an invalid variable or key.
    pub fn open(
        mut context: Context,
        store: Option<&Path>,
        offline: bool,
        into: Option<(&Path, bool)>,
    ) -> Result<App, Error> {
        context.read_config()?;
        let mut settings = context.settings()?;
        plan::check_named(&settings)?;
        if offline && !settings.offline {
            settings.offline = true;
            settings.offline_by = Some(OfflineBy::Setting("`--offline`".to_owned()));
        }
        let overwrite = into.is_some_and(|(_, overwrite)| overwrite);
        let into = into.map(|(into, _)| absolute(into)).transpose()?;
        let own = into.as_deref().map(|into| Directory::new(into, overwrite));
        let directory = match (store, into) {
            (Some(directory), _) => absolute(directory)?,
            (None, None) => context.store_dir()?,
            (None, Some(into)) => context.store_dir().unwrap_or(into),
        };
        let store = Store::at(&directory);
        Ok(App { context, settings, directory, store, into: own, stop: Stop::default() })
    }

    /// Returns the dataset's path if it is complete in the store or where the environment says.
    /// Fetches nothing.
    pub fn present(&self, dataset: &DatasetSpec) -> Option<PathBuf> {
        let counters = Counters::default();
        engine::present(&self.session(&counters), &dataset.request).map(|there| there.path)
    }

    /// Does the same, and hashes a dataset in a read-only store if its files lost their times.
    ///
    /// # Errors
    /// [`academictorrents::ErrorKind::Verification`] if a pin does not match.
    pub fn present_or_hashed(
        &self,
        dataset: &DatasetSpec,
        missing: Error,
    ) -> Result<PathBuf, Error> {
        if let Some(path) = self.present(dataset) {
            return Ok(path);
        }
        let counters = Arc::new(Counters::default());
        let begin = || self.draw(&counters, false);
        engine::hashed(&self.session(&counters), &dataset.request, missing, begin)
            .map(|there| there.path)
    }

    pub fn session<'a>(&'a self, counters: &'a Counters) -> Session<'a> {
        self.session_in(self.into.as_ref(), counters)
    }

    /// Returns the directory, or else the store, as the target.
    pub fn target<'a>(&'a self, into: Option<&'a Directory>) -> Target<'a> {
        into.map_or(Target::Store(&self.store), Target::Directory)
    }

    pub fn session_in<'a>(
        &'a self,
        into: Option<&'a Directory>,
        counters: &'a Counters,
    ) -> Session<'a> {
        let mut session = Session::new(&self.settings, &self.store, counters);
        session.own = self.target(into);
        session.network.host = self.stop.host.clone();
        session
    }

    /// Starts bars on the terminal, or plain lines, until the result is dropped. With `sources`,
    /// each source is shown too.
    pub fn draw(&self, counters: &Arc<Counters>, sources: bool) -> ProgressDisplay {
        self.stop.draws(counters);
        let (command, mode) = (Command { sources }, self.settings.progress);
        // Without this directory, plain lines are printed. Verifying does not create it.
        let locks = self.store.locks_path();
        progress::start_for(command, Arc::clone(counters), &self.context, mode, &locks)
    }
}

/// Stops what an app does; clones stop the same app. Verified data is kept.
#[derive(Clone, Debug)]
pub struct Stop {
    host: LocalPeer,
    drawn: Arc<Mutex<Vec<Arc<Counters>>>>,
}

impl Default for Stop {
    fn default() -> Stop {
        Stop { host: LocalPeer::not_listening(), drawn: Arc::default() }
    }
}

impl Stop {
    /// Stops: bars are erased within a tenth of a second, nothing more is printed, downloads end.
    /// What cannot be interrupted (a name look-up, hashing) runs until the process ends, which is
    /// safe at any time.
    pub fn stop(&self) {
        self.host.stop.stop();
        let drawn = self.drawn.lock().unwrap_or_else(PoisonError::into_inner);
        drawn.iter().for_each(|counters| counters.stopped.store(true, Ordering::Release));
    }

    pub fn is_stopped(&self) -> bool {
        self.host.is_stopped()
    }

    /// Registers counters that are being drawn.
    fn draws(&self, counters: &Arc<Counters>) {
        self.drawn.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(counters));
        if self.is_stopped() {
            counters.stopped.store(true, Ordering::Release);
        }
    }
}
