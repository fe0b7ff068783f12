//! Where a copy of a dataset lies.

use std::io;
use std::path::{Path, PathBuf};

use crate::plan::Layout;

/// Where the torrent's own layout is to be found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Site {
    /// Below this directory, under the torrent's name.
    In(PathBuf),
    /// This is what the torrent names: its single file, or its root directory, whatever it is called.
    At(PathBuf),
}

impl Site {
    /// Path of a file, or of the dataset itself, which the torrent's layout calls so.
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

    /// Whether what the torrent names may be there: its single file, or its root directory. Without it none of its 100,000 files is,
    /// and nobody needs to look for them.
    pub(super) fn has_root(&self, layout: &Layout) -> bool {
        let found = std::fs::symlink_metadata(self.path(&layout.root_path()));
        !found.is_err_and(|why| why.kind() == io::ErrorKind::NotFound)
    }

    /// The path that was named.
    pub fn named(&self) -> &Path {
        match self {
            Site::In(path) | Site::At(path) => path,
        }
    }
}

/// Where a path of the torrent's layout lies below a directory.
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

/// For tests: a file system that folds names.
#[cfg(test)]
pub mod folding {
    use std::path::{Path, PathBuf};
    use std::sync::{Mutex, PoisonError};

    type Fold = fn(&str) -> String;

    static FOLDING: Mutex<Vec<(PathBuf, Fold)>> = Mutex::new(Vec::new());

    /// All below this directory is on a file system that takes names for one which this makes equal.
    pub fn below(directory: &Path, fold: Fold) {
        let mut folding = FOLDING.lock().unwrap_or_else(PoisonError::into_inner);
        folding.push((directory.to_owned(), fold));
    }

    /// A path of the torrent's layout, under the names that are created there.
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
