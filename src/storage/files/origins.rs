//! Where the files of a workplace come from, by index in the layout. Read for each piece that is
//! written, with up to a million files, so the states are atomics.

use std::sync::MutexGuard;
use std::sync::atomic::{AtomicU8, Ordering};

use crate::mutex::Mutex;

/// Where a file of the workplace comes from. Its permissions do not say: anyone may have changed
/// them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileOrigin {
    /// Left by an earlier process. It may be a link to complete data, so this is checked before the
    /// first write.
    Left,
    /// Created by this process, or known to have no other name.
    Ours,
    /// Linked by this process from data with a valid stamp, or hashed completely. Writes to it are
    /// dropped.
    Sealed,
}

/// Number of locks for opening files; files share them by index.
const OPENING: usize = 16;

/// The origins of the files of the workplace that exist.
#[derive(Debug)]
pub(super) struct FileOrigins {
    /// The last element is the scratch file's; its index is beyond all others.
    files: Box<[AtomicU8]>,
    opening: [Mutex<()>; OPENING],
}

impl FileOrigins {
    /// Origins for `files` files, none of which exists yet.
    pub(super) fn none(files: usize) -> FileOrigins {
        let files = (0..=files).map(|_| AtomicU8::new(0)).collect();
        FileOrigins { files, opening: Default::default() }
    }

    fn place(&self, index: u32) -> Option<&AtomicU8> {
        self.files.get(index as usize).or(self.files.last())
    }

    pub(super) fn get(&self, index: u32) -> Option<FileOrigin> {
        match self.place(index)?.load(Ordering::Acquire) {
            0 => None,
            1 => Some(FileOrigin::Left),
            2 => Some(FileOrigin::Ours),
            _ => Some(FileOrigin::Sealed),
        }
    }

    pub(super) fn set(&self, index: u32, origin: Option<FileOrigin>) {
        let value = match origin {
            None => 0,
            Some(FileOrigin::Left) => 1,
            Some(FileOrigin::Ours) => 2,
            Some(FileOrigin::Sealed) => 3,
        };
        if let Some(place) = self.place(index) {
            place.store(value, Ordering::Release);
        }
    }

    /// Locks a file while it is opened for writing: it must not be replaced after another worker
    /// wrote to it. Most other files can be opened meanwhile.
    pub(super) fn opening(&self, index: u32) -> MutexGuard<'_, ()> {
        let lock = &self.opening[index as usize % OPENING];
        lock.lock()
    }
}
