//! The manifest: `[package.metadata.academictorrents]` of a Cargo.toml, read into [`Request`]s.
//!
//! Floor 1. It reads that one file and nothing else: whether a vendored torrent is there, how large
//! a dataset is and what a glob covers is found out by others.
//!
//! | file | job |
//! | --- | --- |
//! | `section.rs` | where the section is in the document, and what else of the document counts |
//! | `dataset.rs` | one dataset's table, and `defaults`: which keys there are, and which may meet |
//! | `checks.rs` | one value: text to what it means |
//! | `findings.rs` | what was found wrong, with lines |
//! | `call.rs` | a request that a program makes by a call |
//!
//! Invariants: each request has an infohash (a magnet link's is one) or a torrent; its values are checked for their form; its
//! paths are absolute; no two requests have the same variable. A dataset's own value takes the
//! place of the one in `defaults` whole: lists are not merged.
//!
//! Failures are [`ErrorKind::Manifest`], and all of them are reported, in the order of the file.
//! What is not TOML is one failure, as what follows the first mistake is guesswork.

mod call;
mod checks;
mod dataset;
mod findings;
mod section;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::context::SourceSet;
use crate::error::{Error, ErrorKind};
use crate::infohash::Infohash;
use crate::magnet::Magnet;

pub use call::{CallOptions, MAX_SIZE_OPTION};

/// What a Cargo.toml asks for.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// The Cargo.toml, as the path was given.
    pub path: PathBuf,
    /// In order of name; empty where there is no section for us.
    pub requests: Vec<Request>,
}

impl Manifest {
    /// Reads the Cargo.toml at `path`.
    ///
    /// # Errors
    /// [`ErrorKind::Manifest`] where it cannot be read, and as [`Manifest::parse`].
    pub fn read(path: &Path) -> Result<Manifest, Error> {
        let text = std::fs::read_to_string(path).map_err(|why| {
            Error::new(ErrorKind::Manifest, format!("could not read {}", path.display()))
                .why(why.to_string())
                .help("give the path of the package's Cargo.toml")
        })?;
        Manifest::parse(&text, path)
    }

    /// Reads the text of a Cargo.toml; `path` is for messages, and its directory for relative paths.
    ///
    /// # Errors
    /// [`ErrorKind::Manifest`], with all that is wrong as [`Error::others`].
    pub fn parse(text: &str, path: &Path) -> Result<Manifest, Error> {
        section::read(text, path)
    }
}

/// One dataset, as the manifest asks for it.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    pub name: DatasetName,
    pub identity: Identity,
    /// Globs over the torrent's paths: only files that one of them covers; empty for all.
    pub files: Vec<glob::Pattern>,
    /// `http://` or `https://` URLs, more than the torrent names.
    pub web_seeds: Vec<String>,
    /// `http://`, `https://` or `udp://` URLs, more than the torrent names.
    pub trackers: Vec<String>,
    /// `host:port`, an IPv6 address in brackets.
    pub peers: Vec<String>,
    pub mirrors: Vec<Mirror>,
    pub sources: SourceSet,
    /// Refuse where more than this is still to fetch; `None` for the built-in limit.
    pub max_size_bytes: Option<u64>,
    /// What a call's limit is called there; `None` where a manifest says it.
    pub max_size_by: Option<&'static str>,
    /// Asked for only where all these features of the crate are on.
    pub required_features: Vec<String>,
    /// SHA-256 pins, by the file's path in the torrent.
    pub sha256: BTreeMap<String, [u8; 32]>,
    pub store: StoreKind,
    /// A dataset that cannot be had is a warning, not an error.
    pub optional: bool,
    /// What is there is hashed again, whatever its stamp says.
    pub hash_again: bool,
    /// Where the dataset is declared in the manifest, from 1; `None` where a program asks by a call.
    pub line: Option<usize>,
}

impl Request {
    /// The numbers of the files that a magnet link means (BEP 53), first and last of each range; empty for all.
    pub fn file_numbers(&self) -> &[(u32, u32)] {
        self.identity.magnet.as_ref().map_or(&[], |magnet| &magnet.files)
    }

    /// Whether all files of the torrent are asked for, whatever it holds.
    pub fn is_whole(&self) -> bool {
        self.files.is_empty() && self.file_numbers().is_empty()
    }

    /// Whether this build asks for the dataset: all its required features are on.
    pub fn asked_for(&self, feature_is_on: impl Fn(&str) -> bool) -> bool {
        self.required_features.iter().all(|feature| feature_is_on(feature))
    }
}

/// What a dataset is: by infohash, by a vendored torrent, or both, which then must agree; or by a magnet link.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    pub infohash: Option<Infohash>,
    /// Absolute path of a .torrent; whether it is there is not known yet.
    pub torrent: Option<PathBuf>,
    /// The link that the infohash is from. What else it names counts as if the torrent named it.
    pub magnet: Option<Magnet>,
}

/// A dataset's key in the manifest: `[a-z][a-z0-9_-]*`. Where a program asks by a call, what it asked for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DatasetName(String);

impl DatasetName {
    /// Reads a name.
    ///
    /// # Errors
    /// [`ErrorKind::Manifest`] for what is none.
    #[cfg(feature = "cli")]
    pub fn parse(text: &str) -> Result<DatasetName, Error> {
        let what = || format!("`{}` is not a dataset's name", checks::printable(text));
        checks::name(text).map_err(|refusal| refusal.error(what()))
    }

    /// The name, as the manifest has it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The `<NAME>` of variables: in capitals, with `-` as `_`.
    pub fn variable(&self) -> String {
        self.0.to_ascii_uppercase().replace('-', "_")
    }
}

impl fmt::Display for DatasetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A place that holds `<infohash>.torrent` and `<infohash>/<the torrent's own layout>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mirror {
    /// A base URL, without a slash at the end.
    Url(String),
    /// An absolute path.
    Directory(PathBuf),
}

impl Mirror {
    /// Reads a URL or a path; a relative path begins at `base_dir`.
    ///
    /// # Errors
    /// [`ErrorKind::Manifest`] where it is empty or another kind of URL.
    pub fn parse(text: &str, base_dir: &Path) -> Result<Mirror, Error> {
        checks::mirror(text, base_dir)
            .map_err(|refusal| refusal.error("a mirror cannot be used".to_owned()))
    }
}

/// Checks a peer's `host:port`.
///
/// # Errors
/// [`ErrorKind::Manifest`], with how it is written.
pub fn check_peer(text: &str) -> Result<(), Error> {
    let refused = |refusal: findings::Refusal| refusal.error("a peer cannot be used".to_owned());
    checks::peer(text).map(drop).map_err(refused)
}

/// Where a dataset's files lie once they are complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreKind {
    /// In the user's store, for all that ask for them.
    Shared,
    /// In the build's `OUT_DIR`, or in the directory that a call names: a copy of its own.
    Own,
}

#[cfg(test)]
mod tests;
