//! The result of a download ([`Provided`]), and its public view ([`Dataset`]).

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::plan::Layout;
use crate::storage::Stamp;
use crate::torrent::infohash::Infohash;

/// Where a complete dataset is, and which files it has.
#[derive(Clone, Debug)]
pub struct Provided {
    pub infohash: Infohash,
    /// The file of a single-file torrent, else its root directory.
    pub path: PathBuf,
    /// The stamp file that marks the dataset complete: Cargo's `rerun-if-changed` target.
    pub stamp: PathBuf,
    /// The dataset with the original archives, if archives were unpacked and kept. The other fields
    /// then describe the unpacked tree.
    pub archive: Option<Box<ProvidedArchive>>,
    /// The files at `path`.
    pub files: ProvidedFiles,
}

/// The dataset whose archives were unpacked.
#[derive(Clone, Debug)]
pub struct ProvidedArchive {
    pub path: PathBuf,
    pub stamp: PathBuf,
}

/// The files of a dataset, from the value that lists them. Reads nothing from disk.
#[derive(Clone)]
pub enum ProvidedFiles {
    Stamped(Arc<Stamp>),
    Selected(Arc<Layout>),
    /// Nothing was looked up, and the torrent is not available.
    Unknown,
}

impl ProvidedFiles {
    /// Paths, beginning with the torrent's name, and lengths in bytes.
    pub fn iter(&self) -> Box<dyn Iterator<Item = (PathBuf, u64)> + '_> {
        match self {
            ProvidedFiles::Stamped(stamp) => Box::new(stamp.files()),
            ProvidedFiles::Selected(layout) => {
                Box::new(layout.files().map(|file| (file.path(), file.length())))
            }
            ProvidedFiles::Unknown => Box::new(std::iter::empty()),
        }
    }
}

impl fmt::Debug for ProvidedFiles {
    /// Only their number: a torrent's metainfo has megabytes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} files", self.iter().count())
    }
}

impl From<Stamp> for ProvidedFiles {
    fn from(stamp: Stamp) -> ProvidedFiles {
        ProvidedFiles::Stamped(Arc::new(stamp))
    }
}

/// A complete, verified dataset, returned by [`Get::fetch`](crate::Get::fetch) and
/// [`Build::run`](crate::Build::run).
///
/// # Examples
/// ```no_run
/// let mnist = academictorrents::Get::new("ce990b28668abf16480b8b906640a6cd7e3b8b21").fetch()?;
/// for file in mnist.files() {
///     println!("{}: {} bytes", file.path.display(), file.length);
/// }
/// # Ok::<(), academictorrents::Error>(())
/// ```
#[derive(Clone)]
pub struct Dataset {
    pub(crate) name: String,
    pub(crate) provided: Provided,
}

/// A file of a [`Dataset`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DatasetFile {
    /// The file's location: [`Dataset::path`] itself for a single file, otherwise below that
    /// directory.
    pub path: PathBuf,
    /// Length in bytes.
    pub length: u64,
}

impl fmt::Debug for Dataset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dataset")
            .field("name", &self.name)
            .field("infohash", &self.provided.infohash)
            .field("path", &self.provided.path)
            .field("archive", &self.archive())
            .field("files", &self.provided.files)
            .finish()
    }
}

impl Dataset {
    /// The dataset's key in the manifest. For [`Get::fetch`](crate::Get::fetch), the name that
    /// messages use: the infohash, the name in the magnet link, or the name of the `.torrent` file.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file of a single-file torrent, otherwise the torrent's root directory. If archives are unpacked, the unpacked files.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.provided.path
    }

    /// The value that [`Dataset::path`] would have if nothing had been unpacked. `None` if nothing
    /// was unpacked, or if the archives were not kept.
    #[must_use]
    pub fn archive(&self) -> Option<&Path> {
        self.provided.archive.as_ref().map(|archive| &*archive.path)
    }

    /// The torrent's infohash.
    #[must_use]
    pub fn infohash(&self) -> Infohash {
        self.provided.infohash
    }

    pub(crate) fn size_bytes(&self) -> u64 {
        self.provided.files.iter().map(|(_, length)| length).fold(0, u64::saturating_add)
    }

    /// The selected files, in the torrent's order. If archives are unpacked, the unpacked files. Symbolic links are not listed.
    ///
    /// On docs.rs, where nothing is downloaded, a [`Build`](crate::Build) only knows the files of a vendored torrent.
    #[must_use]
    pub fn files(&self) -> Vec<DatasetFile> {
        let place = |(in_layout, length): (PathBuf, u64)| {
            let mut path = self.provided.path.clone();
            path.extend(in_layout.iter().skip(1));
            DatasetFile { path, length }
        };
        self.provided.files.iter().map(place).collect()
    }
}
