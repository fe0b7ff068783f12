//! The manifest: parses `[package.metadata.academictorrents]` of a Cargo.toml into [`Request`]s.
//!
//! Layer 1. Reads only the manifest and, for inherited datasets, that of the workspace's root.
//! Whether a vendored torrent exists, how large a dataset is, and what a glob matches is checked
//! later.
//!
//! | file | job |
//! | --- | --- |
//! | `section.rs` | finds the section in the document |
//! | `features.rs` | the features that the package has |
//! | `workspace.rs` | what a dataset with `workspace = true` inherits |
//! | `dataset.rs` | one dataset's table, and `defaults`: which keys can be combined |
//! | `keys.rs` | the table of the keys, and how their values are read |
//! | `checks.rs` | checks and converts one value |
//! | `findings.rs` | collects problems with their lines |
//! | `identity.rs` | which torrent is meant: infohash, magnet link or `.torrent` |
//! | `unpack.rs` | the keys of `unpack` |
//! | `call.rs` | a request that a program makes by a call |
//!
//! Invariants: each request has an infohash (possibly from a magnet link) or a torrent; its values
//! are syntactically valid; its paths are absolute; no two requests have the same variable. A
//! dataset's own value replaces the value in `defaults` completely: lists are not merged.
//!
//! Errors are [`ErrorKind::Manifest`], and all problems are reported, in the order of the file.
//! Invalid TOML is reported as a single error, because anything after the first mistake would be a
//! guess.

mod call;
mod checks;
mod dataset;
mod features;
mod file_glob;
mod findings;
mod identity;
mod keys;
mod section;
mod unpack;
mod workspace;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::error::{Error, ErrorKind};
use crate::origin::Origin;
use crate::settings::SourceSet;
use crate::url::Url;

pub use call::CallOptions;
#[cfg(feature = "unpack")]
pub use call::UnpackOptions;
pub use file_glob::{FileGlob, below_root, is_meant};
pub use identity::{Identity, absolute, infohash_of_page};
#[cfg(feature = "engine")]
pub use keys::KEYS;
pub use unpack::Unpacking;

/// The name of our table in `package.metadata`.
const SECTION: &str = "academictorrents";
const HEADER: &str = "[package.metadata.academictorrents]";

/// The requests of a Cargo.toml.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// The path of the Cargo.toml, as the caller gave it.
    pub path: PathBuf,
    /// The manifest of the workspace, if datasets are inherited from there.
    pub workspace: Option<PathBuf>,
    /// Sorted by name; empty without our section.
    pub requests: Vec<Request>,
}

impl Manifest {
    /// Reads the Cargo.toml at `path`.
    ///
    /// # Errors
    /// [`ErrorKind::Manifest`] if the file cannot be read, and as [`Manifest::parse`].
    pub fn read(path: &Path) -> Result<Manifest, Error> {
        let text = std::fs::read_to_string(path).map_err(|why| {
            Error::new(ErrorKind::Manifest, format!("could not read {}", path.display()))
                .why(why.to_string())
                .help("use the path of the package's Cargo.toml")
        })?;
        Manifest::parse(&text, path)
    }

    /// Parses the text of a Cargo.toml. `path` is used in messages, and its directory as the base
    /// of relative paths.
    ///
    /// # Errors
    /// [`ErrorKind::Manifest`], with further problems in [`Error::others`].
    pub fn parse(text: &str, path: &Path) -> Result<Manifest, Error> {
        section::read(text, path)
    }
}

/// A request for a dataset. The `Default` value has no keys set.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Request {
    pub name: DatasetName,
    pub identity: Identity,
    /// Globs for the torrent's paths: selects files that match one of them and no excluding one;
    /// empty for all files.
    pub files: Vec<FileGlob>,
    /// The name of its file or directory on disk, instead of the torrent's own name.
    pub rename: Option<String>,
    /// `http://` or `https://` URLs, in addition to those of the torrent.
    pub web_seeds: Vec<Url>,
    /// `http://`, `https://` or `udp://` URLs, in addition to those of the torrent.
    pub trackers: Vec<Url>,
    /// `host:port`, with an IPv6 address in brackets.
    pub peers: Vec<String>,
    pub mirrors: Vec<Mirror>,
    pub sources: SourceSet,
    /// Fail if more than this is left to download; `None` for the built-in limit.
    pub max_size_bytes: Option<u64>,
    /// Requested only if all these features of the crate are enabled.
    pub required_features: Vec<String>,
    /// SHA-256 pins, by the file's path in the torrent.
    pub sha256: BTreeMap<String, [u8; 32]>,
    pub store: StoreKind,
    /// Which archives and members to unpack; `None` for none.
    pub unpack: Option<Unpacking>,
    /// If the dataset cannot be provided, warn instead of failing.
    pub optional: bool,
    /// Hash existing data again, whatever its stamp says.
    pub hash_again: bool,
    pub origin: Origin,
    /// The manifest of the workspace, if the dataset is inherited from there.
    pub workspace: Option<PathBuf>,
}

impl Request {
    /// The file numbers that a magnet link selects (BEP 53), first and last of each range; empty
    /// for all.
    pub fn file_numbers(&self) -> &[(u32, u32)] {
        self.identity.magnet.as_ref().map_or(&[], |magnet| &magnet.files)
    }

    /// Whether the request is for all files of the torrent under its own name, regardless of the
    /// torrent's contents.
    pub fn is_whole(&self) -> bool {
        self.files.is_empty() && self.file_numbers().is_empty() && self.rename.is_none()
    }

    /// Whether this build requests the dataset: all its required features are enabled.
    pub fn asked_for(&self, feature_is_on: impl Fn(&str) -> bool) -> bool {
        self.required_features.iter().all(|feature| feature_is_on(feature))
    }
}

/// A dataset's key in the manifest: `[a-z][a-z0-9_-]*`. For a call, the ID that the program asked
/// for.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DatasetName(String);

impl DatasetName {
    /// Parses a name.
    ///
    /// # Errors
    /// [`ErrorKind::Manifest`] for an invalid name.
    #[cfg(feature = "engine")]
    pub fn parse(text: &str) -> Result<DatasetName, Error> {
        let what = || format!("invalid dataset name `{}`", checks::printable(text));
        checks::name(text).map_err(|refusal| refusal.error(what()))
    }

    /// The name as in the manifest.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The `<NAME>` of variables: upper case, with `_` for `-`.
    pub fn variable(&self) -> String {
        self.0.to_ascii_uppercase().replace('-', "_")
    }
}

impl fmt::Display for DatasetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A mirror, with `<infohash>.torrent` and `<infohash>/<the torrent's own layout>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mirror {
    /// A base URL without a trailing slash.
    Url(Url),
    /// An absolute path.
    Directory(PathBuf),
}

impl Mirror {
    /// Parses a URL or a path. Relative paths start at `base_dir`.
    ///
    /// # Errors
    /// [`ErrorKind::Manifest`] for an empty text or another kind of URL.
    pub fn parse(text: &str, base_dir: &Path) -> Result<Mirror, Error> {
        checks::mirror(text, base_dir).map_err(|refusal| refusal.error(String::new()))
    }
}

/// Checks a peer's `host:port`.
///
/// # Errors
/// [`ErrorKind::Manifest`], with the expected syntax.
pub fn check_peer(text: &str) -> Result<(), Error> {
    checks::peer(text).map(drop).map_err(|refusal| refusal.error(String::new()))
}

/// Checks a tracker's URL.
///
/// # Errors
/// [`ErrorKind::Manifest`], with the expected syntax.
pub fn check_tracker(text: &str) -> Result<(), Error> {
    checks::tracker(text).map(drop).map_err(|refusal| refusal.error(String::new()))
}

/// Where a dataset's complete files are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StoreKind {
    /// In the user's store, shared by all who request it.
    #[default]
    Shared,
    /// In the build's `OUT_DIR`, or in the directory that a call names, as a separate copy.
    Own,
}

#[cfg(test)]
mod tests;
