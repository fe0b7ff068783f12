//! The store: verified datasets on disk, and datasets that are being fetched.
//!
//! Layer 2; the only module that writes files. It opens no sockets.
//!
//! ```text
//! <store>/v1/CACHEDIR.TAG
//!            torrents/<infohash>.torrent
//!            torrents/<infohash>.origin                    exists if the user vouches for the hosts that it names
//!            data/<id>/files/<the torrent's own layout>     complete, read-only
//!            data/<id>/stamp                                 makes it complete; `stamp.old` if it is known to be damaged
//!            partial/<id>/files/…  scratch  record           being fetched
//!            elsewhere/<id>/<digest of a place>             stamp of a copy outside the store
//!            locks/<infohash>.lock
//!            roots/<digest of a manifest's path>            which project uses which ids
//!            catalogue/<digest of its URL>/…                cached catalog documents, for the command line
//! ```
//! `<id>` is the infohash, with a digest of the file list if not all files are selected.
//!
//! A dataset passes through these states; if a process is killed at any point, the next one
//! continues from what it left:
//!
//! ```text
//! (nothing) ─ Partial::open ─▶ partial ─ pieces verified, recorded ─▶ partial, whole
//!                                 ▲                                      │ pins, sync
//!                 salvage: links  │                                      ▼ rename
//!                 and good pieces └──── damaged data ◀── re-hash ── data without stamp ─ stamp ─▶ present
//! ```
//! Invariants: files are renamed to `data/*/files` only after all of their pieces were verified;
//! the stamp is written last, after a sync; a file below `data` is never written again, since its
//! inode may be linked from another selection: repair creates a new one.

mod check;
mod claims;
mod directory;
mod elsewhere;
mod file_fault;
mod file_size;
mod files;
mod folded_names;
mod fs;
mod ids;
#[cfg(feature = "unpack")]
mod into_directory;
#[cfg(feature = "engine")]
pub mod inventory;
mod links;
mod local_copy;
mod lock;
mod move_in;
#[cfg(feature = "seed")]
mod offered;
mod origin;
mod parallel;
mod partial;
mod pins;
mod positioned;
mod publish;
mod relocate;
mod replaceable;
mod resume_record;
mod roots;
mod salvage;
mod sha256;
mod siblings;
mod site;
mod stamp;
#[cfg(test)]
mod stops;
mod target;
#[cfg(test)]
mod tests;
#[cfg(feature = "unpack")]
mod tree;
mod user_files;

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::error::Error;
use crate::hash::{Sha1, hex};
use crate::torrent::infohash::Infohash;
use crate::torrent::metainfo::MAX_TORRENT_BYTES;

pub use directory::{Directory, data_in_mirror, directory_fault};
#[cfg(feature = "fetch")]
pub use file_fault::is_lfs_pointer;
pub use file_fault::{IS_LFS_POINTER, LFS_POINTER};
pub use fs::atomic_write;
#[cfg(all(target_os = "linux", feature = "fetch"))]
pub use fs::{open_or_create, try_lock};
#[cfg(feature = "unpack")]
pub use into_directory::TreeCopy;
pub use local_copy::LocalCopy;
pub use lock::{Lock, LockHolder};
#[cfg(feature = "seed")]
pub use offered::Offered;
pub use parallel::DiskWork;
#[cfg(feature = "unpack")]
pub use parallel::each;
pub use partial::{Here, Partial};
#[cfg(feature = "bench")]
pub use sha256::Sha256;
pub use site::Site;
pub use stamp::Stamp;
pub use target::Target;
#[cfg(feature = "unpack")]
pub use tree::{TreeFault, TreeWriter};

/// Help for a store that cannot be written to.
const WRITABLE: &str = "set ACADEMICTORRENTS_STORE to a directory that you can write to";

/// A store's root: the user's shared store, a build's own below `OUT_DIR`, or the workplace in a
/// user's directory.
#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
    wording: &'static Wording,
}

/// Wording of the error for a directory that could not be created.
#[derive(Debug)]
struct Wording {
    create: &'static str,
    help: &'static str,
}

impl Store {
    /// Returns the store below `directory`, in the current version of the layout. Creates nothing
    /// yet.
    pub fn at(directory: &Path) -> Store {
        const WORDING: Wording = Wording { create: "create the store's directory", help: WRITABLE };
        Store { root: directory.join("v1"), wording: &WORDING }
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Creates the directories, and marks the store as a cache for backup programs.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Disk`].
    pub fn create(&self) -> Result<(), Error> {
        self.create_below(&["torrents", "data", "partial", "locks"])?;
        let tag = self.tag_path();
        if fs::file_at(&tag).is_none() {
            // The Cache Directory Tagging Specification prescribes this signature.
            let text = "Signature: 8a477f597d28d172789f06886806bc55\n# Datasets fetched by academictorrents.\n";
            self.keep(&tag, text.as_bytes())?;
        }
        Ok(())
    }

    fn create_below(&self, directories: &[&str]) -> Result<(), Error> {
        self.check_links()?;
        directories.iter().map(|directory| self.root.join(directory)).try_for_each(|path| {
            std::fs::create_dir_all(&path)
                .map_err(|why| self.not_writable(&path, &fs::obstacle_above(&path, why)))
        })
    }

    /// Refuses symbolic links that belong to other users. Links as such are allowed, since people
    /// move `data` to a larger disk, but whoever can write to a shared store could make us write to
    /// any place that we can write to.
    fn check_links(&self) -> Result<(), Error> {
        let below = ["torrents", "data", "partial", "locks", "roots", "elsewhere", "catalogue"];
        let directories = below.map(|directory| self.root.join(directory));
        let above = self.root.parent().map(Path::to_owned).into_iter().chain([self.root.clone()]);
        for path in above.chain(directories) {
            if let Some(why) = fs::link_of_a_stranger(&path) {
                return Err(Error::disk("use the store's directory", &path, &why));
            }
        }
        Ok(())
    }

    fn not_writable(&self, path: &Path, why: &std::io::Error) -> Error {
        self.failed(self.wording.create, path, why).help(self.wording.help)
    }

    /// Returns a disk error; if a group shares the store and permission was denied, with advice for
    /// its members.
    fn failed(&self, what: &str, path: &Path, why: &std::io::Error) -> Error {
        let error = Error::disk(what, path, why);
        let Some(store) = self.root.parent().filter(|store| fs::is_shared(store)) else {
            return error;
        };
        if why.kind() != std::io::ErrorKind::PermissionDenied {
            return error;
        }
        let store = store.display();
        error.help(format!("if a group shares the store, all of its members need `umask 002`; once, run: chmod -R g+w {store}"))
    }

    /// Returns the bytes of the stored `.torrent`, if there is one.
    pub fn torrent(&self, infohash: Infohash) -> Option<Vec<u8>> {
        fs::read(&self.torrent_path(infohash), MAX_TORRENT_BYTES as u64).ok()
    }

    /// Writes a small store file: a reader sees the old content or all of the new.
    fn keep(&self, path: &Path, bytes: &[u8]) -> Result<(), Error> {
        fs::keep(path, bytes, |_| Ok(()))
            .map_err(|why| self.failed("write", path, &why).help(self.wording.help))
    }

    /// Creates the directory of a store file.
    fn create_directory(&self, of: &Path) -> Result<(), Error> {
        let directory = of.parent().unwrap_or(&self.root);
        let below = directory.strip_prefix(&self.root).unwrap_or(Path::new(""));
        // The directories directly below the root may be links to a larger disk; `create` checks
        // those.
        let mut parts = below.iter();
        let top = parts.next().map_or_else(|| self.root.clone(), |top| self.root.join(top));
        std::fs::create_dir_all(&top)
            .and_then(|()| fs::create_directories(&top, parts.as_path()))
            .map_err(|why| self.not_writable(directory, &why))
    }

    fn tag_path(&self) -> PathBuf {
        self.root.join("CACHEDIR.TAG")
    }

    fn torrent_path(&self, infohash: Infohash) -> PathBuf {
        self.root.join("torrents").join(format!("{infohash}.torrent"))
    }

    /// Returns the directory of a complete dataset's files, in the torrent's own layout.
    pub fn files_path(&self, id: &str) -> PathBuf {
        self.data_path(id).join("files")
    }

    /// Returns the path of the stamp, whose presence makes a dataset complete. It is Cargo's rerun
    /// target.
    pub fn stamp_path(&self, id: &str) -> PathBuf {
        self.data_path(id).join("stamp")
    }

    /// Marks a dataset as damaged. The caller holds the lock.
    ///
    /// The stamp is renamed until there is a new one: only it has the digests of pieces that the
    /// selection keeps in part.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Disk`].
    pub fn remove_stamp(&self, id: &str) -> Result<(), Error> {
        let stamp = self.stamp_path(id);
        match fs::rename(&stamp, &self.old_stamp_path(id)) {
            Err(why) if why.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::disk("remove", &stamp, &why).help(WRITABLE))
            }
            _ => Ok(()),
        }
    }

    fn old_stamp_path(&self, id: &str) -> PathBuf {
        self.data_path(id).join("stamp.old")
    }

    /// Returns the stamp, or else the one that was set aside, which was true at some time.
    fn last_stamp(&self, id: &str) -> Option<Stamp> {
        Stamp::read(&self.stamp_path(id)).or_else(|| Stamp::read(&self.old_stamp_path(id)))
    }

    fn data_path(&self, id: &str) -> PathBuf {
        self.root.join("data").join(id)
    }

    fn partial_path(&self, id: &str) -> PathBuf {
        self.root.join("partial").join(id)
    }

    /// Returns the path of a partial dataset's resume record, whose mtime changes while its process
    /// is alive.
    pub fn record_path(&self, id: &str) -> PathBuf {
        self.partial_path(id).join("record")
    }

    /// Returns values that change while a process fetches, checks or publishes any selection of the
    /// torrent: length and mtime of its resume records and of its lock.
    pub fn signs_of_life(&self, infohash: Infohash) -> Vec<(u64, SystemTime)> {
        let partial = self.partial_selections(infohash);
        let records = partial.into_iter().map(|id| self.record_path(&id));
        let sign = |path: PathBuf| {
            let file = fs::file_at(&path)?;
            Some((file.len(), file.modified().ok()?))
        };
        records.chain([self.lock_path(infohash)]).filter_map(sign).collect()
    }

    /// Creates only the directory of the locks: for `progress`, even if the data is stored
    /// elsewhere.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Disk`].
    pub fn create_locks(&self) -> Result<(), Error> {
        let path = self.locks_path();
        std::fs::create_dir_all(&path)
            .map_err(|why| Error::disk("create the store's directory", &path, &why))
    }

    /// Returns the directory of the locks; `progress` keeps its own lock there.
    pub fn locks_path(&self) -> PathBuf {
        self.root.join("locks")
    }

    /// Returns the dataset's stamp if each file still matches it: one `stat` per file.
    pub fn present(&self, id: &str) -> Option<Stamp> {
        let stamp = Stamp::read(&self.stamp_path(id))?;
        self.is_as_stamped(id, &stamp).then_some(stamp)
    }

    /// Whether a dataset's own files match its stamp.
    fn is_as_stamped(&self, id: &str, stamp: &Stamp) -> bool {
        stamp.matches_own(self.root.join("data"), self.files_path(id))
    }
}

/// Returns the beginning of the SHA-1, for use as a file name.
fn digest_name(bytes: &[u8]) -> String {
    hex(&Sha1::digest(bytes)[..8])
}

fn remove_if_there(stamp: &Path) -> Result<(), Error> {
    fs::remove(stamp).map_err(|why| Error::disk("remove", stamp, &why).help(WRITABLE))
}
