//! Datasets in a directory of the user's: the torrent's own layout, no stamp, nothing read-only.
//!
//! ```text
//! <directory>/<the torrent's own layout>          verified, and then the user's
//! <directory>/.academictorrents/v1/partial/<id>   being fetched; gone once the dataset is whole
//! ```
//! What lies there under the dataset's names is hashed each time, since nothing tells whether it was changed. A file
//! that is right in all its pieces stays where it is. So does a damaged one, until the first byte comes for it: then it
//! moves into the workplace, where its damaged pieces are written, and moves back when all are verified. So at its
//! place there is never a file that is half fetched, of a terabyte with one bad piece nothing is copied, and where
//! nothing comes nothing moves. One with other hard links is copied instead: what those names hold is not ours to change.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Store;
use super::check::Existing;
use super::files::LayoutFiles;
use super::fs::{Look, copy, remove_tree, set_read_only, sync_directory, sync_file};
use super::partial::{Partial, Salvaged};
use super::publish::sync_tree;
use crate::error::Error;
use crate::infohash::Infohash;

/// Where we work, below the user's directory.
pub(super) const WORKPLACE: &str = ".academictorrents";

/// The user's directory, as the files of the workplace know it.
#[derive(Debug)]
pub(super) struct Home {
    directory: PathBuf,
    workplace: PathBuf,
    mending: Mutex<Mending>,
}

/// Files by their index in [`crate::plan::Layout::files`].
#[derive(Debug, Default)]
struct Mending {
    /// Damaged ones with something right in them, which are at their place still, and how they were when they were hashed.
    waiting: BTreeMap<u32, Look>,
    /// Those that are right, and stay there.
    right: BTreeSet<u32>,
    /// Where those lie that moved.
    moved: Vec<PathBuf>,
}

impl Home {
    pub(super) fn new(directory: PathBuf, workplace: PathBuf) -> Home {
        Home { directory, workplace, mending: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Mending> {
        self.mending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where the user has a file of the layout.
    pub(super) fn path(&self, in_layout: &Path) -> PathBuf {
        self.directory.join(in_layout)
    }

    pub(super) fn waits(&self, index: u32) -> bool {
        self.lock().waiting.contains_key(&index)
    }

    /// Whether what the user has under this name is, or becomes, part of the dataset: else it only lies there.
    pub(super) fn is_used(&self, index: u32) -> bool {
        let mending = self.lock();
        mending.right.contains(&index) || mending.waiting.contains_key(&index)
    }

    /// Moves a file into the workplace that waits for that, and gives it its length.
    pub(super) fn bring(&self, files: &LayoutFiles, index: u32) -> io::Result<()> {
        // Another worker who wants the same file waits until it is there.
        let mut mending = self.lock();
        let file = files.layout().files().get(index as usize);
        let (Some(file), Some(look)) = (file, mending.waiting.get(&index)) else { return Ok(()) };
        let (from, to) = (self.path(&file.path), files.path(index));
        if Look::at(&from) != Some(*look) {
            return Err(io::Error::other(format!(
                "{} was changed after it was hashed; nothing of it was touched",
                from.display()
            )));
        }
        if let Some(parent) = to.parent() {
            std::fs::create_dir_all(parent)?;
        }
        if is_ours_alone(&from) && set_read_only(&from, false).is_ok() {
            std::fs::rename(&from, &to)?;
            mending.moved.push(to.clone());
        } else {
            copy(&from, &to, false, &self.workplace)?;
        }
        mending.waiting.remove(&index);
        std::fs::File::options().write(true).open(&to)?.set_len(file.length())
    }
}

/// Notes which damaged files are to be mended, and says what of them is right.
pub(super) fn take_over(files: &LayoutFiles, home: &Home, existing: &Existing) -> Salvaged {
    let layout = files.layout();
    let mut salvaged = Salvaged::of(existing, layout);
    let mut mending = home.lock();
    for (index, file) in layout.files().iter().enumerate() {
        let index = index as u32; // a torrent of 64 MiB has fewer than 2^32 files
        let pieces = layout.geometry().pieces(file.range.clone());
        if file.length() == 0 {
            continue;
        }
        if existing.is_right(index) {
            mending.right.insert(index);
            continue;
        }
        if !pieces.clone().any(|piece| existing.good.contains(piece)) {
            continue;
        }
        if files.path(index).exists() {
            salvaged.doubt(pieces);
        } else if let Some(look) = Look::at(&home.path(&file.path)) {
            mending.waiting.insert(index, look);
        } else {
            salvaged.doubt(pieces);
        }
    }
    salvaged
}

/// Whether the file may be changed: no symbolic link, and no other name for the same bytes.
#[cfg(unix)]
pub(super) fn is_ours_alone(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::symlink_metadata(path).is_ok_and(|file| file.is_file() && file.nlink() == 1)
}

/// There is no stable way to count a file's links here.
#[cfg(not(unix))]
pub(super) fn is_ours_alone(_path: &Path) -> bool {
    false
}

impl Partial {
    /// Moves what was fetched or mended to its place. All of it is verified and synced.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Disk`]: a directory lies where a file belongs, or the other way round, among others.
    pub(super) fn move_in(&self, directory: &Path) -> Result<(), Error> {
        let from = self.store.partial_path(&self.id).join("files");
        let failed = |path: &Path, why: &io::Error| Error::disk("move the data to", path, why);
        let name = self.layout().files().first().and_then(|file| file.path.iter().next());
        let Some(name) = name.map(PathBuf::from) else { return Ok(()) };
        let place = directory.join(&name);
        if std::fs::symlink_metadata(&place).is_err() {
            // Nothing is there: one step for all.
            std::fs::rename(from.join(&name), &place).map_err(|why| failed(&place, &why))?;
        } else {
            for file in self.layout().files() {
                let (from, to) = (from.join(&file.path), directory.join(&file.path));
                if from.exists() {
                    let parent = to.parent().unwrap_or(directory);
                    std::fs::create_dir_all(parent)
                        .and_then(|()| std::fs::rename(&from, &to))
                        .map_err(|why| failed(&to, &why))?;
                }
            }
        }
        let synced = if place.is_dir() { sync_tree(&place) } else { Ok(()) };
        synced.and_then(|()| sync_directory(directory)).map_err(|why| failed(&place, &why))
    }

    /// Whether files of the user's would move when bytes come for them.
    pub fn would_move_files(&self) -> bool {
        self.files.home().is_some_and(|home| !home.lock().waiting.is_empty())
    }

    /// Moves those too for which no byte came: they have a wrong length alone.
    pub(super) fn bring_all(&self) -> Result<(), Error> {
        let Some(home) = self.files.home() else { return Ok(()) };
        let waiting: Vec<u32> = home.lock().waiting.keys().copied().collect();
        waiting.into_iter().try_for_each(|index| {
            let failed = |why| Error::disk("move", &self.files.path(index), &why);
            home.bring(&self.files, index).map_err(failed)
        })
    }

    /// After a failure: leaves a directory of the user's as it was where nothing came into it, and says where those of the
    /// user's files lie that are being mended.
    pub fn left(&self, error: Error) -> Error {
        let Some(home) = self.files.home() else { return error };
        let files = self.store.partial_path(&self.id).join("files");
        if std::fs::remove_dir(&files).is_ok() {
            self.store.leave_directory(&self.id, self.metainfo.infohash);
            return error;
        }
        let moved = home.lock().moved.clone();
        let Some(first) = moved.first() else { return error };
        let below = first.strip_prefix(&files).unwrap_or(first);
        let others = match moved.len() - 1 {
            0 => "is".to_owned(),
            1 => "and one more file are".to_owned(),
            others => format!("and {others} more files are"),
        };
        error.why(format!(
            "{} {others} being mended, and until that is done in {}",
            home.path(below).display(),
            files.display()
        ))
    }

    /// Makes all that lies in the workplace last through a power cut.
    pub(super) fn sync(&self) -> Result<(), Error> {
        self.files.close();
        super::parallel::each(self.layout().files().len(), &|index, _| {
            let path = self.files.path(index as u32);
            match sync_file(&path) {
                // It was right, and stayed where it was.
                Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(()),
                other => other.map_err(|why| Error::disk("sync", &path, &why)),
            }
        })
    }
}

impl Store {
    /// Removes the workplace, as far as it is this dataset's alone. The lock is held.
    pub(super) fn leave_directory(&self, id: &str, infohash: Infohash) {
        // A failure leaves something that is of no harm.
        let _ = remove_tree(&self.partial_path(id));
        let _ = std::fs::remove_file(self.torrent_path(infohash));
        let _ = std::fs::remove_file(self.lock_path(infohash));
        for emptied in ["partial", "torrents", "locks", ""] {
            let _ = std::fs::remove_dir(self.root.join(emptied));
        }
        let _ = self.root.parent().map(std::fs::remove_dir);
    }
}
