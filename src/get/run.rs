//! What a [`Get`] does.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::{Get, Verify};
use crate::context::Settings;
use crate::counters::Counters;
use crate::download::{self, Session};
use crate::error::{Error, ErrorKind};
use crate::infohash::Infohash;
use crate::magnet::Magnet;
use crate::manifest::{Identity, Request, StoreKind};
use crate::store::Store;
use crate::{plan, progress};

/// What is shorter ends before a connection can stand.
const SHORTEST_TIMEOUT: Duration = Duration::from_millis(100);

impl Get {
    /// Provides the dataset, and gives its path, as [`super::get`] does.
    ///
    /// Progress is drawn on the terminal, or told in plain lines on stderr, where nothing says otherwise. Several calls may
    /// run side by side, for one dataset, too.
    ///
    /// # Errors
    /// [`ErrorKind::Manifest`] for an `id` that is neither infohash nor magnet link nor path of a file, or a value or an
    /// environment variable that cannot be used; each other kind but [`ErrorKind::TooLarge`] where no limit is set. What was verified is kept.
    pub fn run(mut self) -> Result<PathBuf, Error> {
        self.context.read_config()?;
        let identity = self.identity()?;
        let settings = self.settings()?;
        plan::check_named(&settings)?;
        let own = self.into.as_deref().map(absolute).transpose()?;
        let own = own.map(|directory| Store::in_directory(&directory));
        let shared = match (self.store_dir(), &own) {
            (Ok(directory), _) => Store::at(&directory),
            // The directory is all that is needed.
            (Err(_), Some(own)) => own.clone(),
            (Err(error), None) => return Err(error),
        };
        let kind = if own.is_some() { StoreKind::Own } else { StoreKind::Shared };
        let magnet = identity.magnet.as_ref();
        let name = magnet.map_or_else(|| self.id.clone(), Magnet::shown_name);
        let mut request = Request::of_call(&name, identity, kind, &self.options)?;
        request.max_size_bytes = self.max_size_bytes.or(request.max_size_bytes);
        request.hash_again = self.verify == Verify::Always;
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

    /// The environment's settings, and what the methods say before them.
    fn settings(&self) -> Result<Settings, Error> {
        let mut settings = self.context.settings()?;
        if self.offline && !settings.offline {
            settings.offline = true;
            settings.offline_by = Some("`Get::offline`".to_owned());
        }
        if let Some(timeout) = self.timeout {
            if timeout < SHORTEST_TIMEOUT {
                return Err(self
                    .odd(&format!("`Get::timeout` is {timeout:?}"))
                    .help(format!("give at least {SHORTEST_TIMEOUT:?}")));
            }
            settings.timeout = timeout;
        }
        if let Some(progress) = self.progress {
            settings.progress = progress.into();
        }
        Ok(settings)
    }

    fn store_dir(&self) -> Result<PathBuf, Error> {
        match &self.store {
            Some(directory) => absolute(directory),
            None => self.context.store_dir(),
        }
    }

    /// A name of 40 digits is an infohash, even where a file of that name is there.
    fn identity(&self) -> Result<Identity, Error> {
        let torrent = self.torrent.as_deref().map(absolute).transpose()?;
        if Magnet::is_one(&self.id) {
            let magnet = Magnet::parse(&self.id).map_err(|why| self.odd(&format!("it {why}")))?;
            let infohash = Some(magnet.infohash);
            return Ok(Identity { infohash, torrent, magnet: Some(magnet) });
        }
        match self.id.parse::<Infohash>() {
            Ok(infohash) => Ok(Identity { infohash: Some(infohash), torrent, magnet: None }),
            Err(why) => {
                let path = absolute(Path::new(&self.id))?;
                if path.is_file() && torrent.is_none() {
                    return Ok(Identity { torrent: Some(path), ..Identity::default() });
                }
                Err(match torrent {
                    None => self.odd("it is neither an infohash nor a magnet link nor the path of a file"),
                    Some(_) => self.odd("it is neither an infohash nor a magnet link, and `Get::torrent` has the path"),
                }
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
