//! Where a copy of a dataset lies.

use std::path::{Path, PathBuf};

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
            Site::In(directory) => directory.join(in_layout),
            Site::At(root) => {
                let mut path = root.clone();
                path.extend(in_layout.iter().skip(1));
                path
            }
        }
    }

    /// The path that was named.
    pub fn named(&self) -> &Path {
        match self {
            Site::In(path) | Site::At(path) => path,
        }
    }
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
