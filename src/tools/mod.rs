//! What `cargo academictorrents` needs of the engine beyond [`crate::Get`] and [`crate::Seed`]; no part of the API (feature `cli`).
//!
//! Floor 4, above the other front doors. Each file serves a verb or two and gives plain data: words, JSON and bars are
//! the command line's. Nothing here prints.
//!
//! A [`Desk`] is where a verb works: the user's settings and store. [`Asked`] is a dataset that somebody asks for, by a manifest or on
//! the command line.

mod asked;
mod catalogue;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::context::{Context, Settings};
use crate::counters::Counters;
use crate::download::{self, Session};
use crate::error::Error;
use crate::manifest::Request;
use crate::store::{self, Store};
use crate::{plan, progress};

pub use asked::{Asked, asked, declared};
pub use catalogue::{Citation, Database, Entry, Found, MadeFrom, Query};

/// A size for people, in binary units: `12.0 MiB`.
#[must_use]
pub fn size(bytes: u64) -> String {
    crate::size::display(bytes)
}

/// A stranger's words on one line, with nothing in them that moves a cursor.
#[must_use]
pub fn printable(text: &str) -> String {
    crate::error::printable(text)
}

/// The user's settings and store, as all verbs see them.
#[derive(Debug)]
pub struct Desk {
    context: Context,
    settings: Settings,
    directory: PathBuf,
    store: Store,
}

impl Desk {
    /// Reads the environment and the user's configuration file. `store` takes the place of theirs; `offline`, said by the
    /// option of this name, is added to them.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Manifest`] for a variable or a key that cannot be used.
    pub fn open(store: Option<&Path>, offline: bool) -> Result<Desk, Error> {
        Desk::with(Context::of_process(), store, offline)
    }

    fn with(mut context: Context, store: Option<&Path>, offline: bool) -> Result<Desk, Error> {
        context.read_config()?;
        let mut settings = context.settings()?;
        plan::check_named(&settings)?;
        if offline && !settings.offline {
            settings.offline = true;
            settings.offline_by = Some("--offline".to_owned());
        }
        let directory = match store {
            Some(directory) => absolute(directory)?,
            None => context.store_dir()?,
        };
        let store = Store::at(&directory);
        Ok(Desk { context, settings, directory, store })
    }

    /// The store's directory, absolute, as `ACADEMICTORRENTS_STORE` has it.
    #[must_use]
    pub fn store_dir(&self) -> &Path {
        &self.directory
    }

    /// Provides datasets in the user's store, side by side, with progress on the terminal or in plain lines: a path
    /// or an error for each, in order. What is there already costs a look.
    #[must_use]
    pub fn provide(&self, datasets: &[&Asked]) -> Vec<Result<PathBuf, Error>> {
        let counters = Arc::new(Counters::default());
        let session = self.session(&counters);
        let requests: Vec<&Request> = datasets.iter().map(|dataset| &dataset.request).collect();
        let begin = || {
            let _ = self.store.create_locks(); // whoever fetches tells of a failure
            let locks = self.store.locks_path();
            progress::start(Arc::clone(&counters), &self.context, self.settings.progress, &locks)
        };
        let results = download::provide_all(session, &requests, begin);
        results.into_iter().map(|result| result.map(|provided| provided.path)).collect()
    }

    /// The dataset's path, where it is complete in the store or where the environment says: nothing is fetched.
    #[must_use]
    pub fn present(&self, dataset: &Asked) -> Option<PathBuf> {
        let counters = Counters::default();
        download::present(&self.session(&counters), &dataset.request).map(|there| there.path)
    }

    fn session<'a>(&'a self, counters: &'a Counters) -> Session<'a> {
        Session::new(&self.settings, Path::new(""), &self.store, &self.store, counters)
    }
}

/// Writes files of these names and bytes into a directory, which is created where it is not there: their paths, absolute.
///
/// # Errors
/// [`crate::ErrorKind::Disk`].
pub fn write_files(directory: &Path, files: &[(String, &[u8])]) -> Result<Vec<PathBuf>, Error> {
    let directory = absolute(directory)?;
    let paths = files.iter().map(|(name, bytes)| (directory.join(name), *bytes));
    store::write_files(&directory, paths)
}

/// Paths hold whatever directory the process goes to.
fn absolute(path: &Path) -> Result<PathBuf, Error> {
    std::path::absolute(path).map_err(|why| Error::disk("find", path, &why))
}
