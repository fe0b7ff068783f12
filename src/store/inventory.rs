//! What lies in a store, for `list` and `gc`. Nothing is locked, and nothing is written.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::record::Record;
use super::{Store, infohash_in};
use crate::infohash::Infohash;
use crate::pieces::PieceSet;

/// A torrent's selection, or its `.torrent`, in the store.
#[derive(Clone, Debug)]
pub struct Held {
    /// The infohash, with the selection's digest where not all files are selected.
    pub id: String,
    /// The torrent.
    pub infohash: Infohash,
    /// In which state it is.
    pub kind: HeldKind,
    /// What lies there, in bytes, also where other names hold the same bytes.
    pub bytes: u64,
    /// When it was last written to: fetched, or stamped.
    pub modified: Option<SystemTime>,
    pub(super) inodes: Vec<Inode>,
}

/// In which state something of the store is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeldKind {
    /// With a stamp that fits.
    Complete {
        /// The torrent's name, as a path.
        name: PathBuf,
    },
    /// Without one: it is hashed before it is used.
    Unstamped,
    /// Begun, by a process that may be at work.
    Partial,
    /// A `.torrent` of which nothing else is here.
    Torrent,
}

/// By what two names of the same bytes are known.
#[derive(Clone, Debug)]
pub(super) struct Inode {
    /// `None` where the platform does not tell: then each name is taken for bytes of its own.
    key: Option<(u64, u64)>,
    bytes: u64,
    links: u64,
}

/// Counts bytes by what is on the disk: those that several names hold once, and those as freed whose last name goes.
#[derive(Debug, Default)]
pub struct Ledger {
    names_left: HashMap<(u64, u64), u64>,
    pub held_bytes: u64,
}

impl Ledger {
    pub fn of<'a>(held: impl Iterator<Item = &'a Held>) -> Ledger {
        let mut ledger = Ledger::default();
        for inode in held.flat_map(|held| &held.inodes) {
            match inode.key {
                None => ledger.held_bytes += inode.bytes,
                Some(key) => {
                    if ledger.names_left.insert(key, inode.links).is_none() {
                        ledger.held_bytes += inode.bytes;
                    }
                }
            }
        }
        ledger
    }

    /// What is freed when these names go.
    pub fn free(&mut self, held: &Held) -> u64 {
        let mut freed = 0;
        for inode in &held.inodes {
            let left = inode.key.and_then(|key| self.names_left.get_mut(&key));
            let is_last = left.is_none_or(|left| {
                *left = left.saturating_sub(1);
                *left == 0
            });
            freed += if is_last { inode.bytes } else { 0 };
        }
        self.held_bytes = self.held_bytes.saturating_sub(freed);
        freed
    }
}

impl Store {
    /// All selections in `data` and `partial`, and each `.torrent` of which there is nothing else; in order of id.
    pub fn inventory(&self) -> Vec<Held> {
        let mut held = Vec::new();
        for id in self.names_in("data") {
            let directory = self.data_path(&id);
            let kind = match self.present(&id) {
                Some(stamp) => HeldKind::Complete {
                    name: stamp.name().map(Path::to_owned).unwrap_or_default(),
                },
                None => HeldKind::Unstamped,
            };
            held.extend(self.one(&id, kind, &directory));
        }
        for id in self.names_in("partial") {
            let directory = self.partial_path(&id);
            held.extend(self.one(&id, HeldKind::Partial, &directory));
        }
        for infohash in self.torrents() {
            let id = infohash.to_string();
            let path = self.torrent_path(infohash);
            if held.iter().all(|held: &Held| held.infohash != infohash) {
                held.extend(self.one(&id, HeldKind::Torrent, &path));
            }
        }
        held.sort_by(|a, b| a.id.cmp(&b.id));
        held
    }

    /// The pieces that a resume record names, of a torrent of so many.
    pub fn recorded(&self, id: &str, piece_count: u32) -> PieceSet {
        Record::read(&self.record_path(id), id, piece_count).pieces
    }

    /// Whether anything of this selection is being fetched, or was.
    pub fn is_partial(&self, id: &str) -> bool {
        self.partial_path(id).is_dir()
    }

    fn one(&self, id: &str, kind: HeldKind, path: &Path) -> Option<Held> {
        let mut inodes = Vec::new();
        count(path, &mut inodes);
        let bytes = inodes.iter().map(|inode| inode.bytes).sum();
        let infohash = infohash_in(id)?;
        let mut held = Held { id: id.to_owned(), infohash, kind, bytes, modified: None, inodes };
        held.modified = held.written(self);
        Some(held)
    }

    /// The ids that have an entry in this directory of the store.
    pub(super) fn names_in(&self, directory: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.root.join(directory)).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        names.filter(|name| infohash_in(name).is_some()).collect()
    }
}

impl Held {
    /// When it was last written to, as it is now. A stamp's own time says nothing, but whoever writes one moves the
    /// directory's.
    pub(super) fn written(&self, store: &Store) -> Option<SystemTime> {
        let path = match self.kind {
            HeldKind::Complete { .. } | HeldKind::Unstamped => store.data_path(&self.id),
            HeldKind::Partial => store.record_path(&self.id),
            HeldKind::Torrent => store.torrent_path(self.infohash),
        };
        let written = std::fs::metadata(path).and_then(|metadata| metadata.modified());
        written.ok()
    }
}

/// The files below a path, or the file there. What cannot be looked at holds nothing that could be freed.
pub(super) fn count(path: &Path, inodes: &mut Vec<Inode>) {
    let Ok(metadata) = std::fs::symlink_metadata(path) else { return };
    if !metadata.is_dir() {
        inodes.push(inode(&metadata));
        return;
    }
    for entry in std::fs::read_dir(path).into_iter().flatten().flatten() {
        count(&entry.path(), inodes);
    }
}

#[cfg(unix)]
fn inode(metadata: &std::fs::Metadata) -> Inode {
    use std::os::unix::fs::MetadataExt as _;
    Inode {
        key: Some((metadata.dev(), metadata.ino())),
        // A file that is being fetched has its length from the beginning, and holes.
        bytes: metadata.len().min(metadata.blocks() * 512),
        links: metadata.nlink(),
    }
}

#[cfg(not(unix))]
fn inode(metadata: &std::fs::Metadata) -> Inode {
    Inode { key: None, bytes: metadata.len(), links: 1 }
}

impl Inode {
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }
}
