//! The store: verified datasets on disk, and what is on its way there.
//!
//! Floor 2; the only room that writes files. It opens no sockets.
//!
//! ```text
//! <store>/v1/CACHEDIR.TAG
//!            torrents/<infohash>.torrent
//!            data/<id>/files/<the torrent's own layout>     complete, read-only
//!            data/<id>/stamp                                 what makes it complete; `stamp.old` where it is known to be damaged
//!            partial/<id>/files/…  scratch  record           being fetched
//!            elsewhere/<id>/<digest of a place>             stamp of a copy that lies there, and is not ours
//!            locks/<infohash>.lock
//!            roots/<digest of a manifest's path>            which project uses which ids
//!            catalogue/<digest of its URL>/…                what the catalogue said, kept by the command line
//! ```
//! `<id>` is the infohash, with a digest of the file list where not all files are selected.
//!
//! A dataset goes this way; a process that is killed anywhere leaves a state that the next one goes on from:
//!
//! ```text
//! (nothing) ─ Partial::open ─▶ partial ─ pieces verified, recorded ─▶ partial, whole
//!                                 ▲                                      │ pins, sync
//!                 salvage: links  │                                      ▼ rename
//!                 and good pieces └──── damaged data ◀── re-hash ── data without stamp ─ stamp ─▶ present
//! ```
//! Invariants: nothing is under `data/*/files` whose pieces were not all verified before it was renamed
//! there; the stamp is written last, after a sync; no file under `data` is ever written again (its inode may
//! be linked from another selection): repair makes a new one.

#[cfg(feature = "cli")]
mod adopt;
#[cfg(feature = "cli")]
mod catalogue;
mod check;
#[cfg(feature = "cli")]
mod collect;
#[cfg(feature = "cli")]
mod damage;
mod directory;
mod elsewhere;
mod fault;
mod files;
mod fs;
#[cfg(feature = "cli")]
mod health;
#[cfg(feature = "cli")]
mod inventory;
mod lock;
#[cfg(feature = "seed")]
mod offered;
mod parallel;
mod partial;
mod pins;
#[cfg(feature = "cli")]
mod project;
mod publish;
mod record;
mod roots;
mod site;
mod stamp;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::error::Error;
use crate::hash::Sha1;
use crate::infohash::Infohash;
use crate::metainfo::MAX_TORRENT_BYTES;

#[cfg(feature = "cli")]
pub use adopt::Adopted;
#[cfg(feature = "cli")]
pub use catalogue::Kept;
pub use check::Existing;
#[cfg(feature = "cli")]
pub use collect::Leftover;
#[cfg(feature = "cli")]
pub use damage::{Damage, FaultKind};
pub use elsewhere::Found;
pub use fs::atomic_write;
#[cfg(feature = "cli")]
pub use fs::write_files;
#[cfg(feature = "cli")]
pub use health::{Contents, Trial};
#[cfg(feature = "cli")]
pub use inventory::{Held, HeldKind, Ledger};
pub use lock::Lock;
#[cfg(feature = "seed")]
pub use offered::Offered;
pub use partial::Partial;
#[cfg(feature = "cli")]
pub use pins::digests;
#[cfg(feature = "cli")]
pub use project::{Written, mirror, write_all};
#[cfg(feature = "cli")]
pub use roots::Root;
pub use site::Site;
pub use stamp::Stamp;

/// What helps where a store cannot be written to.
const WRITABLE: &str = "set ACADEMICTORRENTS_STORE to a directory that you can write to";

/// A store's root: the user's shared one, a build's own below `OUT_DIR`, or a directory of the user's.
#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
    /// Where datasets lie in the torrent's own layout, side by side and with whatever else the user keeps there.
    directory: Option<PathBuf>,
}

impl Store {
    /// The store below `directory`, of this layout's version. Nothing is created yet.
    pub fn at(directory: &Path) -> Store {
        Store { root: directory.join("v1"), directory: None }
    }

    /// A directory of the user's, for datasets in the torrent's own layout: see `directory.rs`. Nothing is created yet.
    pub fn in_directory(directory: &Path) -> Store {
        let root = directory.join(directory::WORKPLACE).join("v1");
        Store { root, directory: Some(directory.to_owned()) }
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Whether a stamp tells that a dataset is complete: not so in a directory of the user's.
    pub fn keeps_stamps(&self) -> bool {
        self.directory.is_none()
    }

    /// Creates the directories, and marks the store as a cache for backup programs.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Disk`].
    pub fn create(&self) -> Result<(), Error> {
        for directory in ["torrents", "data", "partial", "locks"] {
            if directory == "data" && self.directory.is_some() {
                continue;
            }
            let path = self.root.join(directory);
            std::fs::create_dir_all(&path).map_err(|why| self.not_writable(&path, &why))?;
        }
        if self.directory.is_some() {
            return Ok(());
        }
        let tag = self.root.join("CACHEDIR.TAG");
        if !tag.exists() {
            // The signature is fixed by the Cache Directory Tagging Specification.
            let text = "Signature: 8a477f597d28d172789f06886806bc55\n# Datasets fetched by academictorrents.\n";
            atomic_write(&tag, text.as_bytes()).map_err(|error| error.help(WRITABLE))?;
        }
        Ok(())
    }

    fn not_writable(&self, path: &Path, why: &std::io::Error) -> Error {
        match &self.directory {
            None => Error::disk("create the store's directory", path, why).help(WRITABLE),
            Some(_) => Error::disk("create the directory", path, why)
                .help("name a directory that you can write to"),
        }
    }

    /// The kept `.torrent`'s bytes, where there are any.
    pub fn torrent(&self, infohash: Infohash) -> Option<Vec<u8>> {
        let path = self.torrent_path(infohash);
        let length = std::fs::metadata(&path).ok()?.len();
        if length > MAX_TORRENT_BYTES as u64 {
            return None;
        }
        std::fs::read(&path).ok()
    }

    /// Keeps a `.torrent` whose infohash was checked.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Disk`].
    pub fn keep_torrent(&self, infohash: Infohash, bytes: &[u8]) -> Result<(), Error> {
        atomic_write(&self.torrent_path(infohash), bytes)
    }

    fn torrent_path(&self, infohash: Infohash) -> PathBuf {
        self.root.join("torrents").join(format!("{infohash}.torrent"))
    }

    /// Where a complete dataset lies: below it the torrent's own layout.
    pub fn files_path(&self, id: &str) -> PathBuf {
        match &self.directory {
            Some(directory) => directory.clone(),
            None => self.data_path(id).join("files"),
        }
    }

    /// The file whose presence makes a dataset complete: Cargo's rerun target.
    pub fn stamp_path(&self, id: &str) -> PathBuf {
        self.data_path(id).join("stamp")
    }

    /// Says that a dataset is not complete: it is known to be damaged. The lock is held.
    ///
    /// The stamp is put aside until there is a new one: nothing else has the digests of what a selection keeps of a piece.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Disk`].
    pub fn remove_stamp(&self, id: &str) -> Result<(), Error> {
        let stamp = self.stamp_path(id);
        match std::fs::rename(&stamp, self.old_stamp_path(id)) {
            Err(why) if why.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::disk("remove", &stamp, &why).help(WRITABLE))
            }
            _ => Ok(()),
        }
    }

    fn old_stamp_path(&self, id: &str) -> PathBuf {
        self.data_path(id).join("stamp.old")
    }

    /// The stamp, or the one that was put aside: what was true of the dataset once.
    fn last_stamp(&self, id: &str) -> Option<Stamp> {
        Stamp::read(&self.stamp_path(id)).or_else(|| Stamp::read(&self.old_stamp_path(id)))
    }

    fn data_path(&self, id: &str) -> PathBuf {
        self.root.join("data").join(id)
    }

    fn partial_path(&self, id: &str) -> PathBuf {
        self.root.join("partial").join(id)
    }

    /// The resume record of a dataset that is being fetched: it moves while the fetcher lives.
    pub fn record_path(&self, id: &str) -> PathBuf {
        self.partial_path(id).join("record")
    }

    /// What changes while someone fetches, checks or publishes any selection of the torrent: length and time of its
    /// resume records, and of its lock.
    pub fn signs_of_life(&self, infohash: Infohash) -> Vec<(u64, SystemTime)> {
        let partial = ids_in(&self.root.join("partial"), infohash);
        let records = partial.into_iter().map(|id| self.record_path(&id));
        let sign = |path: PathBuf| {
            let file = std::fs::metadata(path).ok()?;
            Some((file.len(), file.modified().ok()?))
        };
        records.chain([self.lock_path(infohash)]).filter_map(sign).collect()
    }

    /// Creates the directory of the locks alone: for `progress`, also where the data goes elsewhere.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Disk`].
    pub fn create_locks(&self) -> Result<(), Error> {
        let path = self.locks_path();
        std::fs::create_dir_all(&path)
            .map_err(|why| Error::disk("create the store's directory", &path, &why))
    }

    /// Directory of the locks; `progress` keeps its own there.
    pub fn locks_path(&self) -> PathBuf {
        self.root.join("locks")
    }

    /// The dataset's stamp, where each file is still as it was when it was verified: one `stat` per file.
    pub fn present(&self, id: &str) -> Option<Stamp> {
        let stamp = Stamp::read(&self.stamp_path(id))?;
        stamp.matches(&self.files_path(id).into()).then_some(stamp)
    }

    /// The ids of all complete selections of a torrent.
    pub fn selections(&self, infohash: Infohash) -> Vec<String> {
        ids_in(&self.root.join("data"), infohash)
    }
}

/// The beginning of the SHA-1, as the name of a file.
fn digest_name(bytes: &[u8]) -> String {
    Sha1::digest(bytes)[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The infohash of an id; `None` where it is none.
#[cfg(feature = "cli")]
pub fn infohash_in(id: &str) -> Option<Infohash> {
    let (infohash, selection) = id.split_once('-').map_or((id, None), |(a, b)| (a, Some(b)));
    let is_hex = |text: &str, digits| {
        text.len() == digits && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    let is_one = is_hex(infohash, 40) && selection.is_none_or(|digest| is_hex(digest, 16));
    is_one.then(|| infohash.parse().ok()).flatten()
}

fn remove_if_there(stamp: &Path) -> Result<(), Error> {
    match std::fs::remove_file(stamp) {
        Err(why) if why.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::disk("remove", stamp, &why).help(WRITABLE))
        }
        _ => Ok(()),
    }
}

/// The ids of a torrent's selections that have a directory below this one, in order.
fn ids_in(directory: &Path, infohash: Infohash) -> Vec<String> {
    let infohash = infohash.to_string();
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    let mut ids: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| {
            name.strip_prefix(&infohash)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        })
        .collect();
    ids.sort();
    ids
}
