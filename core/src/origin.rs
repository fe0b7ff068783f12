//! Where a request and a `.torrent` come from. Error wording and the rules on addresses depend on
//! it.

use std::path::{Path, PathBuf};

use crate::address::NamedBy;
use crate::error::{Error, ErrorKind};

/// Where a request comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Origin {
    /// Declared in a Cargo.toml, on this line (counted from 1).
    Manifest {
        path: PathBuf,
        line: usize,
        is_dependency: bool,
    },
    /// A program that calls the library.
    #[default]
    Api,
    CommandLine,
}

impl Origin {
    pub fn is_declared(&self) -> bool {
        self.manifest().is_some()
    }

    /// The Cargo.toml and the line that declare the request.
    pub fn manifest(&self) -> Option<(&Path, usize)> {
        match self {
            Origin::Manifest { path, line, .. } => Some((path, *line)),
            Origin::Api | Origin::CommandLine => None,
        }
    }

    /// Marks the manifest as that of a dependency that Cargo downloaded.
    pub fn set_dependency(&mut self) {
        if let Origin::Manifest { is_dependency, .. } = self {
            *is_dependency = true;
        }
    }

    /// Who names the sources in the request.
    pub fn named_by(&self) -> NamedBy {
        match self {
            Origin::Manifest { is_dependency: true, .. } => NamedBy::Dependency,
            _ => NamedBy::User,
        }
    }

    /// Adds the location of the declaration to errors that can be fixed there.
    pub fn declared(&self, error: Error) -> Error {
        match (error.kind(), self.manifest()) {
            (ErrorKind::Manifest | ErrorKind::Metainfo, Some((path, line))) => {
                error.why_once(format!("declared at {}:{line}", path.display()))
            }
            _ => error,
        }
    }

    /// The name of the method or command-line option that sets a value, for error messages.
    pub fn setter(&self, method: &str) -> String {
        match self {
            Origin::CommandLine => format!("`--{}`", method.replace('_', "-")),
            Origin::Api | Origin::Manifest { .. } => format!("`Get::{method}`"),
        }
    }
}

/// Where a `.torrent` comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TorrentOrigin {
    /// A file or URL named in the request, or a file on `LOAD_PATH`.
    Named(NamedBy),
    Mirror(NamedBy),
    Catalogue(NamedBy),
    Peers,
    /// A store with a note that the user named the `.torrent`, or the mirror or catalog that it was
    /// downloaded from.
    KeptOfUser,
    /// Anywhere else.
    #[default]
    Unknown,
}

impl TorrentOrigin {
    /// Who names the trackers and web seeds in the torrent. A `.torrent` of unknown origin counts
    /// as a stranger's.
    pub fn named_by(self) -> NamedBy {
        match self {
            TorrentOrigin::Named(by) | TorrentOrigin::Mirror(by) | TorrentOrigin::Catalogue(by) => {
                by.torrent()
            }
            TorrentOrigin::KeptOfUser => NamedBy::UserTorrent,
            TorrentOrigin::Peers | TorrentOrigin::Unknown => NamedBy::Torrent,
        }
    }
}
