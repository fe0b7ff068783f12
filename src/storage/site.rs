//! The location of a copy of a dataset.

use std::io;
use std::path::{Path, PathBuf};

use crate::plan::Layout;

/// Where the torrent's own layout is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Site {
    /// Below this directory, under the torrent's name.
    In(PathBuf),
    /// At this path: the torrent's single file or root directory, under any name.
    At(PathBuf),
}

impl Site {
    /// Returns the path of a file, or of the dataset itself, given its path in the torrent's
    /// layout.
    pub fn path(&self, in_layout: &Path) -> PathBuf {
        match self {
            Site::In(directory) => on_disk(directory, in_layout),
            Site::At(root) => {
                let mut path = root.clone();
                path.extend(in_layout.iter().skip(1));
                path
            }
        }
    }

    /// Whether the torrent's single file or root directory may exist. If it does not, none of its
    /// files needs to be searched for; there may be 100,000.
    pub(super) fn has_root(&self, layout: &Layout) -> bool {
        let found = std::fs::symlink_metadata(self.path(&layout.root_path()));
        !found.is_err_and(|why| why.kind() == io::ErrorKind::NotFound)
    }

    /// Returns the path that was given.
    pub fn named(&self) -> &Path {
        match self {
            Site::In(path) | Site::At(path) => path,
        }
    }
}

/// Returns the path below a directory that corresponds to a path in the torrent's layout.
pub(super) fn on_disk(directory: &Path, in_layout: &Path) -> PathBuf {
    #[cfg(test)]
    return folding::on_disk(directory, in_layout);
    #[cfg(not(test))]
    directory.join(in_layout)
}

impl From<PathBuf> for Site {
    fn from(directory: PathBuf) -> Site {
        Site::In(directory)
    }
}

impl From<&Path> for Site {
    fn from(directory: &Path) -> Site {
        Site::In(directory.to_owned())
    }
}

/// For tests: simulates a file system that folds names.
#[cfg(test)]
pub mod folding {
    use std::path::{Path, PathBuf};
    use std::sync::{Mutex, PoisonError};

    type Fold = fn(&str) -> String;

    static FOLDING: Mutex<Vec<(PathBuf, Fold)>> = Mutex::new(Vec::new());

    /// Makes everything below this directory behave like a file system that treats names as equal
    /// if `fold` does.
    pub fn below(directory: &Path, fold: Fold) {
        let mut folding = FOLDING.lock().unwrap_or_else(PoisonError::into_inner);
        folding.push((directory.to_owned(), fold));
    }

    /// Returns the path on the simulated file system for a path of the torrent's layout.
    pub fn on_disk(base: &Path, in_layout: &Path) -> PathBuf {
        let folding = FOLDING.lock().unwrap_or_else(PoisonError::into_inner);
        match folding.iter().find(|(directory, _)| base.starts_with(directory)) {
            None => base.join(in_layout),
            Some((_, fold)) => {
                let names = in_layout.iter().map(|name| fold(name.to_str().unwrap_or_default()));
                base.join(names.collect::<PathBuf>())
            }
        }
    }
}
