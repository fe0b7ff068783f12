//! Disk space taken by entries of the store, where several names may share the same bytes.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// A file on disk, identified so that two names for the same bytes are recognized.
#[derive(Clone, Debug)]
struct Inode {
    /// `None` if the platform does not provide it: then each name counts as separate bytes.
    key: Option<(u64, u64)>,
    bytes: u64,
    links: u64,
}

/// The files of a store entry.
#[derive(Clone, Debug, Default)]
pub struct Inodes(Vec<Inode>);

/// Counts bytes on disk: bytes with several names count once, and are freed with the last name.
#[derive(Debug, Default)]
pub struct DiskUsage {
    names_left: HashMap<(u64, u64), u64>,
    pub held_bytes: u64,
}

impl DiskUsage {
    pub fn of<'a>(all: impl Iterator<Item = &'a Inodes>) -> DiskUsage {
        let mut usage = DiskUsage::default();
        for inode in all.flat_map(|inodes| &inodes.0) {
            match inode.key {
                None => usage.held_bytes += inode.bytes,
                Some(key) => {
                    if usage.names_left.insert(key, inode.links).is_none() {
                        usage.held_bytes += inode.bytes;
                    }
                }
            }
        }
        usage
    }

    /// Returns the bytes that are freed when these names are removed.
    pub fn free(&mut self, inodes: &Inodes) -> u64 {
        let mut freed = 0;
        for inode in &inodes.0 {
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

impl Inodes {
    /// The files below a path, or the file at the path. Entries that cannot be examined count as
    /// empty.
    pub(super) fn below(path: &Path) -> Inodes {
        Inodes::below_all(&[path.to_owned()])
    }

    /// Those of several paths.
    pub(super) fn below_all(paths: &[PathBuf]) -> Inodes {
        fn add(path: &Path, inodes: &mut Vec<Inode>) {
            let Ok(metadata) = std::fs::symlink_metadata(path) else { return };
            if !metadata.is_dir() {
                inodes.push(inode(&metadata));
                return;
            }
            for entry in std::fs::read_dir(path).into_iter().flatten().flatten() {
                add(&entry.path(), inodes);
            }
        }
        let mut inodes = Inodes::default();
        paths.iter().for_each(|path| add(path, &mut inodes.0));
        inodes
    }

    pub(super) fn bytes(&self) -> u64 {
        self.0.iter().map(|inode| inode.bytes).sum()
    }
}

#[cfg(unix)]
fn inode(metadata: &std::fs::Metadata) -> Inode {
    use std::os::unix::fs::MetadataExt as _;
    Inode {
        key: Some((metadata.dev(), metadata.ino())),
        // A partial file has its full length from the beginning, and holes.
        bytes: metadata.len().min(metadata.blocks() * 512),
        links: metadata.nlink(),
    }
}

#[cfg(not(unix))]
fn inode(metadata: &std::fs::Metadata) -> Inode {
    Inode { key: None, bytes: metadata.len(), links: 1 }
}
