//! A dataset at run time: [`get`] and [`Get`].
//!
//! Floor 4, beside `build_script`: the same download, without Cargo around it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::context::Context;
use crate::counters::Counters;
use crate::download::{self, Session};
use crate::error::{Error, ErrorKind};
use crate::infohash::Infohash;
use crate::magnet::Magnet;
use crate::manifest::{Identity, Request, StoreKind};
use crate::progress;
use crate::store::Store;

/// Provides a dataset in the user's store, and gives its path: the file of a single-file torrent, else the torrent's
/// root directory. What is there already is not fetched again.
///
/// `id` is an infohash (40 hexadecimal or 32 base32 digits), a magnet link, or the path of a `.torrent`.
///
/// # Errors
/// As [`Get::run`].
///
/// # Examples
/// ```no_run
/// let mnist = academictorrents::get("323a0048d87ca79b68f12a6350a57776b6a3b7fb")?;
/// println!("{}", mnist.display());
/// # Ok::<(), academictorrents::Error>(())
/// ```
pub fn get(id: impl AsRef<str>) -> Result<PathBuf, Error> {
    Get::new(id).run()
}

/// [`get`], with more to say about it.
///
/// # Examples
/// ```no_run
/// let mnist = academictorrents::Get::new("mnist.torrent").into("data").run()?;
/// # Ok::<(), academictorrents::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Get {
    id: String,
    into: Option<PathBuf>,
    context: Context,
}

impl Get {
    /// Asks for a dataset, by infohash, by magnet link or by the path of a `.torrent`. The environment (`ACADEMICTORRENTS_…`, proxies)
    /// is read now.
    #[must_use]
    pub fn new(id: impl AsRef<str>) -> Get {
        Get { id: id.as_ref().to_owned(), into: None, context: Context::of_process() }
    }

    /// Into this directory, in the torrent's own layout, instead of the store. The files are then the caller's: they can
    /// be changed, and so they are hashed each time.
    ///
    /// What lies there under the dataset's names is gone on from: right pieces are kept, and damaged ones are fetched
    /// again and put right. While that lasts, a file that is not right lies in `.academictorrents` below the directory;
    /// a run that was killed is gone on from there.
    #[must_use]
    pub fn into(mut self, directory: impl Into<PathBuf>) -> Get {
        self.into = Some(directory.into());
        self
    }

    /// Forgets all environment variables: those alone hold that [`Get::env`] sets from now on.
    #[must_use]
    pub fn env_clear(mut self) -> Get {
        self.context = Context::default();
        self
    }

    /// Sets an environment variable for this dataset alone.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Get {
        self.context.set(name, value);
        self
    }

    /// Provides the dataset, and gives its path, as [`get`] does.
    ///
    /// Progress is drawn on the terminal, or told in plain lines on stderr, as `ACADEMICTORRENTS_PROGRESS` says. There is
    /// no limit on the size but `ACADEMICTORRENTS_MAX_SIZE`.
    ///
    /// # Errors
    /// [`ErrorKind::Manifest`] for an `id` that is neither infohash nor magnet link nor path of a file, or an environment variable that
    /// cannot be used; each other kind but [`ErrorKind::TooLarge`] where no limit is set. What was verified is kept.
    pub fn run(mut self) -> Result<PathBuf, Error> {
        self.context.read_config()?;
        let identity = self.identity()?;
        let settings = self.context.settings()?;
        let own = self.into.as_deref().map(absolute).transpose()?;
        let own = own.map(|directory| Store::in_directory(&directory));
        let shared = match (self.context.store_dir(), &own) {
            (Ok(directory), _) => Store::at(&directory),
            // The directory is all that is needed.
            (Err(_), Some(own)) => own.clone(),
            (Err(error), None) => return Err(error),
        };
        let kind = if own.is_some() { StoreKind::Own } else { StoreKind::Shared };
        let magnet = identity.magnet.as_ref();
        let name = magnet.map_or_else(|| self.id.clone(), Magnet::shown_name);
        let request = Request::of_call(&name, identity, kind);
        let own = own.unwrap_or_else(|| shared.clone());
        let counters = Arc::new(Counters::default());
        let session = Session::new(&settings, Path::new(""), &shared, &own, &counters);
        let begin = || {
            let _ = shared.create_locks(); // whoever fetches tells of a failure
            let locks = shared.locks_path();
            progress::start(Arc::clone(&counters), &self.context, settings.progress, &locks)
        };
        let mut results = download::provide_all(session, &[&request], begin);
        // `provide_all` gives a result for each request.
        let result = results.pop().unwrap_or_else(|| Err(self.odd("it was not provided")));
        result.map(|provided| provided.path).map_err(|error| {
            if !own.keeps_stamps() && own.root().is_dir() {
                let place = own.root().display();
                return error.help(format!(
                    "what was verified is kept in {place}, and the next run goes on from there"
                ));
            }
            error
        })
    }

    /// A name of 40 digits is an infohash, even where a file of that name is there.
    fn identity(&self) -> Result<Identity, Error> {
        if Magnet::is_one(&self.id) {
            let magnet = Magnet::parse(&self.id).map_err(|why| self.odd(&format!("it {why}")))?;
            let infohash = Some(magnet.infohash);
            return Ok(Identity { infohash, torrent: None, magnet: Some(magnet) });
        }
        match self.id.parse::<Infohash>() {
            Ok(infohash) => Ok(Identity { infohash: Some(infohash), ..Identity::default() }),
            Err(why) => {
                let torrent = absolute(Path::new(&self.id))?;
                if torrent.is_file() {
                    return Ok(Identity { torrent: Some(torrent), ..Identity::default() });
                }
                Err(self
                    .odd("it is neither an infohash nor a magnet link nor the path of a file")
                    .why(why.what().to_owned())
                    .help("give an infohash of 40 hexadecimal digits, a magnet link, or the path of a .torrent"))
            }
        }
    }

    fn odd(&self, why: &str) -> Error {
        Error::new(ErrorKind::Manifest, format!("`{}` cannot be provided", self.id)).why(why)
    }
}

/// Paths are stored, and printed, independent of the directory that the process is in.
fn absolute(path: &Path) -> Result<PathBuf, Error> {
    std::path::absolute(path).map_err(|why| Error::disk("find", path, &why))
}
