//! What `cargo academictorrents` needs of the engine beyond [`crate::Get`] and [`crate::Seed`]; no part of the API (feature `cli`).
//!
//! Floor 4, above the other front doors. Each file serves a verb or two and gives plain data: words, JSON and bars are
//! the command line's. Nothing here prints.
//!
//! A [`Desk`] is where a verb works: the user's settings and store. [`Asked`] is a dataset that somebody asks for, by a manifest or on
//! the command line.

mod add;
mod asked;
mod build_script;
mod catalogue;
mod changes;
mod doctor;
mod edit;
mod gc;
mod import;
mod info;
mod names;
mod planned;
mod provide;
mod settings;
mod stock;
mod stop;
#[cfg(test)]
mod tests;
mod torrent;
mod usage;
mod vendor;
mod verify;
mod words;

use std::path::{Path, PathBuf};

use crate::context::{Context, ProgressMode, Settings};
use crate::counters::Counters;
use crate::download::{self, Session};
use crate::error::Error;
use crate::plan;
use crate::store::{self, Store};

pub use crate::download::{Imported, Standing, State};
pub use crate::size::{parse as parse_bytes, parse_duration as parse_time};
pub use crate::store::{HeldKind, Leftover};
pub use add::{Addition, Package, Wish, add};
pub use asked::{Asked, Wishes, asked, declared};
pub use catalogue::{Citation, Database, Entry, Found, MadeFrom, Query};
pub use changes::{ChangedFile, Changes};
pub use doctor::{Reach, Reached, Setup, StoreHealth, Trialled, setup, store_health};
pub use gc::{Collected, Gc, GcOptions, Removal};
pub use import::{Brought, Took};
pub use info::{Answered, Described, Info, Witness};
pub use planned::{Plan, Source};
pub use provide::{Fetched, Outcome, Show};
pub use settings::{InForce, Origin, ShownSetting, in_force};
pub use stock::Stocked;
pub use stop::Stop;
pub use torrent::{Torrent, TorrentFile};
pub use usage::{Use, Used};
pub use vendor::vendor;
pub use verify::{Checked, Fault, Repaired, What, Whose};
pub use words::{parse_size, printable, size};

/// The user's settings and store, as all verbs see them.
#[derive(Debug)]
pub struct Desk {
    context: Context,
    settings: Settings,
    directory: PathBuf,
    store: Store,
    /// A directory of the user's, for what is asked to lie there.
    own: Option<Store>,
    stop: Stop,
}

impl Desk {
    /// Reads the environment and the user's configuration file. `store` takes the place of theirs; `offline`, said by the
    /// option of this name, is added to them.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Manifest`] for a variable or a key that cannot be used.
    pub fn open(store: Option<&Path>, offline: bool) -> Result<Desk, Error> {
        Desk::with(Context::of_process(), store, offline, None)
    }

    /// The same, where what is asked for on the command line shall lie in this directory, in the torrent's own layout. Then no
    /// store is needed.
    ///
    /// # Errors
    /// As [`Desk::open`].
    pub fn open_into(into: &Path, store: Option<&Path>, offline: bool) -> Result<Desk, Error> {
        Desk::with(Context::of_process(), store, offline, Some(into))
    }

    /// The same, with no bars and no lines that tell how it goes.
    #[must_use]
    pub fn without_progress(mut self) -> Desk {
        self.settings.progress = ProgressMode::Off;
        self
    }

    fn with(
        mut context: Context,
        store: Option<&Path>,
        offline: bool,
        into: Option<&Path>,
    ) -> Result<Desk, Error> {
        context.read_config()?;
        let mut settings = context.settings()?;
        plan::check_named(&settings)?;
        if offline && !settings.offline {
            settings.offline = true;
            settings.offline_by = Some("`--offline`".to_owned());
        }
        let into = into.map(absolute).transpose()?;
        let own = into.as_deref().map(Store::in_directory);
        let directory = match (store, into) {
            (Some(directory), _) => absolute(directory)?,
            (None, None) => context.store_dir()?,
            (None, Some(into)) => context.store_dir().unwrap_or(into),
        };
        let store = Store::at(&directory);
        Ok(Desk { context, settings, directory, store, own, stop: Stop::default() })
    }

    /// The store's directory, absolute, as `ACADEMICTORRENTS_STORE` has it.
    #[must_use]
    pub fn store_dir(&self) -> &Path {
        &self.directory
    }

    /// The dataset's path, where it is complete in the store or where the environment says: nothing is fetched.
    #[must_use]
    pub fn present(&self, dataset: &Asked) -> Option<PathBuf> {
        let counters = Counters::default();
        download::present(&self.session(&counters), &dataset.request).map(|there| there.path)
    }

    fn session<'a>(&'a self, counters: &'a Counters) -> Session<'a> {
        let own = self.own.as_ref().unwrap_or(&self.store);
        Session::new(&self.settings, Path::new(""), &self.store, own, counters)
            .at_host(self.stop.host())
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
