//! Datasets that somebody asks for: by a manifest, or on the command line.

use std::path::{Path, PathBuf};

use super::absolute;
use crate::download;
use crate::error::{Error, ErrorKind};
use crate::infohash::Infohash;
use crate::magnet::Magnet;
use crate::manifest::{CallOptions, Identity, Manifest, Request, StoreKind};

/// A dataset that is asked for.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The Cargo.toml that declares it, where one does.
    pub manifest: Option<PathBuf>,
    pub(super) request: Request,
    pub(super) own_copy: bool,
}

impl Asked {
    /// Its key in the manifest; else what was given on the command line, or the name in the magnet link.
    #[must_use]
    pub fn name(&self) -> &str {
        self.request.name.as_str()
    }

    /// Its identity. Of a vendored torrent the file is read.
    ///
    /// # Errors
    /// [`ErrorKind::Metainfo`] for a torrent that cannot be read or is not the declared one.
    pub fn infohash(&self) -> Result<Option<Infohash>, Error> {
        download::infohash(&self.request)
    }

    /// By what [`crate::Seed`] knows it: the path of its `.torrent`, else its infohash.
    ///
    /// # Errors
    /// As [`Asked::infohash`]; [`ErrorKind::Manifest`] for a path that is no text.
    pub fn seed_id(&self) -> Result<String, Error> {
        if let Some(torrent) = &self.request.identity.torrent {
            let odd = || {
                Error::new(ErrorKind::Manifest, format!("{} is not UTF-8", torrent.display()))
                    .help("rename it, or give the infohash")
            };
            return torrent.to_str().map(str::to_owned).ok_or_else(odd);
        }
        let infohash = self.infohash()?;
        Ok(infohash.map(|infohash| infohash.to_string()).unwrap_or_default())
    }

    /// Where it is declared in the manifest, from 1.
    #[must_use]
    pub fn line(&self) -> Option<usize> {
        self.request.line
    }

    /// Says where it is declared, in an error that may be mended there.
    pub(super) fn explained(&self, error: Error) -> Error {
        match (error.kind(), &self.manifest, self.request.line) {
            (ErrorKind::Manifest | ErrorKind::Metainfo, Some(manifest), Some(line)) => {
                error.why(format!("declared at {}:{line}", manifest.display()))
            }
            _ => error,
        }
    }

    /// The features of its crate that have to be on for a build to ask for it.
    #[must_use]
    pub fn required_features(&self) -> &[String] {
        &self.request.required_features
    }

    /// Whether a build keeps a copy of its own (`store = "out-dir"`), which nobody but it knows of.
    #[must_use]
    pub fn keeps_own_copy(&self) -> bool {
        self.own_copy
    }

    /// Whether it is the same dataset, by the same name, with the same files and pins: what is done for one is done for both.
    #[must_use]
    pub fn is_same(&self, other: &Asked) -> bool {
        let (mine, theirs) = (&self.request, &other.request);
        let infohash = self.infohash().ok().flatten();
        infohash.is_some()
            && infohash == other.infohash().ok().flatten()
            && mine.name == theirs.name
            && mine.files == theirs.files
            && mine.file_numbers() == theirs.file_numbers()
            && mine.sha256 == theirs.sha256
    }

    /// Whether its `.torrent` is a file of the crate.
    #[must_use]
    pub fn is_vendored(&self) -> bool {
        self.request.identity.torrent.is_some()
    }

    /// Whether its absence is a warning to a build, not an error.
    #[must_use]
    pub fn is_optional(&self) -> bool {
        self.request.optional
    }
}

/// What this Cargo.toml declares, in order of name: in the user's store, also what a build copies to its own.
///
/// # Errors
/// [`ErrorKind::Manifest`], with all that is wrong in it.
pub fn declared(manifest: &Path) -> Result<Vec<Asked>, Error> {
    let manifest = absolute(manifest)?;
    let requests = Manifest::read(&manifest)?.requests;
    let asked = |mut request: Request| {
        let own_copy = request.store == StoreKind::Own;
        request.store = StoreKind::Shared;
        // Whoever calls a command to fetch wants it; the built-in limit is for builds.
        request.max_size_bytes.get_or_insert(u64::MAX);
        Asked { manifest: Some(manifest.clone()), request, own_copy }
    };
    Ok(requests.into_iter().map(asked).collect())
}

/// What else is said of a dataset that is asked for on the command line, each as the option of its name has it.
#[derive(Clone, Debug, Default)]
pub struct Wishes {
    /// Globs over the torrent's paths; all files where there is none.
    pub files: Vec<String>,
    pub web_seeds: Vec<String>,
    pub trackers: Vec<String>,
    pub peers: Vec<String>,
    pub mirrors: Vec<String>,
    /// Most that may be fetched.
    pub max_size_bytes: Option<u64>,
}

/// What was asked for by infohash, magnet link or path of a `.torrent`. A name of 40 digits is an infohash, even where a file
/// of that name is there.
///
/// # Errors
/// [`ErrorKind::Manifest`] where it is none of these.
pub fn asked(id: &str) -> Result<Asked, Error> {
    asked_with(id, &Wishes::default(), StoreKind::Shared)
}

pub(super) fn asked_with(id: &str, wishes: &Wishes, store: StoreKind) -> Result<Asked, Error> {
    let odd =
        |why: String| Error::new(ErrorKind::Manifest, format!("`{id}` is no dataset")).why(why);
    let identity = if Magnet::is_one(id) {
        let magnet = Magnet::parse(id).map_err(|why| odd(format!("it {why}")))?;
        Identity { infohash: Some(magnet.infohash), torrent: None, magnet: Some(magnet) }
    } else {
        match id.parse::<Infohash>() {
            Ok(infohash) => Identity { infohash: Some(infohash), ..Identity::default() },
            Err(why) => {
                let path = absolute(Path::new(id))?;
                if !path.is_file() {
                    return Err(odd("it is neither an infohash nor a magnet link nor the path of a file".into())
                        .why(why.what().to_owned())
                        .help("give an infohash of 40 hexadecimal digits, a magnet link, or the path of a .torrent"));
                }
                Identity { torrent: Some(path), ..Identity::default() }
            }
        }
    };
    let name = identity.magnet.as_ref().map_or_else(|| id.to_owned(), Magnet::shown_name);
    of(&name, identity, wishes, store)
}

pub(super) fn of(
    name: &str,
    identity: Identity,
    wishes: &Wishes,
    store: StoreKind,
) -> Result<Asked, Error> {
    let options = CallOptions {
        files: wishes.files.clone(),
        web_seeds: wishes.web_seeds.clone(),
        trackers: wishes.trackers.clone(),
        peers: wishes.peers.clone(),
        mirrors: wishes.mirrors.clone(),
        sha256: Vec::new(),
        on_command_line: true,
    };
    let mut request = Request::of_call(name, identity, store, &options)?;
    request.max_size_bytes = wishes.max_size_bytes.or(request.max_size_bytes);
    Ok(Asked { manifest: None, request, own_copy: false })
}
